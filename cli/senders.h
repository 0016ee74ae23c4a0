/*
 * Which nodes still send to others, by their status refs: what bootstrap asks while a node that goes is drained
 * (boot_options.senders). A clone's are fetched first, with the git of whoever runs this, as `git fetch` would.
 */
#ifndef CLI_SENDERS_H
#define CLI_SENDERS_H

#include "base/err.h"
#include "base/pool.h"
#include "gitsync/mirror.h"
#include "spec/model.h"

struct senders {
	struct mirror
		*mirror; /* of the repository that the command is pointed at; NULL: it is none */
	const struct cluster *cluster;
};

/* arg: a struct senders. Nodes that have said nothing for three heartbeats are taken for dead. */
int senders_ask(void *arg, const char *const *nodes, size_t n, struct pool *pool, const char **ret,
		struct err *err);

#endif
