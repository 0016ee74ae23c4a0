/* What file.c, file_batch.c and file_tree.c share. Not for others. */
#ifndef BASE_FILE_INTERNAL_H
#define BASE_FILE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* Where the last component of path begins; NULL where it has none that names a file ("", "..",
 * "a/"). */
const char *file_basename(const char *path);
/* Opens the folder that path is in, for the *at() calls and fsync(2). -1 with errno kept. */
int file_open_parent(int dirfd, const char *path, const char **ret_name, struct err *err);
/* The same; makes what is missing, with mode 0755, and synced where sync says so. */
int file_make_parent(int dirfd, const char *path, bool sync, const char **ret_name,
		     struct err *err);
/* The temporary name that belongs to a name; the caller frees it. */
char *file_tmp_name(const char *name);
/* Writes a file that must not be there yet, with exactly that mode; a leftover is removed first.
 * Returns the descriptor, not synced. */
int file_write_new(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		   struct err *err);

#endif
