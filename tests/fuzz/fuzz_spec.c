/*
 * Fuzzes what a repository may say: loader, cross-checks, rendering, and the differences between
 * two revisions; agent.yaml and secrets.yaml, too. What is rendered is not looked at here: the
 * sanitizers and the asserts in the code are the oracle.
 *
 * An input is a whole repository in one text. A line "%%% PATH" begins a file; what comes before
 * the first is clusters/c/cluster.yaml.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "render/render.h"
#include "spec/changes.h"
#include "spec/load.h"
#include "tests/fuzz/fuzz.h"

#define MARK "%%% "

struct text_file {
	const char *path;
	const char *data;
	size_t len;
};

struct text_source {
	struct source base;
	struct text_file *v;
	size_t n;
	size_t alloc;
};

static void add_file(struct text_source *src, const char *path, const char *data, size_t len)
{
	GROW(src->v, src->n, src->alloc);
	src->v[src->n++] = (struct text_file) {.path = path, .data = data, .len = len};
}

static void split(struct text_source *src, struct pool *pool, const char *text, size_t size)
{
	const char *path = "clusters/c/cluster.yaml";
	const char *end = text + size;
	const char *begin = text;
	const char *line = text;

	while (line < end) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));
		const char *next = eol ? eol + 1 : end;

		if ((size_t)(next - line) > strlen(MARK) && !memcmp(line, MARK, strlen(MARK))) {
			add_file(src, path, begin, (size_t)(line - begin));
			line += strlen(MARK);
			path = pool_memdup(pool, line, (size_t)((eol ? eol : end) - line));
			begin = next;
		}
		line = next;
	}
	add_file(src, path, begin, (size_t)(end - begin));
}

/* What comes after "DIR/" in a file's path, or NULL. */
static const char *below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (!len)
		return path;
	return !strncmp(path, dir, len) && path[len] == '/' ? path + len + 1 : NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct source_entry *)a)->name,
		      ((const struct source_entry *)b)->name);
}

static bool has_entry(const struct source_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i].name, name))
			return true;
	return false;
}

static int text_list(struct source *base, const char *dir, struct pool *pool,
		     struct source_list *ret, struct err *err)
{
	const struct text_source *src = (const struct text_source *)base;

	(void)err;
	ret->n = 0;
	ret->v = pool_calloc(pool, src->n, sizeof(*ret->v));
	for (size_t i = 0; i < src->n; i++) {
		const char *rest = below(src->v[i].path, dir);
		const char *slash = rest ? strchr(rest, '/') : NULL;
		const char *name;

		if (!rest || !*rest || slash == rest)
			continue;
		name = slash ? pool_memdup(pool, rest, (size_t)(slash - rest)) : rest;
		if (!has_entry(ret, name))
			ret->v[ret->n++] =
				(struct source_entry) {.name = name,
						       .type = slash ? SOURCE_DIR : SOURCE_FILE};
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return ret->n > 0;
}

static int text_read(struct source *base, const char *path, size_t limit, struct pool *pool,
		     const char **ret_data, size_t *ret_len, struct err *err)
{
	const struct text_source *src = (const struct text_source *)base;

	for (size_t i = 0; i < src->n; i++) {
		if (strcmp(src->v[i].path, path) != 0)
			continue;
		if (src->v[i].len > limit)
			return err_set(err, ERR_LIMIT, "'%s' is too large", path);
		*ret_data = pool_memdup(pool, src->v[i].data, src->v[i].len);
		*ret_len = src->v[i].len;
		return 1;
	}
	return 0;
}

static void text_free(struct source *base)
{
	free(((struct text_source *)base)->v);
	free(base);
}

static const struct source_ops text_ops = {.list = text_list, .read = text_read, .free = text_free};

static void render_all(const struct spec *spec, struct pool *pool)
{
	const struct facts facts = {.root = "", .program = "/usr/bin/dynia", .certificates = ""};

	for (size_t c = 0; c < spec->n_clusters; c++)
		for (size_t i = 0; i < spec->clusters[c].node_map.n; i++) {
			CLEANUP(fileset_release) struct fileset set;
			struct err err = {0};

			fileset_init(&set, pool);
			if (render_node(&spec->clusters[c], cluster_node(&spec->clusters[c], i),
					&facts, &set, &err) < 0)
				assert(err.code != ERR_NONE);
		}
}

static void load_repository(const char *text, size_t size, struct pool *pool)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(spec_freep) struct spec *spec = NULL;
	CLEANUP(source_freep) struct source *src = NULL;
	struct text_source *files = xcalloc(1, sizeof(*files));
	struct err err = {0};

	files->base.ops = &text_ops;
	src = &files->base;
	split(files, pool, text, size);
	if (spec_load(src, NULL, &spec, &diags, &err) < 0) {
		assert(err.code != ERR_NONE && !spec);
		return;
	}
	diags_sort(&diags);
	if (!diags.n)
		render_all(spec, pool);
	for (size_t c = 0; c + 1 < spec->n_clusters; c++) {
		CLEANUP(strvec_release) struct strvec changes = STRVEC_INIT;

		yaml_changes("clusters/c/cluster.yaml", spec->clusters[c].yaml,
			     spec->clusters[c + 1].yaml, &changes);
	}
}

static void load_node_files(const char *text, size_t size, struct pool *pool)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;

	agent_config_load("agent.yaml", text, size, pool, &diags);
	secrets_load("secrets.yaml", text, size, pool, &diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	load_repository((const char *)data, size, pool);
	load_node_files((const char *)data, size, pool);
	return 0;
}
