/* Names of two words for new nodes: brave-panda, misty-owl. */
#ifndef BOOTSTRAP_NAMES_H
#define BOOTSTRAP_NAMES_H

#include "base/pool.h"
#include "spec/model.h"

/* The i-th name (from 0) that no node of the cluster has; the same for the same cluster, so that two
 * looks propose the same. There are more than a cluster may have nodes. In the pool. */
const char *node_name_propose(const struct cluster *cluster, unsigned i, struct pool *pool);
/* For a cluster that is not there yet. */
const char *node_name_first(const char *cluster, struct pool *pool);

#endif
