/*
 * The holder of the cluster's address keeps the reserved IP and the records (bootstrap/holder.h): at
 * once when VRRP has made it the holder, a revision was applied or a token came, and now and then. In
 * a child with a deadline: a cloud API that hangs costs a pass seconds. What fails is logged, said in the status (condition Holding),
 * tried again with growing distance, and never stops the node.
 */
#ifndef RECONCILER_HOLDER_H
#define RECONCILER_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "gitsync/mirror.h"

/* What the agent remembers between two looks. */
struct holder_memory {
	char vrrp[64];                 /* the last line of PATH_VRRP */
	char revision[GIT_OID_HEX];    /* the records are of */
	char secrets[SHA256_HEX_SIZE]; /* the digest of those that the tokens are among */
	int64_t due_ms;
	unsigned failed;    /* in a row */
	bool holds;         /* this node is the holder, and there is something to keep */
	struct err trouble; /* of the last look */
};

struct pass;

void step_hold(struct pass *p);

#endif
