#include "render/fileset.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void fileset_init(struct fileset *set, struct pool *pool)
{
	*set = (struct fileset) {.pool = pool};
}

void fileset_release(struct fileset *set)
{
	free(set->v);
	*set = (struct fileset) {.pool = set->pool};
}

void fileset_add(struct fileset *set, const struct out_file *file)
{
	GROW(set->v, set->n, set->alloc);
	set->v[set->n++] = *file;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct out_file *)a)->path, ((const struct out_file *)b)->path);
}

int fileset_finish(struct fileset *set, struct err *err)
{
	if (set->n)
		qsort(set->v, set->n, sizeof(set->v[0]), by_path);
	for (size_t i = 1; i < set->n; i++)
		if (strcmp(set->v[i - 1].path, set->v[i].path) == 0)
			return err_set(
				err, ERR_CONFIG,
				"'%s' would be written twice: rename the file in the repository",
				set->v[i].path);
	return 0;
}

const struct out_file *fileset_find(const struct fileset *set, const char *path)
{
	struct out_file key = {.path = path};

	return set->n ? bsearch(&key, set->v, set->n, sizeof(set->v[0]), by_path) : NULL;
}

static const char *const program_names[PROGRAM_COUNT] = {
	[PROGRAM_NONE] = "none",
	[PROGRAM_HAPROXY] = "haproxy",
	[PROGRAM_CADDY] = "caddy",
	[PROGRAM_SITE] = "site",
	[PROGRAM_KEEPALIVED] = "keepalived",
	[PROGRAM_COMPOSE] = "compose",
	[PROGRAM_INGRESS] = "ingress",
	[PROGRAM_SYSTEMD] = "systemd",
	[PROGRAM_FIREWALL] = "firewall",
	[PROGRAM_LOGROTATE] = "logrotate",
};

const char *program_name(enum program program)
{
	return program_names[program];
}
