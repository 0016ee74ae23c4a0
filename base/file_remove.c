/* The part of base/file.h that removes. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file_internal.h"

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_missing(int number)
{
	return number == ENOENT || number == ENOTDIR;
}

/* Opens the folder of what is to be removed. 1 where it is not there, so that nothing is to be
 * done. */
static int open_for_removal(int dirfd, const char *path, int *ret_fd, const char **ret_name,
			    struct err *err)
{
	int fd = file_open_parent(dirfd, path, ret_name, err);

	if (fd < 0 && is_missing(errno))
		return 1;
	*ret_fd = fd;
	return fd < 0 ? -1 : 0;
}

int file_remove_in(int dirfd, const char *path, struct err *err)
{
	AUTO_CLOSE int parent_fd = -1;
	const char *name;
	int rc = open_for_removal(dirfd, path, &parent_fd, &name, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (unlinkat(parent_fd, name, 0) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "remove '%s'", path);
	return fsync(parent_fd) < 0 ? err_errno(err, "sync the folder of '%s'", path) : 0;
}

static int remove_tree(int parent_fd, const char *name, struct err *err);

static int remove_entries(int parent_fd, const char *name, struct err *err)
{
	AUTO_CLOSE int fd =
		openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return err_errno(err, "open folder '%s'", name);
	STEAL_FD(fd); /* closedir(3) closes it */
	while (errno = 0, (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_tree(dirfd(dir), entry->d_name, err) < 0)
			return -1;
	}
	return errno ? err_errno(err, "list folder '%s'", name) : 0;
}

static int remove_tree(int parent_fd, const char *name, struct err *err)
{
	if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* EISDIR is Linux's answer for a folder, EPERM what POSIX wants. */
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, "remove '%s'", name);
	if (remove_entries(parent_fd, name, err) < 0)
		return -1;
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(err, "remove folder '%s'", name);
	return 0;
}

int file_remove_tree_in(int dirfd, const char *path, struct err *err)
{
	AUTO_CLOSE int parent_fd = -1;
	const char *name;
	int rc = open_for_removal(dirfd, path, &parent_fd, &name, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (remove_tree(parent_fd, name, err) < 0)
		return err_wrap(err, "remove '%s'", path);
	return fsync(parent_fd) < 0 ? err_errno(err, "sync the folder of '%s'", path) : 0;
}

/* Is path below stop, in whole components? */
static bool is_below(const char *path, const char *stop)
{
	size_t len = strlen(stop);

	while (len > 0 && stop[len - 1] == '/')
		len--;
	if (strncmp(path, stop, len) != 0)
		return false;
	return len == 0 ? *path != '\0' : path[len] == '/' && path[len + 1];
}

void file_prune_dirs_in(int dirfd, const char *path, const char *stop)
{
	AUTO_FREE char *folder = xstrdup(path);

	while (is_below(folder, stop)) {
		AUTO_CLOSE int parent_fd = -1;
		struct err ignored;
		const char *name;
		char *slash;

		parent_fd = file_open_parent(dirfd, folder, &name, &ignored);
		/* A folder that was pruned earlier does not keep those above it. */
		if (parent_fd < 0 ? !is_missing(errno)
				  : unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return;
		slash = strrchr(folder, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}
