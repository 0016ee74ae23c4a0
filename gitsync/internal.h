/* What the files of gitsync/ share. Nothing outside this folder includes it. */
#ifndef GITSYNC_INTERNAL_H
#define GITSYNC_INTERNAL_H

#include <git2.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/pool.h"
#include "gitsync/mirror.h"

struct mirror {
	git_repository *repo;
	char *path;
	char *workdir;
	bool own;         /* by mirror_create(): the agent's, so it may be swept and replaced */
	bool damaged;     /* what must be readable is not; see mirror_heal() */
	size_t snapshots; /* open ones, which hold objects of repo */
};

/* Starts libgit2 once, with nothing of the machine's configuration. */
int gitsync_init(struct err *err);

/* Are the configuration, HEAD and every ref readable, and each ref's commit and its tree there? */
bool mirror_is_sound(struct mirror *m);
/* A damaged mirror of the agent's is moved aside and made anew; nothing where it is sound. -1 where
 * it cannot be: a snapshot is open, or it is a user's repository. */
int mirror_heal(struct mirror *m, struct err *err);
/* Removes the lock files and half-written packs that a killed process left behind. */
void mirror_sweep(const char *path);

/* A commit by its 40 hex digits. */
int commit_lookup(struct mirror *m, const char *oid, git_commit **ret, struct err *err);
/* Copies a regular file's content out of a tree entry: 1 and the content, 0 where the entry is no
 * regular file, -1 on error; more than limit bytes is ERR_LIMIT, found before it is read. `name` is
 * for messages. */
int blob_read(struct mirror *m, const git_tree_entry *entry, const char *name, size_t limit,
	      struct pool *pool, const char **ret_data, size_t *ret_len, struct err *err);
void commit_info_fill(const git_commit *commit, struct pool *pool, struct commit_info *ret);

static inline void commit_freep(git_commit **p)
{
	git_commit_free(*p);
}

static inline void tree_freep(git_tree **p)
{
	git_tree_free(*p);
}

static inline void blob_freep(git_blob **p)
{
	git_blob_free(*p);
}

static inline void object_freep(git_object **p)
{
	git_object_free(*p);
}

static inline void odb_freep(git_odb **p)
{
	git_odb_free(*p);
}

static inline void ref_freep(git_reference **p)
{
	git_reference_free(*p);
}

static inline void ref_iterator_freep(git_reference_iterator **p)
{
	git_reference_iterator_free(*p);
}

#endif
