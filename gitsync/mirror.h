/*
 * The local copy of the repository: a bare mirror in the agent's state, or any repository of a
 * user's for the commands that look at one. Remotes are only ever talked to by a worker
 * (gitsync/worker.h), so a server that hangs or lies costs one process and no memory of the
 * agent's.
 *
 * In the mirror the remote's branch is at refs/heads/BRANCH, the status refs at
 * refs/heads/status/CLUSTER/NODE: the names that they have on the server. This node's own status
 * ref is written here first and then pushed.
 *
 *	CLEANUP(mirror_freep) struct mirror *m = NULL;
 *	mirror_create(path, &m, NULL, err);
 *	remote_poll(m, &remote, &refs, err);           one round trip: what the server has
 *	remote_fetch(m, &remote, own_ref, err);        brings the branch and the status refs
 *	mirror_resolve(m, "refs/heads/main", oid, err);
 *	snapshot_open(m, oid, &src, err);
 *
 * Damage that shows only later (an object that cannot be read) is remembered, and the mirror is
 * made anew by the next remote_poll() or remote_fetch() when no snapshot is open: its refs are gone
 * then, until they are fetched. So fetch where the mirror's id of the branch is not the polled one,
 * or is none.
 */
#ifndef GITSYNC_MIRROR_H
#define GITSYNC_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "spec/model.h"
#include "spec/source.h"

/* 40 hex digits and a NUL. */
#define GIT_OID_HEX 41

struct mirror;

/* Opens the bare repository at path, made where it is missing (mode 0700). One that is damaged
 * beyond opening is moved aside to PATH.broken and made anew: everything in it can be fetched
 * again. *ret_replaced says so (may be NULL). What a killed process left in it, lock files among
 * them, is removed: the caller sees to it that one process at a time has it open in this way. */
int mirror_create(const char *path, struct mirror **ret, bool *ret_replaced, struct err *err);
/* Opens what is there: a work tree, a folder below one, or a bare repository. Writes nothing. */
int mirror_open(const char *path, struct mirror **ret, struct err *err);
/* Makes the folder a git repository with a work tree, branch main, unless it is in one already. */
int mirror_init_worktree(const char *path, struct err *err);
void mirror_free(struct mirror *m);
void mirror_freep(struct mirror **m);
/* The root of the work tree, or NULL for a bare one. */
const char *mirror_workdir(const struct mirror *m);
/* The folder of git's own files. */
const char *mirror_git_dir(const struct mirror *m);

/* A branch, tag, HEAD~2, abbreviated or full id to the commit's id. */
int mirror_resolve(struct mirror *m, const char *rev, char ret_oid[GIT_OID_HEX], struct err *err);
/* Is `ancestor` the commit itself or behind it? 1, 0 (also where `ancestor` is not known), or -1.
 */
int mirror_is_ancestor(struct mirror *m, const char *ancestor, const char *oid, struct err *err);
/* First line of the commit's message, its author's name and time. In the pool. */
struct commit_info {
	const char *subject;
	const char *author;
	int64_t time_s;
};
int mirror_commit_info(struct mirror *m, const char *oid, struct pool *pool,
		       struct commit_info *ret, struct err *err);

/* The files of one commit. The mirror must outlive it. */
int snapshot_open(struct mirror *m, const char *oid, struct source **ret, struct err *err);

/* --- remotes ------------------------------------------------------------------------- */

/* What a remote is asked for. */
enum remote_part {
	REMOTE_ALL,
	REMOTE_BRANCH, /* the status refs are in another repository */
	REMOTE_STATUS, /* and this is that one: it may have no branch */
};

struct remote {
	enum remote_part part;
	const char *url; /* https, ssh, git, file or a path; see remote_supported() */
	const char *branch;
	const char *cluster; /* whose status refs come along */
	const char *own_ref; /* of them this node's, NULL: none */
	bool peers;          /* remote_poll() lists the other nodes', too */
	int deadline_ms;
	/* Who we are to it. The files are read by the agent for each operation, below root_fd. */
	const struct credentials *credentials; /* NULL: nobody */
	const char *credentials_at; /* where a message says that they are; NULL: "credentials" */
	const char *ca_file;        /* https: NULL: the machine's authorities */
	const char *proxy;          /* https: http://HOST:PORT; NULL: none */
	int root_fd;                /* 0: the machine's own root */
	struct poller *poller;      /* for remote_poll(); NULL: a worker asks each time */
};

struct remote_ref {
	const char *name;
	char oid[GIT_OID_HEX];
};

struct remote_refs {
	struct pool *pool; /* given by the caller */
	struct remote_ref *v;
	size_t n;
	bool cut_off; /* there were more than are kept */
};

/* 0 where the address can be taken apart and is of a transport that there is; -1 and a message
 * that names those. */
int remote_supported(const char *url, struct err *err);
/* Lists the branch, the own status ref and, where `peers` says so, the cluster's other ones on the
 * server, as far as `part` goes; nothing else is kept. A branch that is not there is no error here. ERR_NETWORK, ERR_GIT. */
int remote_poll(struct mirror *m, const struct remote *remote, struct remote_refs *ret,
		struct err *err);
/* The id of a ref in such a list, or NULL. */
const char *remote_refs_find(const struct remote_refs *refs, const char *name);
/* Brings the branch and, unless `part` is REMOTE_BRANCH, the cluster's status refs (but not `own_ref`, which only this node writes,
 * and which is fetched only where the mirror has none: a node that lost its disk). Status refs that
 * the server no longer has are removed. ERR_NETWORK, ERR_GIT (also: no such branch), ERR_LIMIT. */
int remote_fetch(struct mirror *m, const struct remote *remote, const char *own_ref,
		 struct err *err);
/* What a status repository has. */
struct status_found {
	char own[GIT_OID_HEX]; /* this node's ref; "": it has none */
	bool moved;            /* another node's ref is another one than before */
};
/* Of a repository that has the status refs alone (REMOTE_STATUS): brings remote->own_ref's commits, and with `peers` the
 * cluster's other status refs. The own ref in the mirror stays as it is. It may go on in a process of its own while this one
 * fetches and commits: it never makes a damaged mirror anew. */
int remote_fetch_status(struct mirror *m, const struct remote *remote, struct status_found *ret,
			struct err *err);
/* Does one address lead to the same scheme, host and port as the other? What cannot be taken apart does not. */
bool remote_is_same_host(const char *url, const char *other);
/* Pushes one ref by force: nobody else writes it. */
int remote_push(struct mirror *m, const struct remote *remote, const char *ref, struct err *err);

#endif
