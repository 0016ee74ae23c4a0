/*
 * Where a repository's files are read from: a work tree, or the objects of one commit
 * (gitsync/snapshot.h).
 *
 * Paths are relative to the repository's root, with '/' and without "." or "..": source_list() and
 * source_read() refuse others. "" is the root itself, for source_list() only. A symlink is listed as
 * SOURCE_SYMLINK and never followed.
 *
 *	struct source *src = source_from_dir(path, err);
 *	source_list(src, "clusters", pool, &list, err);
 *	source_free(src);
 */
#ifndef SPEC_SOURCE_H
#define SPEC_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/pool.h"

enum source_type { SOURCE_FILE, SOURCE_DIR, SOURCE_SYMLINK, SOURCE_OTHER };

struct source_entry {
	const char *name;
	enum source_type type;
	bool executable;
};

struct source_list {
	struct source_entry *v; /* sorted by name, byte order */
	size_t n;
};

/* Most entries of one folder; more is ERR_LIMIT. */
#define SOURCE_DIR_MAX 10000

struct source;

struct source_ops {
	/* 1 and the entries, 0 where there is no such folder, -1 on error. */
	int (*list)(struct source *src, const char *dir, struct pool *pool, struct source_list *ret,
		    struct err *err);
	/* 1 and the content (NUL-terminated, in the pool), 0 where there is no such regular file,
	 * -1 on error; more than limit bytes is ERR_LIMIT. */
	int (*read)(struct source *src, const char *path, size_t limit, struct pool *pool,
		    const char **ret_data, size_t *ret_len, struct err *err);
	void (*free)(struct source *src);
};

/* The first member of every implementation's own struct. */
struct source {
	const struct source_ops *ops;
};

int source_list(struct source *src, const char *dir, struct pool *pool, struct source_list *ret,
		struct err *err);
int source_read(struct source *src, const char *path, size_t limit, struct pool *pool,
		const char **ret_data, size_t *ret_len, struct err *err);
void source_free(struct source *src);
void source_freep(struct source **src);

/* A work tree. Holds the folder open; `.git` is not listed. */
struct source *source_from_dir(const char *path, struct err *err);

/* The folder of another source as its root. Takes inner over. */
struct source *source_below(struct source *inner, const char *folder);

#endif
