/*
 * Pushing the status while the loop goes on: a child of its own carries it out, so that a server that is slow or away holds up
 * no pass. One at a time; after a failure the next try waits, longer each time, and not for the same time as the other nodes.
 *
 *	push_take(agent);                  in the loop, when push.job.fd is readable, and before a push is begun
 *	if (push_is_due(agent)) push_begin(agent, &remote, oid, err);
 *	push_settle(agent, err);           at the end of one pass without a loop
 */
#ifndef RECONCILER_PUSH_H
#define RECONCILER_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "gitsync/mirror.h"
#include "reconciler/apart.h"

struct agent;

struct push {
	bool apart; /* in a child; else push_begin() does it itself, and returns when it is done */
	struct apart job;
	char oid[GIT_OID_HEX]; /* what is, or was last, on its way; "": nothing yet */
	const char *url;       /* where to */
	unsigned failures;     /* in a row */
	int64_t not_before_ms; /* clock_ms() */
	struct err why;        /* of the last failure, until one succeeds */
};

#define PUSH_INIT                                                                                  \
	{                                                                                          \
		.job = APART_INIT                                                                  \
	}

/* The repository at this address, as the agent's configuration says to talk to it. The status repository is known by its
 * pointer: config->status.repository. */
struct remote push_remote(const struct agent *agent, const char *url, const char *own_ref);
/* Takes the result of what is under way, if there is one by now: true where it was pushed. */
bool push_take(struct agent *agent);
/* Has a newer status been made since the one that was pushed? */
bool push_is_behind(const struct agent *agent);
/* May one begin now? */
bool push_is_due(const struct agent *agent);
/* Begins, or does it. -1 where it failed, or could not be begun. The remote's address must outlive it. */
int push_begin(struct agent *agent, const struct remote *remote, const char *oid, struct err *err);
/* Waits for what is under way, and then pushes what was made meanwhile. */
int push_settle(struct agent *agent, struct err *err);
/* Waits a little for what is under way, and breaks it off: the next agent pushes it again. */
void push_end(struct agent *agent);

#endif
