/* Names of refs: which ones Dynia lets near a repository. */
#ifndef GITSYNC_REFS_H
#define GITSYNC_REFS_H

#include <stdbool.h>

#include "base/pool.h"

#define HEADS_PREFIX "refs/heads/"
#define STATUS_PREFIX "refs/heads/status/"
/* Where a clone by git has them. */
#define STATUS_PREFIX_CLONE "refs/remotes/origin/status/"

/* A branch to follow: valid for git, no option, and not in the place of the status refs. */
bool is_branch_name(const char *branch);
/* Is it PREFIX CLUSTER / NODE, both of them names? cluster NULL: any. */
bool is_status_ref(const char *ref, const char *prefix, const char *cluster);
/* The parts of such a ref, in the pool. */
void status_ref_split(const char *ref, const char *prefix, struct pool *pool,
		      const char **ret_cluster, const char **ret_node);

#endif
