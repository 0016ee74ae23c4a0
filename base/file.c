#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file_internal.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY)
#define FOLDER_MODE 0755
/* Without O_NONBLOCK, a FIFO in the place of a file would block the open for ever. */
#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)
/* Where something in the path is renamed at the same time, the kernel may ask to try again. */
#define OPEN_TRIES 32

static bool is_machine_root(int dirfd)
{
	struct stat st, root;

	return dirfd != AT_FDCWD && fstat(dirfd, &st) == 0 && stat("/", &root) == 0 &&
	       st.st_dev == root.st_dev && st.st_ino == root.st_ino;
}

/* Folder by folder, no link followed, nothing above dirfd. */
static int open_by_steps(int dirfd, const char *path, int flags, mode_t mode)
{
	AUTO_FREE char *words = xstrdup(path);
	AUTO_CLOSE int folder = -1;
	char *rest, *word = strtok_r(words, "/", &rest), *next;

	if (!path[0]) {
		errno = ENOENT;
		return -1;
	}
	for (; word; word = next) {
		int fd;

		next = strtok_r(NULL, "/", &rest);
		if (strcmp(word, "..") == 0) {
			errno = EXDEV;
			return -1;
		}
		fd = openat(folder >= 0 ? folder : dirfd, word,
			    (next ? O_PATH | O_DIRECTORY : flags) | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd < 0 || !next)
			return fd;
		cleanup_close(&folder);
		folder = fd;
	}
	return openat(dirfd, ".", flags | O_CLOEXEC, mode);
}

/*
 * For where openat2(2) is not to be had: a kernel before 5.6, or a service with RestrictSUIDSGID=,
 * whose filter cannot see its arguments. Below the machine's own root everything may be followed;
 * below another folder this is stricter than the call, and follows no link at all.
 */
static int open_without_openat2(int dirfd, const char *path, int flags, mode_t mode,
				unsigned resolve)
{
	if (resolve != RESOLVE_IN_ROOT && path[0] == '/') {
		errno = EXDEV;
		return -1;
	}
	if (resolve != RESOLVE_IN_ROOT || !is_machine_root(dirfd))
		return open_by_steps(dirfd, path, flags, mode);
	path += strspn(path, "/");
	return openat(dirfd, path[0] ? path : ".", flags | O_CLOEXEC, mode);
}

/* Sets errno; `resolve` as in openat2(2). */
static int open_resolved(int dirfd, const char *path, int flags, mode_t mode, unsigned resolve)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
		.resolve = resolve,
	};
	long fd = -1;

	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (fd < 0 && errno == ENOSYS)
		return open_without_openat2(dirfd, path, flags, mode, resolve);
	return (int)fd;
}

int file_open_in(int dirfd, const char *path, int flags, mode_t mode, struct err *err)
{
	int fd = open_resolved(dirfd, path, flags, mode, RESOLVE_IN_ROOT);

	return fd < 0 ? err_errno(err, "open '%s'", path) : fd;
}

int file_open_beneath(int dirfd, const char *path, int flags, struct err *err)
{
	int fd = open_resolved(dirfd, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	return fd < 0 ? err_errno(err, "open '%s'", path) : fd;
}

int file_read_fd(int fd, const char *name, size_t limit, struct strbuf *ret, struct err *err)
{
	char chunk[16384];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "read '%s'", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_SYSTEM, "'%s' is no regular file", name);
	strbuf_clear(ret);
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read '%s'", name);
		if (n == 0)
			return 0;
		if ((size_t)n > limit - ret->len)
			return err_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", name,
				       limit);
		strbuf_add(ret, chunk, (size_t)n);
	}
}

int file_read_in(int dirfd, const char *path, size_t limit, struct strbuf *ret, struct err *err)
{
	AUTO_CLOSE int fd = file_open_in(dirfd, path, READ_FLAGS, 0, err);

	return fd < 0 ? -1 : file_read_fd(fd, path, limit, ret, err);
}

int file_read(const char *path, size_t limit, struct strbuf *ret, struct err *err)
{
	AUTO_CLOSE int fd = open(path, READ_FLAGS | O_CLOEXEC);

	return fd < 0 ? err_errno(err, "open '%s'", path) : file_read_fd(fd, path, limit, ret, err);
}

int file_stat_in(int dirfd, const char *path, struct stat *ret_st, struct err *err)
{
	AUTO_CLOSE int fd = open_resolved(dirfd, path, O_PATH | O_NOFOLLOW, 0, RESOLVE_IN_ROOT);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "look at '%s'", path);
	if (ret_st)
		*ret_st = st;
	return 1;
}

const char *file_basename(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return NULL;
	return name;
}

/* The folder that the last component of path is in. */
static char *parent_of(const char *path, const char *name)
{
	return name == path ? xstrdup(".") : xstrndup(path, (size_t)(name - path));
}

int file_open_parent(int dirfd, const char *path, const char **ret_name, struct err *err)
{
	const char *name = file_basename(path);
	AUTO_FREE char *parent = NULL;
	int fd;

	if (!name) {
		errno = EINVAL;
		return err_errno(err, "'%s'", path);
	}
	parent = parent_of(path, name);
	fd = file_open_in(dirfd, parent, FOLDER_FLAGS, 0, err);
	if (fd >= 0)
		*ret_name = name;
	return fd;
}

/* Makes one folder in an open one. That it is there already is no error. */
static int make_folder(int parent_fd, const char *name, mode_t mode, bool sync, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (mkdirat(parent_fd, name, mode & 0700) < 0)
		return errno == EEXIST ? 0 : err_errno(err, "make folder '%s'", name);
	fd = openat(parent_fd, name, FOLDER_FLAGS | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, mode) < 0 || (sync && fsync(parent_fd) < 0))
		return err_errno(err, "make folder '%s'", name);
	return 0;
}

/* Opens a folder; it and those above it are made where they are missing. */
static int open_or_make(int dirfd, const char *path, mode_t mode, bool sync, struct err *err)
{
	AUTO_FREE char *prefix = xstrdup(path);
	int fd = open_resolved(dirfd, path, FOLDER_FLAGS, 0, RESOLVE_IN_ROOT);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? err_errno(err, "open folder '%s'", path) : fd;
	fd = file_open_in(dirfd, ".", FOLDER_FLAGS, 0, err);
	for (char *at = prefix; fd >= 0 && *at;) {
		AUTO_CLOSE int parent_fd = fd;
		char *name = at + strspn(at, "/");
		char *end = name + strcspn(name, "/");
		char separator = *end;

		*end = '\0';
		fd = -1;
		if (*name && make_folder(parent_fd, name, mode, sync, err) < 0)
			return err_wrap(err, "folder '%s'", path);
		/* From the root again, because the component may be a symlink. */
		fd = file_open_in(dirfd, prefix, FOLDER_FLAGS, 0, err);
		*end = separator;
		at = end;
	}
	return fd;
}

int file_list_in(int dirfd, const char *path, struct strvec *ret, struct err *err)
{
	int there = file_stat_in(dirfd, path, NULL, err);
	const struct dirent *entry;
	DIR *dir;
	int fd;

	if (there <= 0)
		return there;
	fd = file_open_in(dirfd, path, FOLDER_FLAGS, 0, err);
	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, "list '%s'", path);
	}
	errno = 0;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strvec_push(ret, entry->d_name);
	there = errno ? err_errno(err, "list '%s'", path) : 1;
	closedir(dir);
	strvec_sort(ret);
	return there;
}

int file_mkdirs_in(int dirfd, const char *path, mode_t mode, struct err *err)
{
	AUTO_CLOSE int fd = open_or_make(dirfd, path, mode, true, err);

	return fd < 0 ? -1 : 0;
}

int file_make_parent(int dirfd, const char *path, bool sync, const char **ret_name, struct err *err)
{
	const char *name = file_basename(path);
	AUTO_FREE char *parent = NULL;
	int fd;

	if (!name)
		return err_set(err, ERR_SYSTEM, "'%s' does not name a file", path);
	parent = parent_of(path, name);
	fd = open_or_make(dirfd, parent, FOLDER_MODE, sync, err);
	if (fd >= 0)
		*ret_name = name;
	return fd;
}

char *file_tmp_name(const char *name)
{
	return xasprintf(".%s" FILE_TMP_SUFFIX, name);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_write_new(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		   struct err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	AUTO_CLOSE int fd = openat(dirfd, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(dirfd, name, 0) == 0)
		fd = openat(dirfd, name, flags, 0600);
	if (fd < 0)
		return err_errno(err, "create '%s'", name);
	if (write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0) {
		err_errno(err, "write '%s'", name);
		unlinkat(dirfd, name, 0);
		return -1;
	}
	return STEAL_FD(fd);
}

int file_replace_in(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
		    struct err *err)
{
	const char *name;
	AUTO_CLOSE int parent_fd = file_make_parent(dirfd, path, true, &name, err);
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *tmp = NULL;

	if (parent_fd < 0)
		return -1;
	tmp = file_tmp_name(name);
	fd = file_write_new(parent_fd, tmp, data, len, mode, err);
	if (fd < 0)
		return err_wrap(err, "replace '%s'", path);
	if (fsync(fd) < 0 || renameat(parent_fd, tmp, parent_fd, name) < 0) {
		err_errno(err, "replace '%s'", path);
		unlinkat(parent_fd, tmp, 0);
		return -1;
	}
	return fsync(parent_fd) < 0 ? err_errno(err, "sync the folder of '%s'", path) : 0;
}
