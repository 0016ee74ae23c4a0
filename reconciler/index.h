/*
 * What Dynia has put on the node: one entry a managed file, with the digest of its content and what
 * stat(2) said of it when it was written, so that a look at 1,000 unchanged files reads none of
 * them.
 *
 * The index of the generation that is there is PATH_INDEX. The index of the one that is being put
 * there is PATH_JOURNAL: it is written before the first file is replaced and removed after the new
 * index is durable. A journal that is there at the start of a pass says that an apply was cut off,
 * and what it may have written.
 */
#ifndef RECONCILER_INDEX_H
#define RECONCILER_INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/pool.h"
#include "gitsync/mirror.h"
#include "reconciler/root.h"
#include "render/fileset.h"

enum drift {
	DRIFT_NONE,
	DRIFT_MISSING,
	DRIFT_EDITED, /* another content, mode or type */
};

struct index_entry {
	const char *path;
	mode_t mode;
	char sha256[SHA256_HEX_SIZE]; /* "" where it does not say (the placeholder certificate,
					 a journal's claim) */
	enum program program;
	const char *service; /* or NULL */
	/* what stat said: all 0 where it is not known */
	uint64_t size;
	uint64_t inode;
	int64_t mtime_ns;
	int64_t ctime_ns;
	enum drift drift; /* set by index_verify(), not stored */
};

struct index {
	char revision[GIT_OID_HEX];
	int64_t generation;
	struct index_entry *v; /* sorted by path */
	size_t n;
	size_t alloc;
	struct pool *pool; /* owns the strings */
};

void index_init(struct index *index);
void index_release(struct index *index);
/* From what rendering made; stat members are 0. */
void index_from_fileset(struct index *index, const struct fileset *set);
struct index_entry *index_find(const struct index *index, const char *path);
/* Is there a file of this program? */
bool index_has_program(const struct index *index, enum program program);
/* Adds an entry at the end (strings are copied); index_sort() afterwards. */
struct index_entry *index_add(struct index *index, const struct index_entry *entry);
void index_sort(struct index *index);

/* 1 where it was read, 0 where there is none, -1 where it cannot be read or is damaged. */
int index_read(const struct root *root, const char *path, struct index *ret, struct err *err);
int index_write(const struct root *root, const char *path, const struct index *index,
		struct err *err);

/* Looks at each file and sets its drift. Where only stat differs and the content is the same, the
 * entry is refreshed and *ret_refreshed set. */
int index_verify(const struct root *root, struct index *index, bool *ret_refreshed,
		 struct err *err);
/* Takes over what stat said of the files that are the same in `from`. True where that was all of
 * them. */
bool index_carry_over(struct index *index, const struct index *from);
/* Records what stat says now. A file that is not there is an error. */
int index_stat(const struct root *root, struct index_entry *entry, struct err *err);

#endif
