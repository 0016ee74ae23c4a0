/* From what a pass found out to status.json, its conditions, and the commit on the node's status
 * ref. */
#ifndef RECONCILER_REPORT_H
#define RECONCILER_REPORT_H

#include "base/err.h"
#include "reconciler/agent.h"
#include "reconciler/candidate.h"
#include "reconciler/node_facts.h"
#include "reconciler/observe.h"
#include "reconciler/reasons.h"

/* What report_status() is made from. Members that a pass did not come to are NULL or zero. */
struct findings {
	const char *desired;          /* the branch's tip, or NULL */
	const struct err *synced;     /* why no remote answered, or NULL */
	const char *behind;           /* a repository that was passed over, in words, or NULL */
	const struct err *refused;    /* why the branch's tip may not be taken, or NULL */
	enum reason refused_reason;   /* of the condition */
	bool refused_forward;         /* it is Synced that is not True, or else Verified */
	const char *foreign;          /* a ref of this node's that somebody else wrote, or NULL */
	const struct err *unreported; /* why the status did not get to its repository, or NULL */
	const char *ref_trouble;      /* what somebody else did lately to the own ref, or NULL */
	const struct err *failed;     /* what stopped the pass, or NULL */
	const struct node_facts *facts;
	const struct level_health *machine; /* infrastructure; NULL: not looked at */
	const struct observation *seen; /* NULL: nothing is applied, or it could not be looked at */
	const struct candidate *applied; /* the revision that was applied in this pass, or NULL */
	const char *held;                /* what a person has ordered, or NULL */
	const char *waits;               /* what new containers have still to show, or NULL */
	bool proved; /* the applied revision has shown in this pass that it works */
	int64_t generation;
};

/* The new status; in the pool, and borrowing from the agent and the findings. */
void report_status(const struct agent *agent, const struct findings *found, int64_t now_s,
		   struct pool *pool, struct node_status *ret);
/* The line that a person wants in `git log`. */
const char *report_subject(const struct node_status *status, struct pool *pool);
/* A digest of what the status says, less the times and the count of servers that are up: another
 * one is a transition. */
void report_digest(const struct node_status *status, char ret[SHA256_HEX_SIZE]);

#endif
