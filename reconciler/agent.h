/*
 * The agent of one node: its configuration, what it remembers, and the loop around one pass
 * (reconciler/pass.h).
 *
 *	CLEANUP(agent_release) struct agent agent = AGENT_INIT;
 *	if (agent_open(&agent, &options, err) < 0) …
 *	agent_run(&agent, err);        until TERM or INT; or reconcile_once(&agent, &outcome, err)
 */
#ifndef RECONCILER_AGENT_H
#define RECONCILER_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "gitsync/mirror.h"
#include "reconciler/high_water.h"
#include "reconciler/holder.h"
#include "reconciler/index.h"
#include "reconciler/listener.h"
#include "reconciler/look.h"
#include "reconciler/metrics.h"
#include "reconciler/observe.h"
#include "reconciler/push.h"
#include "reconciler/reasons.h"
#include "reconciler/root.h"
#include "reconciler/services.h"
#include "reconciler/state.h"
#include "reconciler/took.h"
#include "reconciler/upkeep.h"
#include "spec/model.h"

struct agent_options {
	const char *root;   /* NULL: the machine's own */
	const char *config; /* a path of the machine; NULL: PATH_CONFIG in the root */
	bool dry_run;       /* plan and check, change nothing but the mirror */
};

/* The tip whose signatures were not good, so that they are not looked at again with every pass. */
struct unverified {
	char tip[GIT_OID_HEX];
	char signers[SHA256_HEX_SIZE]; /* digest of the node's files that it was judged by */
	enum reason reason;
	struct err why;
};

struct agent {
	struct pool *pool;
	struct root root;
	struct agent_config *config;
	const char *cluster;
	const char *node;
	bool dry_run;
	int lock_fd;
	int64_t started_at_s;
	struct mirror *mirror;
	struct poller *poller;
	struct state state;
	struct high_water high_water;
	struct index index;
	bool index_lost; /* it could not be read, or was never written */
	struct services *services;
	struct probe *probes; /* one for each of state.watch.services */
	/* monotonic, for the wall clock may jump */
	int64_t changed_ms;      /* when the node changed last */
	int64_t trial_until_ms;  /* 0: not known to this agent yet */
	int64_t sync_again_ms;   /* during a trial: not before */
	struct err sync_failure; /* of the last time that a repository was asked */
	size_t behind; /* the repository, counted from 1, that was found behind last; 0: none */
	struct unverified unverified;
	struct push push;
	struct look look; /* at the second repository, where there is one */
	struct upkeep upkeep;
	char ref_trouble
		[300]; /* what somebody else did to the own ref; told until the next heartbeat */
	struct listener listener; /* while agent_run() is at it */
	struct webhook_key *webhook_key;
	bool look_at_secrets; /* HUP: somebody says that something is new here */
	struct holder_memory holder;
	struct pass_counts counts;
	struct took_timer timer;
	char listen_error[1000];
	char last_error[1000]; /* the message that was logged last, so that it is said once */
};

#define AGENT_INIT                                                                                 \
	{                                                                                          \
		.root = ROOT_INIT, .lock_fd = -1, .push = PUSH_INIT, .look = LOOK_INIT,            \
		.upkeep = UPKEEP_INIT, .listener = LISTENER_INIT                                   \
	}

/* Reads the configuration, takes the lock (ERR_SYSTEM where another agent has it), opens the mirror
 * and the state. */
int agent_open(struct agent *agent, const struct agent_options *options, struct err *err);
void agent_release(struct agent *agent);
/* Passes until SIGTERM or SIGINT; SIGHUP makes one at once. Failed passes are logged and reported,
 * and come back with growing distance. -1 where the loop itself cannot go on. */
int agent_run(struct agent *agent, struct err *err);

#endif
