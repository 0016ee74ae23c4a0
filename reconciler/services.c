#include "reconciler/services.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "reconciler/health.h"
#include "reconciler/services_internal.h"

struct services *services_new(const char *socket)
{
	struct services *s = xcalloc(1, sizeof(*s));

	docker_init(&s->docker, socket);
	return s;
}

void services_free(struct services *s)
{
	if (!s)
		return;
	pool_free(s->pool);
	free(s->looks);
	free(s);
}

struct docker *services_docker(struct services *s)
{
	return &s->docker;
}

void services_forget(struct services *s)
{
	pool_free(s->pool);
	s->pool = NULL;
	s->has_seen = false;
	s->blind.code = ERR_NONE;
}

const struct container_list *services_look(struct services *s, const struct root *root,
					   struct err *err)
{
	if (s->has_seen)
		return &s->seen;
	if (s->blind.code) {
		*err = s->blind;
		return NULL;
	}
	pool_free(s->pool);
	s->pool = pool_new();
	if (docker_list(&s->docker, root->path, s->pool, &s->seen, err) < 0) {
		s->blind = *err;
		return NULL;
	}
	s->has_seen = true;
	return &s->seen;
}

const struct container *container_find(const struct container_list *seen, const char *service,
				       const char *part)
{
	for (size_t i = 0; i < seen->n; i++)
		if (!seen->v[i].surge && strcmp(seen->v[i].service, service) == 0 &&
		    strcmp(seen->v[i].part, part) == 0)
			return &seen->v[i];
	return NULL;
}

/* --- drift --------------------------------------------------------------------------- */

static bool is_state(const struct container *c, const char *state)
{
	return strcmp(c->state, state) == 0;
}

static bool is_same(const struct part_record *part, const struct container *c)
{
	return strcmp(part->spec, c->spec) == 0 &&
	       (!part->image_id[0] || strcmp(part->image_id, c->image_id) == 0) &&
	       (!part->id[0] || strcmp(part->id, c->id) == 0);
}

static bool has_ended_well(const struct part_record *part, const struct container *c)
{
	return part->once && is_state(c, "exited") && c->exit_code == 0;
}

static bool can_be_started(const struct container *c)
{
	return is_state(c, "exited") || is_state(c, "created") || is_state(c, "paused");
}

bool part_only_stopped(const struct part_record *part, const struct container *c)
{
	return is_same(part, c) && can_be_started(c) && !has_ended_well(part, c);
}

const char *part_drift(const struct part_record *part, const struct container *c)
{
	if (!c)
		return DRIFT_MARK "its container was removed";
	if (part->image_id[0] && strcmp(part->image_id, c->image_id) != 0)
		return DRIFT_MARK "its container runs from another image";
	if (!is_same(part, c))
		return DRIFT_MARK "its container was replaced";
	if (is_state(c, "paused"))
		return DRIFT_MARK "its container was paused";
	if (part_only_stopped(part, c))
		return DRIFT_MARK "its container was stopped";
	if (is_state(c, "dead") || is_state(c, "removing"))
		return DRIFT_MARK "its container is dead";
	return NULL;
}

static bool is_known(const struct service_records *records, const struct container_list *seen,
		     const struct container *c)
{
	const struct part_record *part = record_part(records_find(records, c->service), c->part);

	return part && !c->surge && container_find(seen, c->service, c->part) == c;
}

bool services_are_right(struct services *s, const struct root *root,
			const struct service_records *records)
{
	struct err ignored;
	const struct container_list *seen;

	if (!records->n)
		return true;
	seen = services_look(s, root, &ignored);
	if (!seen)
		return true;
	for (size_t i = 0; i < records->n; i++)
		for (size_t k = 0; k < records->v[i].n_parts; k++) {
			const struct part_record *part = &records->v[i].parts[k];

			if (part_drift(part, container_find(seen, records->v[i].name, part->name)))
				return false;
		}
	for (size_t i = 0; i < seen->n; i++)
		if (!is_known(records, seen, &seen->v[i]))
			return false;
	return true;
}

/* --- health -------------------------------------------------------------------------- */

/* A container that nobody checks has to live for so long before it counts as well. */
#define SETTLED_S 5
/* One that Docker started again and lives for less is ending again and again. The time doubles with each start, or one that
 * works for a minute and dies would be news each minute. */
#define RESTART_LOOP_S 15
#define RESTART_LOOP_MAX_S 960

static bool ends_again(const struct container *c)
{
	int64_t needed_s = RESTART_LOOP_S;

	for (int64_t i = 1; i < c->restarts && needed_s < RESTART_LOOP_MAX_S; i++)
		needed_s *= 2;
	return c->restarts > 0 && c->up_s_max <= needed_s;
}

static struct look *find_look(struct services *s, const char *id)
{
	for (size_t i = 0; i < s->n_looks; i++)
		if (strcmp(s->looks[i].id, id) == 0)
			return &s->looks[i];
	return NULL;
}

/* The list does not say how often Docker has started it again. It is asked for once, and anew where
 * it has run for less than the time since. */
static void count_restarts(struct services *s, struct container *c)
{
	struct look *look = find_look(s, c->id);
	int64_t now_ms = clock_ms();
	struct err ignored;

	if (look && is_state(c, "running") && look->running &&
	    c->up_s_max * 1000 >= now_ms - look->at_ms) {
		c->restarts = look->restarts;
		return;
	}
	if (docker_inspect(&s->docker, c, &ignored) < 0 || c->restarts < 0)
		return;
	if (!look) {
		/* Ids of containers that are long gone are not worth a list without end. */
		if (s->n_looks == LOOKS_MAX)
			s->n_looks = 0;
		GROW(s->looks, s->n_looks, s->looks_alloc);
		look = &s->looks[s->n_looks++];
		*look = (struct look) {0};
		memcpy(look->id, c->id, strlen(c->id) + 1);
	}
	look->restarts = c->restarts;
	look->at_ms = now_ms;
	look->running = is_state(c, "running");
}

static void set_health(struct container_health *ret, const char *health, enum reason reason,
		       const char *message)
{
	*ret = (struct container_health) {health, reason, message};
}

static void judge_running(const struct container *c, bool checked, struct pool *pool,
			  struct container_health *ret)
{
	if (strcmp(c->health, "unhealthy") == 0)
		set_health(ret, "failed", REASON_CONTAINER_UNHEALTHY,
			   pool_printf(pool, "container %s: its health check fails", c->name));
	else if (ends_again(c))
		set_health(ret, "failed", REASON_CONTAINER_RESTARTS,
			   pool_printf(pool, "container %s ends again and again", c->name));
	else if (strcmp(c->health, "starting") == 0)
		set_health(ret, "unknown", REASON_CONTAINER_STARTING,
			   pool_printf(pool, "container %s: its health check has not passed yet",
				       c->name));
	else if (!checked && !c->health[0] && c->up_s_max <= SETTLED_S)
		set_health(ret, "unknown", REASON_CONTAINER_STARTING,
			   pool_printf(pool, "container %s has just been started", c->name));
	else
		set_health(ret, "healthy", REASON_HEALTHY, NULL);
}

void container_judge(struct services *s, struct container *c, bool once, bool checked,
		     struct pool *pool, struct container_health *ret)
{
	const struct part_record part = {.once = once};

	count_restarts(s, c);
	if (is_state(c, "running"))
		judge_running(c, checked, pool, ret);
	else if (has_ended_well(&part, c))
		set_health(ret, "healthy", REASON_HEALTHY, NULL);
	else if (is_state(c, "restarting"))
		set_health(ret, "failed", REASON_CONTAINER_RESTARTS,
			   pool_printf(pool, "container %s ends again and again", c->name));
	else if (is_state(c, "exited"))
		set_health(ret, "failed", REASON_CONTAINER_DOWN,
			   pool_printf(pool, "container %s has ended (exit %d)", c->name,
				       (int)c->exit_code));
	else
		set_health(ret, "failed", REASON_CONTAINER_DOWN,
			   pool_printf(pool, "container %s is %s", c->name, c->state));
}

bool container_is_worse(const struct container_health *c, const char *health)
{
	return c && c->health &&
	       (c->reason == REASON_CONTAINER_RESTARTS || health_is_worse(c->health, health));
}

void service_judge(struct services *s, const struct root *root, const struct service_record *record,
		   bool checked, struct pool *pool, struct container_health *ret)
{
	struct err err = {0};
	const struct container_list *seen = services_look(s, root, &err);

	set_health(ret, "healthy", REASON_HEALTHY, NULL);
	if (!seen) {
		set_health(ret, "unknown", REASON_DOCKER_UNAVAILABLE, pool_strdup(pool, err.msg));
		return;
	}
	for (size_t i = 0; i < record->n_parts; i++) {
		const struct part_record *part = &record->parts[i];
		struct container *c =
			(struct container *)container_find(seen, record->name, part->name);
		struct container_health one;

		if (c)
			container_judge(s, c, part->once, checked, pool, &one);
		else
			set_health(&one, "failed", REASON_CONTAINER_DOWN,
				   pool_printf(pool, "%s has no container", part->name));
		if (health_is_worse(one.health, ret->health))
			*ret = one;
	}
}
