#include "reconciler/pass.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "reconciler/holder.h"
#include "reconciler/steps.h"

static void pass_begin(struct pass *p, struct agent *agent, struct outcome *outcome)
{
	memset(p, 0, sizeof(*p));
	p->agent = agent;
	p->outcome = outcome;
	p->pool = pool_new();
	outcome->changed = false;
	outcome->unsynced = false;
	outcome->on_trial = false;
	outcome->starting = false;
	outcome->planned = false;
	services_forget(agent->services);
	took_begin_pass(&agent->timer);
}

static void pass_end(struct pass *p)
{
	took_end_pass(&p->agent->timer, p->outcome->on_trial);
	node_facts_release(&p->facts);
	pool_free(p->pool);
}

/* What stopped the pass, and that no repository answered, in one message. */
static int unsynced_too(const struct pass *p, int failed, struct err *err)
{
	struct err why = *err;

	if (!p->synced.code)
		return -1;
	if (!failed || strcmp(why.msg, p->synced.msg) == 0)
		return err_set(err, p->synced.code, "%s", p->synced.msg);
	return err_set(err, why.code, "%s; and %.400s", p->synced.msg, why.msg);
}

/* The answer to a dry run: what would be done, and what it was found out from. */
static int end_dry_run(struct pass *p, int failed, struct err *err)
{
	p->outcome->planned = !failed;
	if (failed || !p->synced.code || !p->tip[0])
		return failed || p->synced.code ? unsynced_too(p, failed, err) : 0;
	return err_set(err, p->synced.code,
		       "the plan is made against %.7s, which the mirror has, and no repository was "
		       "reached: %.700s",
		       p->tip, p->synced.msg);
}

/* That it was not reported hides nothing else. */
static void unreported_too(int failed, const struct err *report, struct err *err)
{
	struct err why = *err;

	if (failed)
		err_set(err, why.code, "%.400s; and %.300s", why.msg, report->msg);
	else
		*err = *report;
}

int reconcile_once(struct agent *agent, struct outcome *outcome, struct err *err)
{
	CLEANUP(candidate_release) struct candidate candidate;
	CLEANUP(pass_end) struct pass pass;
	struct err report = {0};
	int failed = 0;

	candidate_init(&candidate);
	pass_begin(&pass, agent, outcome);
	step_sync(&pass);
	step_recall(&pass);
	failed = step_admit(&pass, err);
	took_found(&agent->timer, pass.tip);
	if (!failed)
		failed = step_gather(&pass, err);
	if (!failed)
		failed = step_look_at_disk(&pass, err);
	if (!failed)
		failed = step_read_orders(&pass, err);
	if (!failed && !pass.suspended) {
		failed = step_converge(&pass, &candidate, err);
		step_leave(&pass);
	}
	if (agent->dry_run)
		return end_dry_run(&pass, failed, err);
	step_observe(&pass);
	/* What is on trial goes on being judged while its successor is refused. */
	if ((!failed || pass.refused.err.code) && !pass.suspended &&
	    step_judge(&pass, &candidate, err) < 0)
		failed = -1;
	step_hold(&pass);
	if (step_report(&pass, failed ? err : NULL, &report) < 0) {
		unreported_too(failed, &report, err);
		failed = -1;
	}
	return failed || pass.synced.code ? unsynced_too(&pass, failed, err) : 0;
}
