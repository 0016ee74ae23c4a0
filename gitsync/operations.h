/*
 * One request to talk with a remote, as the worker has it, and what the ways to do it share. Only
 * the files of the worker's side include this.
 */
#ifndef GITSYNC_OPERATIONS_H
#define GITSYNC_OPERATIONS_H

#include <git2.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/pool.h"
#include "gitsync/ls_refs.h"
#include "gitsync/transport.h"

struct job {
	struct pool *pool;
	struct endpoint endpoint;
	const char *branch;     /* as in agent.yaml; NULL: only the status refs */
	const char *branch_ref; /* refs/heads/BRANCH, or NULL */
	const char *cluster;
	const char *own_ref; /* this node's status ref; NULL: none */
	bool peers;          /* the cluster's other status refs, too */
	const json_t *haves; /* ids of commits that the mirror has, with all that is behind them */
};

/* For struct ls_refs: the branch and the status refs that the job asks for. `arg` is the job. */
enum ref_interest job_wants(const void *arg, const char *name);
/* -1 and a message where the branch is wanted, and not there. */
int job_check_branch(const struct job *job, const struct ls_refs *refs, struct err *err);
/* A repository that has the mirror's objects (descriptor 3) and no refs, configuration or folder.
 * More objects can be added to its database. */
int job_open_objects(git_repository **ret, struct err *err);

/* The pack that a fetch receives, as a file in the worker's folder. */
struct pack_file {
	int fd;
	size_t bytes;
};

int pack_file_create(struct pack_file *ret, struct err *err);
/* More than the limit is ERR_LIMIT. */
int pack_file_add(struct pack_file *file, const void *data, size_t len, struct err *err);
void pack_file_close(struct pack_file *file);

#endif
