/*
 * The second repository, `status.repository` of agent.yaml, which holds the status refs alone: what other nodes wrote there, and
 * what it has of this node's own. A look is a fetch in a child of its own (reconciler/apart.h), so that a server that is slow or
 * away holds up no pass, and an idle pass costs what it costs without. It is due
 *
 * - when the agent begins, and before each push, so that nothing is overwritten that nobody has seen;
 * - when the branch moved, and when this node begins to need the others' addresses;
 * - every ten intervals where it needs them, and else with the heartbeat.
 *
 * Only a node that remembers nothing, as after the loss of its disk, waits for the first look, WAIT_MS at most.
 */
#ifndef RECONCILER_LOOK_H
#define RECONCILER_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "gitsync/mirror.h"
#include "reconciler/apart.h"

struct agent;

struct look {
	bool wait; /* the first one is waited for, whatever this node remembers */
	struct apart job;
	bool answered; /* has it, since the agent began? */
	bool is_fresh; /* and since the last push? */
	bool has_news; /* it has, and no pass has looked at it yet */
	bool with_peers;
	char there[GIT_OID_HEX]; /* what it has of the own ref; "": none */
	unsigned failures;       /* in a row */
	int64_t not_before_ms;   /* clock_ms() */
	int64_t again_ms;
	struct err why; /* of the last failure, until one succeeds */
};

#define LOOK_INIT                                                                                  \
	{                                                                                          \
		.job = APART_INIT                                                                  \
	}

/* Takes the result of what is under way, if there is one by now: true where a pass has to look at it. */
bool look_take(struct agent *agent);
/* Begins one where it is due. `moved`: the branch has. */
void look_begin(struct agent *agent, bool moved);
/* Is this a node that should not go on before it has heard of its past? Then waits. */
void look_wait(struct agent *agent);
/* A push has ended: it counts where it went there. */
void look_pushed(struct agent *agent, bool succeeded);
/* Waits for what is under way, and begins the push of what is not there yet. -1 where the look failed. */
int look_settle(struct agent *agent, struct err *err);

#endif
