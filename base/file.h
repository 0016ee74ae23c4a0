/*
 * Files that matter: read with a limit, replaced durably, opened beneath a folder.
 *
 * A path is relative to an open folder (`dirfd`, or AT_FDCWD). The _in functions resolve it as if
 * that folder were the root of the file system (openat2(2), RESOLVE_IN_ROOT): no `..`, absolute path
 * or symlink leads out of it.
 *
 * file_replace() is the one way to write: a temporary file in the same folder, write, fsync,
 * rename, fsync of the folder. A reader sees the old or the new content; so does the next boot. Many
 * files at once go through a batch, which syncs each folder once:
 *
 *	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(root_fd);
 *	file_batch_add(&batch, "opt/dynia/caddy/Caddyfile", data, len, 0644, err);   writes the
 * temporary file file_batch_sync(&batch, err);                                               makes
 * the contents durable file_batch_publish(&batch, err); renames all, syncs the folders
 *
 * A batch that is released before publish removes its temporary files. Temporary names are
 * ".NAME.dynia-tmp", one per target, so that what a kill -9 leaves behind is overwritten by the next
 * attempt.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strvec.h"

#define FILE_TMP_SUFFIX ".dynia-tmp"

/* openat2(2) with RESOLVE_IN_ROOT and O_CLOEXEC. Returns the descriptor or -1. */
int file_open_in(int dirfd, const char *path, int flags, mode_t mode, struct err *err);
/* The strict form for content from a repository's work tree: RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS. */
int file_open_beneath(int dirfd, const char *path, int flags, struct err *err);
/* Reads all of it; more than limit bytes is ERR_LIMIT. Only regular files: anything else is an
 * error. */
int file_read_fd(int fd, const char *name, size_t limit, struct strbuf *ret, struct err *err);
int file_read_in(int dirfd, const char *path, size_t limit, struct strbuf *ret, struct err *err);
/* The same for a path of the machine, symlinks followed. Where it is not there, errno is ENOENT. */
int file_read(const char *path, size_t limit, struct strbuf *ret, struct err *err);
/* 1 there (lstat, in root), 0 not there, -1 error. st may be NULL. */
int file_stat_in(int dirfd, const char *path, struct stat *ret_st, struct err *err);
/* The names in a folder but "." and "..", in byte order, pushed to ret. 1 where the folder is there, 0
 * where it is not, -1 error. */
int file_list_in(int dirfd, const char *path, struct strvec *ret, struct err *err);
/* Makes the folder and those above it, each synced into its parent where it was made. What exists
 * stays as it is. */
int file_mkdirs_in(int dirfd, const char *path, mode_t mode, struct err *err);
/* Atomic and durable; makes missing folders with mode 0755. The mode is exact, whatever the umask.
 */
int file_replace_in(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
		    struct err *err);
/* Removes one file durably; that it is not there is no error. */
int file_remove_in(int dirfd, const char *path, struct err *err);
/* Removes a file or a folder with all that is in it; symlinks are removed, not followed. Not there:
 * no error. */
int file_remove_tree_in(int dirfd, const char *path, struct err *err);
/* Removes the folder and those above it while they are empty, and stops at `stop` (a prefix of
 * path, kept). */
void file_prune_dirs_in(int dirfd, const char *path, const char *stop);

struct file_batch {
	int dirfd;
	struct file_batch_entry *v;
	size_t n;
	size_t alloc;
	int folder_fd;    /* the folder that was used last, kept open; -1 for none */
	size_t folder_of; /* the entry that it was opened for */
};

#define FILE_BATCH_INIT(fd)                                                                        \
	{                                                                                          \
		.dirfd = (fd), .folder_fd = -1                                                     \
	}

void file_batch_release(struct file_batch *batch);
/* Writes the temporary file, in folders that are made where they are missing. Each path once. */
int file_batch_add(struct file_batch *batch, const char *path, const void *data, size_t len,
		   mode_t mode, struct err *err);
/* Makes the contents durable: file by file, or, where they are many, the file system as a whole. */
int file_batch_sync(struct file_batch *batch, struct err *err);
/* Renames all into place in the order they were added, then fsyncs each folder once. */
int file_batch_publish(struct file_batch *batch, struct err *err);

#endif
