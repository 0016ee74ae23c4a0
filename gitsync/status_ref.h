/*
 * A node's status ref: refs/heads/status/CLUSTER/NODE, an orphan history that only this node
 * writes. Each commit's tree holds status.json alone; its message is the line a person wants in
 * `git log`.
 */
#ifndef GITSYNC_STATUS_REF_H
#define GITSYNC_STATUS_REF_H

#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "base/strbuf.h"
#include "gitsync/mirror.h"

#define STATUS_FILE "status.json"
#define STATUS_SIZE_MAX (1 << 20)

/* "refs/heads/status/CLUSTER/NODE", in the pool. */
const char *status_ref_name(struct pool *pool, const char *cluster, const char *node);

/* Signs commits: gives the armoured signature of a payload. */
struct status_signer {
	int (*sign)(void *arg, const char *payload, size_t len, struct strbuf *ret,
		    struct err *err);
	void *arg;
};

/* Adds a commit with this content to the ref in the mirror (not pushed). Author and committer:
 * "NODE" with the address "NODE@CLUSTER.dynia.invalid". keep > 0 bounds the history: where it has
 * grown past keep + keep / 4 commits, the newest `keep` are written anew with no parent behind
 * them. signer NULL: commits are not signed. */
int status_ref_commit(struct mirror *m, const char *cluster, const char *node, const char *json,
		      size_t len, const char *message, int64_t time_s, int64_t keep,
		      const struct status_signer *signer, struct err *err);

/*
 * What a repository was last known to have of the own ref, remembered in the mirror as git does it for a remote: where it
 * has something else, somebody else wrote it. "" where nothing is remembered. `url` is the repository's.
 */
void status_ref_pushed(struct mirror *m, const char *url, const char *cluster, const char *node,
		       char ret_oid[GIT_OID_HEX]);
/* oid "": it has none any more. */
int status_ref_set_pushed(struct mirror *m, const char *url, const char *cluster, const char *node,
			  const char *oid, struct err *err);
/* Writes the own ref's commits anew on top of `onto`, at most the newest `keep`: what was made here before this node's earlier
 * history was known. */
int status_ref_rebase(struct mirror *m, const char *cluster, const char *node, const char *onto,
		      int64_t keep, const struct status_signer *signer, struct err *err);
/* Sets the own ref in the mirror to a commit that is there: a newer history of this node's. */
int status_ref_adopt(struct mirror *m, const char *cluster, const char *node, const char *oid,
		     struct err *err);

struct status_entry {
	const char *cluster;
	const char *node;
	char oid[GIT_OID_HEX];
	int64_t time_s;
	const char *subject;
};

struct status_entries {
	struct status_entry *v; /* by cluster, then node */
	size_t n;
};

/* The newest commit of each status ref, in refs/heads/status/ and, for a clone,
 * refs/remotes/origin/status/ (where both are there, the newer one). cluster NULL: all. A name that
 * is none is left out. */
int status_ref_list(struct mirror *m, const char *cluster, struct pool *pool,
		    struct status_entries *ret, struct err *err);
/* status.json of a commit, in the pool. Not checked: it is a stranger's. More than STATUS_SIZE_MAX
 * is ERR_LIMIT. */
int status_ref_read(struct mirror *m, const char *oid, struct pool *pool, const char **ret_json,
		    size_t *ret_len, struct err *err);
/* The ref's history, newest first, at most `most` entries. */
int status_ref_log(struct mirror *m, const char *cluster, const char *node, size_t most,
		   struct pool *pool, struct status_entries *ret, struct err *err);

#endif
