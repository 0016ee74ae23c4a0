/* A node that lost its disk remembers by its status ref: how far it had come, and which commit did not work. */
#include <string.h>

#include "base/log.h"
#include "gitsync/status_ref.h"
#include "reconciler/steps.h"

/* More than a node makes in its life; what is beyond is not this program's. */
#define GENERATION_MAX (INT64_C(1) << 40)

static enum err_code code_of(const char *reason)
{
	static const enum err_code tried[] = {ERR_APPLY, ERR_HEALTH};

	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
		if (strcmp(err_code_reason(tried[i]), reason) == 0)
			return tried[i];
	return ERR_NONE;
}

/* A commit that had been tried and did not work is not tried again. What was refused before anything was touched is looked
 * at anew: that costs nothing, and this disk may have what the other one lacked. */
static void recall_quarantine(struct state *state)
{
	const struct node_status *status = &state->status;
	const struct condition *applied = status_condition(status, "Applied");
	enum err_code code = applied ? code_of(applied->reason) : ERR_NONE;

	if (!status->quarantined || strlen(status->quarantined) != GIT_OID_HEX - 1 || !code)
		return;
	memcpy(state->rejected.revision, status->quarantined, GIT_OID_HEX);
	state->rejected.key[0] = '\0';
	state->rejected.code = code;
	state->rejected.message = applied->message;
}

static bool is_own(const struct agent *agent, const struct node_status *status)
{
	return strcmp(status->cluster, agent->cluster) == 0 &&
	       strcmp(status->node, agent->node) == 0 && status->generation >= 0 &&
	       status->generation <= GENERATION_MAX;
}

/* The state has been begun anew meanwhile: it stays, but for the number and the commit that had not worked. */
static void recall_late(struct pass *p)
{
	struct agent *agent = p->agent;
	struct state *state = &agent->state;
	struct node_status now = state->status, earlier = {0};
	struct err err = {0};
	const char *json;
	size_t len;

	if (status_ref_read(agent->mirror, p->late_history, p->pool, &json, &len, &err) < 0 ||
	    status_from_json(json, len, state->pool, &earlier, &err) < 0 ||
	    !is_own(agent, &earlier))
		return;
	if (earlier.quarantined && strcmp(earlier.quarantined, state->revision) != 0 &&
	    !state->rejected.revision[0]) {
		state->status = earlier;
		recall_quarantine(state);
		state->status = now;
	}
	if (agent->index.generation < earlier.generation) {
		agent->index.generation = earlier.generation;
		/* The next agent reads it from there. */
		if (!agent->dry_run &&
		    index_write(&agent->root, PATH_INDEX, &agent->index, &err) < 0)
			log_warn("%s", err.msg);
	}
	p->dirty = true;
}

void step_recall(struct pass *p)
{
	struct agent *agent = p->agent;
	struct state *state = &agent->state;
	const char *own = status_ref_name(p->pool, agent->cluster, agent->node);
	char oid[GIT_OID_HEX];
	struct err err = {0};
	const char *json;
	size_t len;

	if (p->late_history) {
		recall_late(p);
		return;
	}
	if (state->status.node || mirror_resolve(agent->mirror, own, oid, &err) < 0)
		return;
	if (status_ref_read(agent->mirror, oid, p->pool, &json, &len, &err) < 0 ||
	    status_from_json(json, len, state->pool, &state->status, &err) < 0 ||
	    !is_own(agent, &state->status)) {
		memset(&state->status, 0, sizeof(state->status));
		log_warn("the status ref says nothing of this node's past%s%s",
			 err.code ? ": " : "", err.msg);
		return;
	}
	recall_quarantine(state);
	if (agent->index.generation < state->status.generation)
		agent->index.generation = state->status.generation;
	p->dirty = true;
	log_info("the state was lost: the status ref says generation %lld, %.7s",
		 (long long)state->status.generation,
		 state->status.applied ? state->status.applied : "nothing");
}
