/* May the branch's tip be taken at all? History only moves forward. */
#include <string.h>

#include "base/log.h"
#include "reconciler/high_water.h"
#include "reconciler/steps.h"

/* A person's word on the node comes before what the marks say. */
static int take_order(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	char accepted[GIT_OID_HEX];
	int there = accept_history_read(&agent->root, accepted, err);

	if (there <= 0)
		return there;
	if (agent->dry_run)
		return 0;
	log_warn("the history of %.7s is accepted, by order on this node", accepted);
	return accept_history_take(&agent->root, &agent->high_water, accepted, err);
}

/* 1: the tip contains all marks; 0: not, and why; -1. */
static int is_forward(struct pass *p, struct err *err)
{
	const struct commit_list *marks = &p->agent->high_water.marks;

	for (size_t i = 0; i < marks->n; i++) {
		const char *mark = marks->v[i];
		const char *who = i == 0 ? "this node has applied"
					 : "its status ref says this node has applied";
		int older, forward = mirror_is_ancestor(p->agent->mirror, mark, p->tip, err);

		if (forward < 0)
			return -1;
		if (forward)
			continue;
		older = mirror_is_ancestor(p->agent->mirror, p->tip, mark, err);
		/* Of a mark that the mirror does not know nothing more can be said. */
		if (older < 0)
			err_clear(err);
		p->refused.is_forward = true;
		p->refused.reason = older > 0 ? REASON_OLDER_HISTORY : REASON_HISTORY_REWRITTEN;
		err_set(&p->refused.err, ERR_VERIFY,
			"%.7s %s %.7s, which %s, and history only moves forward: push a commit on "
			"top of %.7s, or "
			"run 'dynia reconcile --accept-history %.7s' on this node",
			p->tip, older > 0 ? "is older than" : "does not descend from", mark, who,
			mark, p->tip);
		return 0;
	}
	return 1;
}

int step_admit(struct pass *p, struct err *err)
{
	if (take_order(p, err) < 0)
		return -1;
	if (!p->tip[0])
		return 0;
	return is_forward(p, err) < 0 ? -1 : 0;
}

int admit_applied(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;

	if (agent->dry_run || strcmp(agent->state.revision, p->tip) != 0 ||
	    !high_water_advance(&agent->high_water, p->tip))
		return 0;
	return high_water_write(&agent->root, &agent->high_water, err);
}
