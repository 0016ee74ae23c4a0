#include "reconciler/causes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/strvec.h"
#include "spec/changes.h"

void causes_release(struct causes *causes)
{
	free(causes->v);
	causes->v = NULL;
	causes->n = causes->alloc = 0;
}

void causes_add(struct causes *causes, const char *service, bool is_file, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	GROW(causes->v, causes->n, causes->alloc);
	causes->v[causes->n++] = (struct cause) {
		.service = service ? pool_strdup(causes->pool, service) : NULL,
		.is_file = is_file,
		.text = pool_strdup(causes->pool, text.buf),
	};
}

/* Of two documents that say the same: the order of nodes, headers or variables shows in what is
 * rendered. */
static bool is_reordered(const struct yaml_node *a, const struct yaml_node *b)
{
	if (a->kind != b->kind || a->n != b->n)
		return true;
	for (size_t i = 0; i < a->n; i++)
		if ((a->kind == YAML_NODE_MAP && strcmp(a->keys[i]->text, b->keys[i]->text) != 0) ||
		    is_reordered(a->items[i], b->items[i]))
			return true;
	return false;
}

static void add_field_changes(struct causes *ret, const char *service, const char *path,
			      const struct yaml_node *from, const struct yaml_node *to)
{
	CLEANUP(strvec_release) struct strvec texts = STRVEC_INIT;

	yaml_changes(path, from, to, &texts);
	if (!texts.n && is_reordered(from, to))
		causes_add(ret, service, false, "%s: the order of its keys changed", path);
	for (size_t i = 0; i < texts.n; i++)
		causes_add(ret, service, false, "%s", texts.v[i]);
}

static bool same_file(const struct service_file *a, const struct service_file *b)
{
	return a->len == b->len && a->executable == b->executable &&
	       memcmp(a->data, b->data, a->len) == 0;
}

/* Both lists are sorted by path: one walk over the two. */
static void add_file_changes(struct causes *ret, const struct service *from,
			     const struct service *to)
{
	size_t i = 0, k = 0;

	while (i < from->n_files || k < to->n_files) {
		const struct service_file *a = i < from->n_files ? &from->files[i] : NULL;
		const struct service_file *b = k < to->n_files ? &to->files[k] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path);

		if (order < 0)
			causes_add(ret, to->name, true, "%s/%s removed", from->folder, a->path);
		else if (order > 0)
			causes_add(ret, to->name, true, "%s/%s added", to->folder, b->path);
		else if (!same_file(a, b))
			causes_add(ret, to->name, true, "%s/%s changed", to->folder, b->path);
		i += order <= 0;
		k += order >= 0;
	}
}

void causes_between(const struct cluster *from, const struct cluster *to, struct causes *ret)
{
	if (!from) {
		causes_add(ret, NULL, false, "%s is applied for the first time", to->path);
		return;
	}
	add_field_changes(ret, NULL, to->path, from->yaml, to->yaml);
	for (size_t i = 0; i < to->n_services; i++) {
		const struct service *now = &to->services[i];
		const struct service *was = cluster_service(from, now->name);

		if (!was) {
			causes_add(ret, now->name, false, "%s added", now->path);
			continue;
		}
		if (strcmp(was->path, now->path) != 0)
			causes_add(ret, now->name, false, "%s moved to %s", was->path, now->path);
		add_field_changes(ret, now->name, now->path, was->yaml, now->yaml);
		add_file_changes(ret, was, now);
	}
	for (size_t i = 0; i < from->n_services; i++)
		if (!cluster_service(to, from->services[i].name))
			causes_add(ret, from->services[i].name, false, "%s removed",
				   from->services[i].path);
}

/* A file of one service changes for that service's sake; one of the whole node for any field's. */
static bool concerns(const struct cause *cause, const char *service)
{
	if (service)
		return cause->service && strcmp(cause->service, service) == 0;
	return !cause->service || !cause->is_file;
}

const char **causes_for(const struct causes *causes, const char *service, size_t *ret_n)
{
	const char **texts = pool_calloc(causes->pool, causes->n + 1, sizeof(*texts));
	size_t n = 0;

	for (size_t i = 0; i < causes->n; i++)
		if (concerns(&causes->v[i], service))
			texts[n++] = causes->v[i].text;
	/* A service's file can also change with the cluster: its network, its node's address. */
	if (n == 0)
		for (size_t i = 0; i < causes->n; i++)
			if (!causes->v[i].service)
				texts[n++] = causes->v[i].text;
	if (n == 0)
		for (size_t i = 0; i < causes->n; i++)
			texts[n++] = causes->v[i].text;
	*ret_n = n;
	return texts;
}
