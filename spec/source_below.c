/* A folder of another source, seen as the root: a repository that is a part of a larger one. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "spec/source.h"

struct below {
	struct source source;
	struct source *inner;
	char *folder;
};

static const char *inner_path(const struct below *below, struct pool *pool, const char *path)
{
	return path[0] ? pool_printf(pool, "%s/%s", below->folder, path)
		       : pool_strdup(pool, below->folder);
}

static int below_list(struct source *src, const char *dir, struct pool *pool,
		      struct source_list *ret, struct err *err)
{
	struct below *below = (struct below *)src;

	return source_list(below->inner, inner_path(below, pool, dir), pool, ret, err);
}

static int below_read(struct source *src, const char *path, size_t limit, struct pool *pool,
		      const char **ret_data, size_t *ret_len, struct err *err)
{
	struct below *below = (struct below *)src;

	return source_read(below->inner, inner_path(below, pool, path), limit, pool, ret_data,
			   ret_len, err);
}

static void below_free(struct source *src)
{
	struct below *below = (struct below *)src;

	source_free(below->inner);
	free(below->folder);
	free(below);
}

static const struct source_ops below_ops = {
	.list = below_list,
	.read = below_read,
	.free = below_free,
};

struct source *source_below(struct source *inner, const char *folder)
{
	struct below *below = xcalloc(1, sizeof(*below));

	below->source.ops = &below_ops;
	below->inner = inner;
	below->folder = xstrdup(folder);
	return &below->source;
}
