/* Does what was applied work? A new revision is on trial until it does, or is taken back. */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "reconciler/infrastructure.h"
#include "reconciler/levels.h"
#include "reconciler/runtime.h"
#include "reconciler/steps.h"

static void look_at_machine(struct pass *p)
{
	const struct level_health *before = &p->agent->state.status.levels[LEVEL_INFRASTRUCTURE];
	bool was_ill = before->health && !health_is_good(before->health);

	p->machine = (struct level_health) {0};
	infrastructure_look(&p->agent->root,
			    p->has_facts
				    ? node_certificates(&p->facts, p->agent->state.watch.at.runtime)
				    : NULL,
			    clock_wall_s(), was_ill, p->pool, &p->machine);
}

/* What Docker says of each service that is in containers. */
static void look_at_containers(struct pass *p)
{
	struct agent *agent = p->agent;
	const struct state *state = &agent->state;
	struct level_health *level = &p->seen.container;
	struct container_health *all;
	struct err err = {0};

	if (!state->containers.n)
		return;
	p->seen.listed = services_look(agent->services, &agent->root, &err);
	all = pool_calloc(p->pool, state->watch.n_services + 1, sizeof(*all));
	for (size_t i = 0; i < state->watch.n_services; i++) {
		const struct watched_service *s = &state->watch.services[i];
		const struct service_record *record = records_find(&state->containers, s->name);

		if (record)
			service_judge(agent->services, &agent->root, record, s->path != NULL,
				      p->pool, &all[i]);
		if (record && p->seen.listed && !health_is_good(all[i].health))
			level_add(level, p->pool, all[i].health, all[i].reason, "%s",
				  all[i].message);
	}
	p->seen.containers = all;
	if (!p->seen.listed) {
		level_add(level, p->pool, "unknown", REASON_DOCKER_UNAVAILABLE, "%s", err.msg);
		level_add(&p->machine, p->pool, "degraded", REASON_DOCKER_UNAVAILABLE, "%s",
			  err.msg);
	}
	level_end(level, REASON_HEALTHY);
}

void step_observe(struct pass *p)
{
	struct agent *agent = p->agent;
	const struct state *state = &agent->state;
	struct err err = {0};

	look_at_machine(p);
	if (!state->has_watch)
		return;
	if (p->applied && p->outcome->changed)
		agent->changed_ms = clock_ms();
	p->has_seen = observe_node(&agent->root, &state->watch, agent->probes,
				   clock_ms() - agent->changed_ms, p->pool, &p->seen, &err) == 0;
	if (!p->has_seen)
		log_error("look at the node: %s", err.msg);
	else
		look_at_containers(p);
}

/* --- the trial ----------------------------------------------------------------------- */

/* Services that were ill already are no fault of the new revision's. */
static void excuse_the_ill(struct pass *p, struct trial *trial)
{
	const struct node_status *before = &p->agent->state.status;

	trial->excused = pool_calloc(p->pool, before->n_services + 1, sizeof(*trial->excused));
	trial->n_excused = 0;
	for (size_t i = 0; i < before->n_services; i++)
		if (!health_is_good(before->services[i].health))
			trial->excused[trial->n_excused++] = before->services[i].name;
}

void trial_begin(struct pass *p, const struct candidate *c)
{
	struct state *state = &p->agent->state;
	struct trial *trial = &state->trial;
	/* A revision that was itself on trial is nothing to go back to. */
	bool again = trial->revision[0] != '\0';
	const char *good = again ? trial->back_to : state->status.last_good;

	if (!again)
		excuse_the_ill(p, trial);
	trial->back_to[0] = '\0';
	if (good && strcmp(good, c->revision) != 0)
		memmove(trial->back_to, good, GIT_OID_HEX);
	memcpy(trial->revision, c->revision, GIT_OID_HEX);
	trial->timeout_s = c->cluster->rollout.health_timeout_ms / 1000;
	trial->until_s = clock_wall_s() + trial->timeout_s;
	p->agent->trial_until_ms = clock_ms() + trial->timeout_s * 1000;
}

static bool is_excused(const struct trial *trial, const char *service)
{
	for (size_t i = 0; i < trial->n_excused; i++)
		if (strcmp(trial->excused[i], service) == 0)
			return true;
	return false;
}

/* What speaks against the revision, in words, or NULL. */
static const char *complaint(const struct pass *p)
{
	struct level_health levels[LEVEL_COUNT] = {0};
	const struct agent *agent = p->agent;
	const struct watch *watch = &agent->state.watch;

	if (!p->has_seen)
		return "the node could not be looked at";
	levels_judge(&p->seen, watch, agent->probes, p->pool, levels);
	if (!health_is_good(levels[LEVEL_SERVICE].health))
		return levels[LEVEL_SERVICE].message;
	for (size_t i = 0; i < watch->n_services; i++) {
		const struct probe *probe = &agent->probes[i];
		const struct container_health *c =
			p->seen.containers ? &p->seen.containers[i] : NULL;

		if (container_is_worse(c, probe->health) &&
		    !is_excused(&agent->state.trial, watch->services[i].name))
			return pool_printf(p->pool, "service %s is %s: %s", watch->services[i].name,
					   c->health, c->message);
		if (!health_is_good(probe->health) &&
		    !is_excused(&agent->state.trial, watch->services[i].name))
			return pool_printf(p->pool, "service %s is %s%s%s", watch->services[i].name,
					   probe->health, probe->message[0] ? ": " : "",
					   probe->message);
	}
	return NULL;
}

/* The wall clock counts only for the trial that an agent before this one began, and never for more than the whole of it: it
 * may jump. */
static bool is_over(struct agent *agent)
{
	const struct trial *trial = &agent->state.trial;
	int64_t left_s = trial->until_s - clock_wall_s();

	if (!agent->trial_until_ms) {
		if (left_s < 0)
			left_s = 0;
		if (left_s > trial->timeout_s)
			left_s = trial->timeout_s;
		agent->trial_until_ms = clock_ms() + left_s * 1000;
	}
	return clock_ms() >= agent->trial_until_ms;
}

static void trial_end(struct pass *p)
{
	memset(&p->agent->state.trial, 0, sizeof(p->agent->state.trial));
	p->agent->trial_until_ms = 0;
	p->dirty = true;
}

static int take_back(struct pass *p, const char *why, struct candidate *c, struct err *err)
{
	struct trial trial = p->agent->state.trial;
	struct err fallback = {0};

	trial_end(p);
	err_set(err, ERR_HEALTH, "%.7s did not become healthy in time: %s", trial.revision, why);
	if (!trial.back_to[0])
		return err_set(err, ERR_HEALTH, "%s, and there is no earlier commit to go back to",
			       why);
	log_error("%s: back to %.7s", err->msg, trial.back_to);
	reject(p, trial.revision, err);
	if (fall_back(p, trial.back_to, c, &fallback) < 0)
		log_error("back to %.7s: %s", trial.back_to, fallback.msg);
	/* Where it came from was good: it is not tried again. */
	trial_end(p);
	step_observe(p);
	return -1;
}

static void tell_how_long(struct pass *p)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct took_timer *timer = &p->agent->timer;

	if (!took_end(timer, p->agent->state.trial.revision))
		return;
	took_text(&timer->took, &text);
	log_info("took %s", text.buf);
	p->agent->counts.took = timer->took;
	p->agent->counts.took_began_ms = timer->began_wall_ms;
}

int step_judge(struct pass *p, struct candidate *c, struct err *err)
{
	const struct trial *trial = &p->agent->state.trial;
	const char *why;

	if (!trial->revision[0])
		return 0;
	why = complaint(p);
	if (!why) {
		p->proved = true;
		tell_how_long(p);
		trial_end(p);
		return 0;
	}
	/* At least one pass of its own after the one that applied it. */
	if (!p->applied && is_over(p->agent))
		return take_back(p, why, c, err);
	p->outcome->on_trial = true;
	return 0;
}
