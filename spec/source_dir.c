#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "spec/source.h"

struct dir_source {
	struct source base;
	int fd;
};

struct entries {
	struct source_entry *v;
	size_t n, alloc;
};

static void entries_release(struct entries *entries)
{
	free(entries->v);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* A symlink on the way is never followed: what is behind it is not there. */
static bool is_not_there(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

static int by_name(const void *a, const void *b)
{
	const struct source_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static enum source_type type_of(mode_t mode)
{
	if (S_ISREG(mode))
		return SOURCE_FILE;
	if (S_ISDIR(mode))
		return SOURCE_DIR;
	return S_ISLNK(mode) ? SOURCE_SYMLINK : SOURCE_OTHER;
}

static bool is_hidden_from_list(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".git") == 0;
}

static int read_entries(DIR *stream, const char *dir, struct pool *pool, struct entries *entries,
			struct err *err)
{
	const struct dirent *item;

	while (errno = 0, (item = readdir(stream)) != NULL) {
		struct stat st;

		if (is_hidden_from_list(item->d_name))
			continue;
		if (entries->n == SOURCE_DIR_MAX)
			return err_set(err, ERR_LIMIT, "'%s' has more than %d entries", dir,
				       SOURCE_DIR_MAX);
		if (fstatat(dirfd(stream), item->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return err_errno(err, "stat '%s/%s'", dir, item->d_name);
		}
		GROW(entries->v, entries->n, entries->alloc);
		entries->v[entries->n++] = (struct source_entry) {
			.name = pool_strdup(pool, item->d_name),
			.type = type_of(st.st_mode),
			.executable = S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR),
		};
	}
	if (errno)
		return err_errno(err, "read folder '%s'", dir);
	return 0;
}

static int dir_list(struct source *src, const char *dir, struct pool *pool, struct source_list *ret,
		    struct err *err)
{
	const struct dir_source *self = (const struct dir_source *)src;
	const char *path = dir[0] ? dir : ".";
	CLEANUP(entries_release) struct entries entries = {0};
	CLEANUP(closedirp) DIR *stream = NULL;
	AUTO_CLOSE int fd = file_open_beneath(self->fd, path, O_RDONLY | O_DIRECTORY, err);

	if (fd < 0) {
		if (!is_not_there(errno))
			return -1;
		err_clear(err);
		return 0;
	}
	stream = fdopendir(fd);
	if (!stream)
		return err_errno(err, "open folder '%s'", path);
	STEAL_FD(fd);
	if (read_entries(stream, path, pool, &entries, err) < 0)
		return -1;
	ret->v = pool_calloc(pool, entries.n, sizeof(*ret->v));
	ret->n = entries.n;
	if (entries.n) {
		qsort(entries.v, entries.n, sizeof(*entries.v), by_name);
		memcpy(ret->v, entries.v, entries.n * sizeof(*entries.v));
	}
	return 1;
}

static int dir_read(struct source *src, const char *path, size_t limit, struct pool *pool,
		    const char **ret_data, size_t *ret_len, struct err *err)
{
	const struct dir_source *self = (const struct dir_source *)src;
	CLEANUP(strbuf_release) struct strbuf data = STRBUF_INIT;
	/* O_NONBLOCK: to open a FIFO must not wait for a writer. */
	AUTO_CLOSE int fd = file_open_beneath(self->fd, path, O_RDONLY | O_NONBLOCK, err);
	struct stat st;

	if (fd < 0) {
		if (!is_not_there(errno) && errno != ENXIO)
			return -1;
		err_clear(err);
		return 0;
	}
	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat '%s'", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (file_read_fd(fd, path, limit, &data, err) < 0)
		return -1;
	*ret_data = pool_memdup(pool, data.buf, data.len);
	*ret_len = data.len;
	return 1;
}

static void dir_free(struct source *src)
{
	struct dir_source *self = (struct dir_source *)src;

	close(self->fd);
	free(self);
}

static const struct source_ops dir_ops = {
	.list = dir_list,
	.read = dir_read,
	.free = dir_free,
};

struct source *source_from_dir(const char *path, struct err *err)
{
	struct dir_source *self;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		err_errno(err, "open folder '%s'", path);
		return NULL;
	}
	self = xcalloc(1, sizeof(*self));
	self->base.ops = &dir_ops;
	self->fd = fd;
	return &self->base;
}
