/*
 * One pass, from git to git. reconcile_once() names every step in order; each step is a function in
 * pass.c that reads what the ones before it found out.
 */
#ifndef RECONCILER_PASS_H
#define RECONCILER_PASS_H

#include "base/err.h"
#include "reconciler/agent.h"
#include "reconciler/plan.h"

struct outcome {
	bool changed;  /* something was done; with dry_run: there is something to do */
	bool on_trial; /* a new revision is not healthy yet: look again soon */
	bool starting; /* new containers have to show beside the old ones that they work */
	bool unsynced; /* no remote answered: look again later, with back-off */
	bool planned;  /* dry_run: what there is to do was found out, also where -1 is returned */
	/* dry_run: called with the plan before it is forgotten; may be NULL */
	void (*show)(const struct plan *plan, const char *revision, void *arg);
	void *show_arg;
};

/* 0: the node is at what the repository says, and that was reported. -1: it is not, err says why,
 * and what can be reported was. Both leave the node serving what it has. With dry_run, 0: the plan
 * was made against what the repository has now. */
int reconcile_once(struct agent *agent, struct outcome *outcome, struct err *err);

#endif
