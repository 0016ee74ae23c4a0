/*
 * What the agent remembers between passes: PATH_STATE, one JSON file replaced as a whole. All of it
 * can be made anew: without it the next pass looks at everything again.
 */
#ifndef RECONCILER_STATE_H
#define RECONCILER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/pool.h"
#include "gitsync/mirror.h"
#include "reconciler/root.h"
#include "reconciler/services.h"
#include "reconciler/status.h"
#include "reconciler/watch.h"

/* A commit that this node does not take; tried again when the branch or the node's inputs change.
 */
struct rejection {
	char revision[GIT_OID_HEX]; /* "" where there is none */
	char key[SHA256_HEX_SIZE];
	enum err_code code;
	const char *message;
};

/* Was it refused after it had been tried, or before anything was touched? */
bool rejection_was_tried(const struct rejection *r);

/* A revision that has been applied, and has not shown yet that it works. */
struct trial {
	char revision[GIT_OID_HEX]; /* "" where there is none */
	char back_to[GIT_OID_HEX];  /* the last good one, "" where there is none */
	int64_t until_s;            /* wall clock */
	int64_t timeout_s;          /* the whole of it */
	const char **excused;       /* services that were ill before */
	size_t n_excused;
};

struct state {
	struct pool *pool;
	char revision[GIT_OID_HEX]; /* applied; "" before the first */
	char key[SHA256_HEX_SIZE];  /* of that revision with the inputs that it was rendered from */
	json_t *inputs;
	bool needs_peers;        /* some node's address comes from its status ref */
	int64_t good_generation; /* the last that was seen to be healthy; 0: none */
	struct rejection rejected;
	struct trial trial;
	bool has_watch;
	struct watch watch;
	struct service_records containers; /* of what is applied */
	struct node_status status;         /* the last one made */
	char published[SHA256_HEX_SIZE];   /* digest of what the status ref says, less the time of
					    looking */
	int64_t published_at_s;
};

void state_init(struct state *state);
void state_release(struct state *state);
/* 1 read, 0 there is none, -1 unreadable or damaged (the state is then empty, and usable). */
int state_read(const struct root *root, struct state *ret, struct err *err);
int state_write(const struct root *root, const struct state *state, struct err *err);
/* Do the other nodes' statuses matter? An address comes from there; and a node that the branch names no more leaves once another
 * has taken over (reconciler/leave.h). */
bool state_heeds_peers(const struct state *state);
/* One revision with one set of inputs; NULL where they could not be found out. */
void state_key(const char *revision, const json_t *inputs, char ret[SHA256_HEX_SIZE]);

#endif
