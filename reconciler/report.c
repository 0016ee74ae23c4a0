#include "reconciler/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "reconciler/levels.h"

#define DRIFT_KEPT 20
#define CAUSES_MAX 50

/* --- conditions ---------------------------------------------------------------------- */

struct condition_list {
	struct pool *pool;
	const struct node_status *before;
	struct node_status *status;
	int64_t now_s;
};

/* `since` is when the condition's status last became another one. */
static void set_condition_by_name(struct condition_list *list, const char *type, const char *status,
				  const char *reason, const char *message)
{
	const struct condition *was = status_condition(list->before, type);
	bool same = was && strcmp(was->status, status) == 0 && was->since_s > 0;

	list->status->conditions[list->status->n_conditions++] = (struct condition) {
		.type = type,
		.status = status,
		.reason = reason,
		.message = message,
		.since_s = same ? was->since_s : list->now_s,
	};
}

static void set_condition(struct condition_list *list, const char *type, const char *status,
			  enum reason reason, const char *message)
{
	set_condition_by_name(list, type, status, reason_name(reason), message);
}

static void set_synced(struct condition_list *list, const struct findings *found)
{
	if (found->synced)
		set_condition(list, "Synced", "False", reason_of(found->synced->code),
			      found->synced->msg);
	else if (found->refused && found->refused_forward)
		set_condition(list, "Synced", "False", found->refused_reason, found->refused->msg);
	else
		set_condition(list, "Synced", "True", REASON_FETCHED,
			      found->behind ? found->behind : "");
}

static void set_verified(struct condition_list *list, const struct agent *agent,
			 const struct findings *found)
{
	if (!agent->config->verify)
		set_condition(list, "Verified", "True", REASON_NOT_REQUIRED, "");
	else if (found->refused && !found->refused_forward)
		set_condition(list, "Verified", "False", found->refused_reason,
			      found->refused->msg);
	else if (!agent->high_water.verified[0])
		set_condition(list, "Verified", "Unknown", REASON_NOTHING_VERIFIED,
			      "no signature has been looked at yet");
	else
		set_condition(list, "Verified", "True", REASON_SIGNED,
			      pool_printf(list->pool, "at %.7s", agent->high_water.verified));
}

static bool is_rejected(const struct agent *agent, const char *desired)
{
	return desired && strcmp(agent->state.rejected.revision, desired) == 0;
}

static void set_valid(struct condition_list *list, const struct agent *agent, const char *desired)
{
	const struct rejection *r = &agent->state.rejected;

	if (!desired)
		set_condition(list, "Valid", "Unknown", REASON_NO_REVISION,
			      "no commit has been seen yet");
	else if (is_rejected(agent, desired) && !rejection_was_tried(r))
		set_condition(list, "Valid", "False", reason_of(r->code), r->message);
	else
		set_condition(list, "Valid", "True", REASON_CHECKED, "");
}

static void set_applied(struct condition_list *list, const struct agent *agent,
			const struct findings *found)
{
	const struct rejection *r = &agent->state.rejected;
	bool rejected = is_rejected(agent, found->desired);

	if (rejected && rejection_was_tried(r))
		set_condition(list, "Applied", "False", reason_of(r->code), r->message);
	else if (found->failed && !rejected && !found->refused)
		set_condition(list, "Applied", "False", reason_of(found->failed->code),
			      found->failed->msg);
	else if (!agent->state.revision[0])
		set_condition(list, "Applied", "False", REASON_NOTHING_APPLIED,
			      "no commit has been applied yet");
	else
		set_condition(list, "Applied", "True", REASON_APPLIED,
			      pool_printf(list->pool, "at %.7s", agent->state.revision));
}

/* What a commit can be the cause of; the machine has a condition of its own. */
static void set_healthy(struct condition_list *list)
{
	const struct level_health *ill = levels_worst(list->status->levels);

	if (!ill)
		set_condition(list, "Healthy", "True", REASON_HEALTHY, "");
	else
		set_condition_by_name(list, "Healthy",
				      strcmp(ill->reason, reason_name(REASON_NOT_OBSERVED)) == 0
					      ? "Unknown"
					      : "False",
				      ill->reason, ill->message);
}

static void set_machine_healthy(struct condition_list *list)
{
	const struct level_health *level = &list->status->levels[LEVEL_INFRASTRUCTURE];

	set_condition_by_name(list, "MachineHealthy",
			      health_is_good(level->health)           ? "True"
			      : strcmp(level->health, "unknown") == 0 ? "Unknown"
								      : "False",
			      level->reason, level->message);
}

static void set_reported(struct condition_list *list, const struct findings *found)
{
	if (found->unreported)
		set_condition(list, "Reported", "False", reason_of(found->unreported->code),
			      found->unreported->msg);
	else if (found->ref_trouble)
		set_condition(list, "Reported", "True", REASON_STATUS_REF_REPLACED,
			      found->ref_trouble);
	else
		set_condition(list, "Reported", "True", REASON_PUSHED, "");
}

/* Only the holder of the address has it. */
static void set_holding(struct condition_list *list, const struct holder_memory *holder)
{
	if (holder->trouble.code)
		set_condition(list, "Holding", "False", reason_of(holder->trouble.code),
			      holder->trouble.msg);
	else if (holder->holds)
		set_condition(list, "Holding", "True", REASON_HELD, "");
}

/* Whom a person has to be told of first. */
static void set_ready(struct condition_list *list, const struct findings *found)
{
	static const char *const needed[] = {"Valid", "Applied", "Healthy"};

	if (found->refused && !found->held) {
		set_condition(list, "Ready", "False", found->refused_reason, found->refused->msg);
		return;
	}

	if (found->held) {
		set_condition(list, "Ready", "False", REASON_HELD_BY_HAND, found->held);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		const struct condition *c = status_condition(list->status, needed[i]);

		if (strcmp(c->status, "True") == 0)
			continue;
		set_condition_by_name(list, "Ready", "False", c->reason, c->message);
		return;
	}
	if (found->synced && !found->desired)
		set_condition(list, "Ready", "Unknown", REASON_NO_REVISION, found->synced->msg);
	else
		set_condition(list, "Ready", "True", REASON_HEALTHY, "");
}

/* Stalled: nothing will change until somebody acts. Reconciling: the next pass goes on by itself.
 */
static void set_progress(struct condition_list *list, const struct agent *agent,
			 const struct findings *found)
{
	bool stalled = found->refused || is_rejected(agent, found->desired);
	bool on_trial = agent->state.trial.revision[0] != '\0';

	if (found->waits)
		set_condition(list, "Reconciling", "True", REASON_NEW_CONTAINERS_START,
			      pool_printf(list->pool, "%.7s runs beside the old containers: %s",
					  found->desired, found->waits));
	else if (on_trial)
		set_condition(list, "Reconciling", "True", REASON_WAITS_FOR_HEALTH,
			      pool_printf(list->pool, "%.7s has to show that it works",
					  agent->state.trial.revision));
	else if (found->failed && !stalled)
		set_condition(list, "Reconciling", "True", REASON_RETRYING, "");
	else
		set_condition(list, "Reconciling", "False", REASON_DONE, "");
	set_condition(list, "Stalled", stalled ? "True" : "False",
		      found->refused ? REASON_REFUSED
		      : stalled      ? REASON_WAITS_FOR_COMMIT
				     : REASON_MOVING,
		      found->refused ? "this commit is not taken: see Ready"
		      : stalled      ? "this commit is not tried again until the branch moves"
				     : "");
}

#define CONDITIONS_MAX 16

static void add_conditions(const struct agent *agent, const struct findings *found, int64_t now_s,
			   struct pool *pool, struct node_status *ret)
{
	struct condition_list list = {pool, &agent->state.status, ret, now_s};

	ret->conditions = pool_calloc(pool, CONDITIONS_MAX, sizeof(*ret->conditions));
	set_synced(&list, found);
	set_verified(&list, agent, found);
	set_valid(&list, agent, found->desired);
	set_applied(&list, agent, found);
	set_healthy(&list);
	set_machine_healthy(&list);
	set_reported(&list, found);
	set_holding(&list, &agent->holder);
	set_ready(&list, found);
	set_progress(&list, agent, found);
}

/* --- the rest ------------------------------------------------------------------------ */

static const struct service_status *service_before(const struct agent *agent, const char *name)
{
	const struct node_status *before = &agent->state.status;

	for (size_t i = 0; i < before->n_services; i++)
		if (strcmp(before->services[i].name, name) == 0)
			return &before->services[i];
	return NULL;
}

static void add_containers(const struct agent *agent, const struct observation *seen,
			   struct pool *pool, struct service_status *ret)
{
	const struct service_record *record = records_find(&agent->state.containers, ret->name);

	if (!record || !seen->listed)
		return;
	ret->containers = pool_calloc(pool, record->n_parts + 1, sizeof(*ret->containers));
	for (size_t i = 0; i < record->n_parts; i++) {
		const struct container *c =
			container_find(seen->listed, ret->name, record->parts[i].name);

		if (!c)
			continue;
		ret->containers[ret->n_containers++] = (struct container_status) {
			.name = c->name,
			.state = c->state,
			.health = c->health[0] ? c->health : "none",
			.image = c->image,
			.image_id = c->image_id,
			.restarts = c->restarts > 0 ? c->restarts : 0,
		};
	}
}

static void add_services(const struct agent *agent, const struct observation *seen, int64_t now_s,
			 struct pool *pool, struct node_status *ret)
{
	const struct watch *watch = &agent->state.watch;
	const struct node_status *before = &agent->state.status;

	ret->services = pool_calloc(pool, watch->n_services + 1, sizeof(*ret->services));
	for (size_t i = 0; i < watch->n_services; i++) {
		const struct probe *probe = &agent->probes[i];
		/* The lists are nearly always alike: look at the same place first. */
		const struct service_status *was =
			i < before->n_services && strcmp(before->services[i].name,
							 watch->services[i].name) == 0
				? &before->services[i]
				: service_before(agent, watch->services[i].name);
		const struct container_health *c = seen->containers ? &seen->containers[i] : NULL;
		bool worse = container_is_worse(c, probe->health);
		const char *health = worse ? c->health : probe->health;
		const char *message = probe->message[0] ? probe->message : NULL;
		bool same = was && strcmp(was->health, health) == 0;

		ret->services[ret->n_services] = (struct service_status) {
			.name = watch->services[i].name,
			.health = health,
			.message = worse ? c->message : message,
			.since_s = same ? was->since_s : now_s,
		};
		add_containers(agent, seen, pool, &ret->services[ret->n_services++]);
	}
}

static void add_certificates(const struct certificates *from, struct pool *pool,
			     struct node_status *ret)
{
	ret->certificates = pool_calloc(pool, from->n + 1, sizeof(*ret->certificates));
	for (size_t i = 0; i < from->n; i++)
		if (!from->v[i].broken)
			ret->certificates[ret->n_certificates++] = (struct certificate_status) {
				.names = from->v[i].names,
				.n_names = from->v[i].n_names,
				.not_after_s = from->v[i].not_after_s,
			};
}

static void add_facts(const struct agent *agent, const struct node_facts *facts, struct pool *pool,
		      struct node_status *ret)
{
	const struct node_status *before = &agent->state.status;

	if (!facts) {
		ret->arch = before->arch ? before->arch : "";
		ret->os = before->os ? before->os : "";
		ret->memory_bytes = before->memory_bytes;
		ret->address = before->address;
		ret->public_address = before->public_address;
		return;
	}
	ret->arch = facts->machine.arch;
	ret->os = facts->machine.os;
	ret->memory_bytes = facts->machine.memory_bytes;
	ret->address = agent->state.has_watch && agent->state.watch.address
			       ? agent->state.watch.address
			       : facts->machine.address;
	ret->public_address = agent->state.has_watch ? agent->state.watch.public_address : NULL;
	if (agent->state.has_watch)
		add_certificates(node_certificates(facts, agent->state.watch.at.runtime), pool,
				 ret);
}

/* What was found and mended now goes behind what was before; the oldest fall off. */
static void add_drift(const struct agent *agent, const struct findings *found, int64_t now_s,
		      struct pool *pool, struct node_status *ret)
{
	const struct candidate *applied = found->applied;
	const struct node_status *before = &agent->state.status;
	size_t n_new = applied ? applied->plan.n : 0;
	struct drift_status *all = pool_calloc(pool, before->n_drift + n_new + 2, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; i < before->n_drift; i++)
		all[n++] = before->drift[i];
	for (size_t i = 0; i < n_new; i++) {
		const struct action *action = &applied->plan.v[i];

		/* A reload that follows from a restored file is no drift of its own. */
		if (action_is_drift(action) &&
		    (action->file || !plan_touches(&applied->plan, action->program)))
			all[n++] = (struct drift_status) {now_s, action->what, true};
	}
	if (found->foreign)
		all[n++] = (struct drift_status) {now_s, found->foreign, true};
	ret->drift = n > DRIFT_KEPT ? all + (n - DRIFT_KEPT) : all;
	ret->n_drift = n > DRIFT_KEPT ? DRIFT_KEPT : n;
}

static void add_causes(const struct agent *agent, const struct candidate *applied,
		       struct pool *pool, struct node_status *ret)
{
	if (!applied || !applied->plan.n) {
		ret->causes = agent->state.status.causes;
		ret->n_causes = agent->state.status.n_causes;
		return;
	}
	ret->causes = pool_calloc(pool, CAUSES_MAX, sizeof(*ret->causes));
	for (size_t i = 0; i < applied->plan.n && ret->n_causes < CAUSES_MAX; i++) {
		const struct action *action = &applied->plan.v[i];

		ret->causes[ret->n_causes++] = (struct cause_status) {
			.action =
				pool_printf(pool, "%s %s", action_verb(action->kind), action->what),
			.because = action_because(pool, action),
		};
	}
}

void report_status(const struct agent *agent, const struct findings *found, int64_t now_s,
		   struct pool *pool, struct node_status *ret)
{
	const struct state *state = &agent->state;
	const char *revision = state->revision[0] ? state->revision : NULL;
	bool changed = found->applied && (found->applied->plan.n || !state->status.changed_at_s);

	*ret = (struct node_status) {
		.cluster = agent->cluster,
		.node = agent->node,
		.agent_version = DYNIA_VERSION,
		.started_at_s = agent->started_at_s,
		.heartbeat_s = agent->config->status.heartbeat_ms / 1000,
		.desired = found->desired,
		.applied = revision,
		.quarantined = found->refused || is_rejected(agent, found->desired) ? found->desired
										    : NULL,
		.high_water = agent->high_water.marks.n ? agent->high_water.marks.v[0] : NULL,
		.generation = found->generation,
		.changed_at_s = changed ? now_s : state->status.changed_at_s,
		.observed_at_s = now_s,
		.took = agent->counts.took.revision[0] ? agent->counts.took : state->status.took,
	};
	if (found->seen) {
		ret->haproxy_health = found->seen->haproxy_health;
		ret->servers_up = found->seen->servers.up;
		ret->servers = found->seen->servers.all;
		ret->server_nodes = found->seen->servers.names;
		ret->n_server_nodes = found->seen->servers.n_names;
		ret->caddy_health = found->seen->caddy_health;
		ret->keepalived_health = found->seen->keepalived_health;
		ret->vrrp_state = found->seen->vrrp_state;
		ret->vrrp_since_s = found->seen->vrrp_since_s;
		add_services(agent, found->seen, now_s, pool, ret);
	}
	levels_judge(found->seen, &state->watch, agent->probes, pool, ret->levels);
	if (found->machine)
		ret->levels[LEVEL_INFRASTRUCTURE] = *found->machine;
	level_end(&ret->levels[LEVEL_INFRASTRUCTURE], REASON_HEALTHY);
	add_facts(agent, found->facts, pool, ret);
	add_drift(agent, found, now_s, pool, ret);
	add_causes(agent, found->applied, pool, ret);
	add_conditions(agent, found, now_s, pool, ret);
	ret->last_good =
		found->proved || (!state->trial.revision[0] && condition_is(ret, "Healthy", "True"))
			? revision
			: state->status.last_good;
}

static bool has_reason(const struct condition *condition, enum reason reason)
{
	return strcmp(condition->reason, reason_name(reason)) == 0;
}

static bool is_on_trial(const struct node_status *s)
{
	return has_reason(status_condition(s, "Reconciling"), REASON_WAITS_FOR_HEALTH);
}

const char *report_subject(const struct node_status *s, struct pool *pool)
{
	const struct condition *ready = status_condition(s, "Ready");

	if (has_reason(ready, REASON_HELD_BY_HAND))
		return pool_printf(pool, "%s: at %.7s, %s", s->node,
				   s->applied ? s->applied : "nothing", ready->message);
	if (s->quarantined && s->applied)
		return pool_printf(pool, "%s: stays at %.7s, refuses %.7s: %s", s->node, s->applied,
				   s->quarantined, ready->message);
	if (s->quarantined)
		return pool_printf(pool, "%s: refuses %.7s: %s", s->node, s->quarantined,
				   ready->message);
	if (s->applied && is_on_trial(s))
		return pool_printf(pool, "%s: tries %.7s: %s", s->node, s->applied, ready->message);
	if (!s->applied)
		return pool_printf(pool, "%s: nothing is applied: %s", s->node, ready->message);
	if (strcmp(status_health(s), "healthy") == 0)
		return pool_printf(pool, "%s: healthy at %.7s, %zu service%s", s->node, s->applied,
				   s->n_services, s->n_services == 1 ? "" : "s");
	return pool_printf(pool, "%s: %s at %.7s: %s", s->node, status_health(s), s->applied,
			   status_trouble(s));
}

/* A container that ends and is started again and again is one piece of news. */
static void drop_fleeting(json_t *status)
{
	size_t i, k;
	json_t *service, *container;

	json_array_foreach(json_object_get(status, "services"), i, service)
	{
		json_array_foreach(json_object_get(service, "containers"), k, container)
		{
			json_object_del(container, "restarts");
			json_object_del(container, "state");
			/* The service's own, and the conditions, say what it amounts to. */
			json_object_del(container, "health");
		}
	}
}

void report_digest(const struct node_status *status, char ret[SHA256_HEX_SIZE])
{
	struct node_status timeless = *status;
	json_t *object;
	char *text;

	timeless.observed_at_s = 0;
	timeless.started_at_s = 0;
	/* A node that goes away would else make all the others commit. */
	timeless.servers_up = 0;
	timeless.took = (struct took) {0};
	object = status_to_json(&timeless);
	drop_fleeting(object);
	text = json_dumps(object, JSON_COMPACT);
	sha256_hex(text, strlen(text), ret);
	free(text);
	json_decref(object);
}
