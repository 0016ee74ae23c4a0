/* What has to be done with containers, and why. */
#include <string.h>

#include "base/cleanup.h"
#include "reconciler/services.h"

/* "api", or "shop/db" for a part of another name. */
static const char *part_title(const struct plan *plan, const char *service, const char *part)
{
	if (strcmp(service, part) == 0)
		return service;
	return pool_printf(plan->pool, "%s/%s", service, part);
}

static void add(struct plan *plan, enum action_kind kind, const char *service, const char *part,
		const char **because, size_t n_because)
{
	const struct action action = {
		.kind = kind,
		.program = PROGRAM_COMPOSE,
		.what = part_title(plan, service, part),
		.service = service,
		.because = because,
		.n_because = n_because,
	};

	plan_add(plan, &action);
}

static void add_alone(struct plan *plan, enum action_kind kind, const char *service,
		      const char *part, const char *because)
{
	const char **one = pool_alloc(plan->pool, sizeof(*one));

	one[0] = because;
	add(plan, kind, service, part, one, 1);
}

/* The repository asks for it, or the apply that did not come to its end does. */
static void add_wanted(struct plan *plan, const struct service_ground *g, enum action_kind kind,
		       const char *service, const char *part)
{
	size_t n;
	const char **because;

	if (g->unfinished) {
		add_alone(plan, kind, service, part, g->unfinished);
		return;
	}
	because = causes_for(g->causes, service, &n);
	add(plan, kind, service, part, because, n);
}

static void plan_part_blind(struct plan *plan, const struct service_ground *g, const char *service,
			    const struct part_record *want, const struct part_record *was)
{
	if (!was)
		add_wanted(plan, g, ACTION_RUN, service, want->name);
	else if (strcmp(was->spec, want->spec) != 0)
		add_wanted(plan, g, ACTION_RECREATE, service, want->name);
}

static void plan_part(struct plan *plan, const struct service_ground *g, const char *service,
		      const struct part_record *want, const struct part_record *was)
{
	const struct container *c = container_find(g->seen, service, want->name);
	bool changed = !was || strcmp(was->spec, want->spec) != 0;
	const char *drift;

	if (changed && c && strcmp(c->spec, want->spec) == 0 && part_drift(want, c) == NULL)
		return; /* made by an apply whose memory is lost */
	if (changed) {
		add_wanted(plan, g, c ? ACTION_RECREATE : ACTION_RUN, service, want->name);
		return;
	}
	drift = part_drift(was, c);
	if (!drift)
		return;
	if (g->unfinished)
		drift = g->unfinished;
	add_alone(plan,
		  !c                          ? ACTION_RUN
		  : part_only_stopped(was, c) ? ACTION_RESUME
					      : ACTION_RECREATE,
		  service, want->name, drift);
}

void services_plan(struct plan *plan, const struct service_ground *g)
{
	for (size_t i = 0; i < g->want->n; i++) {
		const struct service_record *want = &g->want->v[i];
		const struct service_record *was = records_find(g->before, want->name);

		for (size_t k = 0; k < want->n_parts; k++) {
			const struct part_record *part = &want->parts[k];
			const struct part_record *before = record_part(was, part->name);

			if (g->seen)
				plan_part(plan, g, want->name, part, before);
			else
				plan_part_blind(plan, g, want->name, part, before);
		}
	}
}

/* Of one part there is one, in its own place. */
static bool is_wanted(const struct service_ground *g, const struct container *c)
{
	return !c->surge && record_part(records_find(g->want, c->service), c->part) &&
	       container_find(g->seen, c->service, c->part) == c;
}

/* Proves a version that is wanted; it goes with the end of that. */
static bool is_proving(const struct plan *plan, const struct service_ground *g,
		       const struct container *c)
{
	const struct part_record *part = record_part(records_find(g->want, c->service), c->part);

	if (!c->surge || !part || strcmp(part->spec, c->spec) != 0)
		return false;
	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].kind == ACTION_RECREATE &&
		    strcmp(plan->v[i].service, c->service) == 0)
			return true;
	return false;
}

static void remove_seen(struct plan *plan, const struct service_ground *g)
{
	for (size_t i = 0; i < g->seen->n; i++) {
		const struct container *c = &g->seen->v[i];
		bool gone = records_find(g->before, c->service) &&
			    !record_part(records_find(g->want, c->service), c->part);
		const char *because = g->unfinished;

		if (is_wanted(g, c) || is_proving(plan, g, c))
			continue;
		if (gone && !c->surge)
			add_wanted(plan, g, ACTION_DELETE, c->service, c->part);
		else if (because)
			add_alone(plan, ACTION_DELETE, c->service, c->part, because);
		else if (c->surge)
			add_alone(plan, ACTION_DELETE, c->service, c->part,
				  "node: the container that was to show that it works is not "
				  "needed any more");
		else
			add_alone(plan, ACTION_DELETE, c->service, c->part,
				  DRIFT_MARK "a container with its labels that nobody asked for");
	}
}

void services_plan_removed(struct plan *plan, const struct service_ground *g)
{
	if (g->seen) {
		remove_seen(plan, g);
		return;
	}
	for (size_t i = 0; i < g->before->n; i++) {
		const struct service_record *was = &g->before->v[i];
		const struct service_record *will = records_find(g->want, was->name);

		for (size_t k = 0; k < was->n_parts; k++)
			if (!record_part(will, was->parts[k].name))
				add_wanted(plan, g, ACTION_DELETE, was->name, was->parts[k].name);
	}
}

bool services_touched(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].kind >= ACTION_RUN)
			return true;
	return false;
}
