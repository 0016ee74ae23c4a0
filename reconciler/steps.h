/*
 * The steps of one pass, and what they hand to one another. Only the files of the steps and pass.c
 * include this.
 */
#ifndef RECONCILER_STEPS_H
#define RECONCILER_STEPS_H

#include "base/err.h"
#include "gitsync/mirror.h"
#include "gitsync/status_ref.h"
#include "reconciler/agent.h"
#include "reconciler/candidate.h"
#include "reconciler/node_facts.h"
#include "reconciler/observe.h"
#include "reconciler/pass.h"

/* Why the branch's tip may not be looked at any further. */
struct refusal {
	struct err err;     /* code ERR_NONE: it may */
	enum reason reason; /* of the condition */
	bool is_forward;    /* the rule that it breaks: forward only, or else the signatures */
};

struct pass {
	struct agent *agent;
	struct outcome *outcome;
	struct pool *pool;
	struct remote remote;     /* the one that answered */
	struct remote_refs refs;  /* what it has; empty where none answered */
	struct err synced;        /* why none did */
	const char *behind;       /* a repository that was passed over, in words; NULL: none */
	const char *foreign;      /* this node's status ref, where somebody else wrote it; NULL */
	const char *late_history; /* its earlier commit, found after others were made here; NULL */
	bool moved;               /* the repository had something new */
	char tip[GIT_OID_HEX];    /* of the branch, "" where none is known */
	struct refusal refused;   /* the tip is not to be taken, whatever is in it */
	struct node_facts facts;
	bool has_facts;
	const char *unfinished; /* the apply whose journal is there, as a cause; NULL: none */
	bool suspended;
	char pinned[GIT_OID_HEX]; /* the commit to be at instead of the tip; "": none */
	const char *held;         /* what a person has ordered, for the status; NULL: nothing */
	bool drifted;
	struct candidate *applied;   /* what this pass applied */
	struct level_health machine; /* infrastructure */
	bool falls_back;             /* to what was there before: at once */
	const char
		*waits; /* what new containers have to show before they are taken; NULL: nothing */
	struct observation seen;
	bool has_seen;
	bool proved; /* the applied revision has shown that it works */
	bool dirty;  /* the state is another one than the file's */
};

/* sync.c: polls, and fetches where there is something new. No answer is in p->synced and no error:
 * the node goes on with what it has. */
void step_sync(struct pass *p);
/* sync.c: pushes the own status ref where the server's is another one. */
int push_status(struct pass *p, struct err *err);

/* recall.c: where the state was lost with the disk, what the own status ref says of it. */
void step_recall(struct pass *p);

/* admit.c: does the tip continue what this node has applied? If not, that is in p->refused. -1: it cannot be told. */
int step_admit(struct pass *p, struct err *err);
/* admit.c: what is applied is the new high-water mark, where it is the tip. */
int admit_applied(struct pass *p, struct err *err);

/* converge.c: the inputs of rendering besides the commit. */
int step_gather(struct pass *p, struct err *err);
/* converge.c: every managed file against the index. */
int step_look_at_disk(struct pass *p, struct err *err);
/* converge.c: has a person told the node to stay as it is, or to go back? */
int step_read_orders(struct pass *p, struct err *err);
/* converge.c: to the branch's tip, or, where that cannot be had, to what was applied last. */
int step_converge(struct pass *p, struct candidate *c, struct err *err);
/* converge.c: this commit is not tried again until the branch or the inputs change. */
void reject(struct pass *p, const char *revision, const struct err *why);
/* converge.c: to a revision that was there before. */
int fall_back(struct pass *p, const char *to, struct candidate *c, struct err *err);

/* leave.c: a node that the tip names no more goes out of the traffic, and one that it names again comes back. */
void step_leave(struct pass *p);

/* trial.c: asks the programs and the services. */
void step_observe(struct pass *p);
/* trial.c: a new revision has until its health_timeout to become healthy, or is taken back. */
void trial_begin(struct pass *p, const struct candidate *c);
int step_judge(struct pass *p, struct candidate *c, struct err *err);

/* publish.c: who signs this node's status commits; no `sign` where they are not signed. */
struct status_signer own_signer(struct pass *p);
/* publish.c: the status, its commit, the state file, the push. `failed` NULL: nothing did. */
int step_report(struct pass *p, const struct err *failed, struct err *err);

#endif
