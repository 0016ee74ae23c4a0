#include "spec/source.h"

#include <stdbool.h>
#include <string.h>

static bool is_component(const char *s, size_t len)
{
	if (len == 0 || len > 255)
		return false;
	return !(len == 1 && s[0] == '.') && !(len == 2 && s[0] == '.' && s[1] == '.');
}

static bool is_relative_path(const char *path)
{
	for (;;) {
		size_t len = strcspn(path, "/");

		if (!is_component(path, len))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

static int refuse_path(const char *path, struct err *err)
{
	return err_set(err, ERR_CONFIG, "'%s' is no path inside the repository", path);
}

int source_list(struct source *src, const char *dir, struct pool *pool, struct source_list *ret,
		struct err *err)
{
	if (dir[0] != '\0' && !is_relative_path(dir))
		return refuse_path(dir, err);
	return src->ops->list(src, dir, pool, ret, err);
}

int source_read(struct source *src, const char *path, size_t limit, struct pool *pool,
		const char **ret_data, size_t *ret_len, struct err *err)
{
	if (!is_relative_path(path))
		return refuse_path(path, err);
	return src->ops->read(src, path, limit, pool, ret_data, ret_len, err);
}

void source_free(struct source *src)
{
	if (src)
		src->ops->free(src);
}

void source_freep(struct source **src)
{
	source_free(*src);
	*src = NULL;
}
