#include "reconciler/levels.h"

#include <string.h>

#include "base/cleanup.h"

static void judge_program(const char *name, const char *health, const struct program_state *state,
			  struct pool *pool, struct level_health *ret)
{
	if (!health || health_is_good(health))
		return;
	if (!state->running)
		level_add(ret, pool, health, REASON_PROGRAM_FAILED, "%s does not run", name);
	else if (!state->answers)
		level_add(ret, pool, health, REASON_PROGRAM_FAILED, "%s does not answer", name);
	else
		level_add(ret, pool, health, REASON_WRONG_CONFIGURATION,
			  "%s runs another configuration than its file", name);
}

static void judge_servers(const struct observation *seen, struct pool *pool,
			  struct level_health *ret)
{
	if (!seen->haproxy_health || !seen->haproxy.answers)
		return;
	if (!seen->has_servers)
		level_add(ret, pool, "degraded", REASON_NOT_OBSERVED,
			  "haproxy does not tell which servers are up");
	else if (seen->servers.all && !seen->servers.up)
		level_add(ret, pool, "failed", REASON_NO_SERVER_UP,
			  "haproxy holds none of its servers for up");
}

static enum reason reason_of_service(const struct probe *probe)
{
	if (strcmp(probe->health, "failed") == 0)
		return REASON_SERVICE_FAILED;
	return strcmp(probe->health, "degraded") == 0 ? REASON_SERVICE_FAILING
						      : REASON_SERVICE_STARTING;
}

static void judge_services(const struct observation *seen, const struct watch *watch,
			   const struct probe *probes, struct pool *pool, struct level_health *ret)
{
	for (size_t i = 0; i < watch->n_services; i++) {
		const struct probe *probe = &probes[i];
		const struct container_health *c = seen->containers ? &seen->containers[i] : NULL;

		if (c && c->health && c->reason == REASON_CONTAINER_RESTARTS)
			level_add(ret, pool, c->health, c->reason, "service %s is %s: %s",
				  watch->services[i].name, c->health, c->message);
		else if (!health_is_good(probe->health))
			level_add(ret, pool, probe->health, reason_of_service(probe),
				  "service %s is %s%s%s", watch->services[i].name, probe->health,
				  probe->message[0] ? ": " : "", probe->message);
	}
}

void levels_judge(const struct observation *seen, const struct watch *watch,
		  const struct probe *probes, struct pool *pool,
		  struct level_health levels[LEVEL_COUNT])
{
	static const enum level looked_at[] = {LEVEL_CONTAINER, LEVEL_SERVICE, LEVEL_APPLICATION};
	struct level_health *service = &levels[LEVEL_SERVICE];

	for (size_t i = 0; !seen && i < ARRAY_SIZE(looked_at); i++)
		level_add(&levels[looked_at[i]], pool, "unknown", REASON_NOT_OBSERVED,
			  "nothing was looked at");
	if (!seen)
		return;
	levels[LEVEL_CONTAINER] = seen->container;
	level_end(&levels[LEVEL_CONTAINER], REASON_NO_CONTAINERS);
	judge_program("caddy", seen->caddy_health, &seen->caddy, pool, service);
	judge_program("haproxy", seen->haproxy_health, &seen->haproxy, pool, service);
	judge_program("keepalived", seen->keepalived_health, &seen->keepalived, pool, service);
	judge_servers(seen, pool, service);
	level_end(service, REASON_HEALTHY);
	judge_services(seen, watch, probes, pool, &levels[LEVEL_APPLICATION]);
	level_end(&levels[LEVEL_APPLICATION], REASON_HEALTHY);
}

const struct level_health *levels_worst(const struct level_health levels[LEVEL_COUNT])
{
	static const enum level order[] = {LEVEL_SERVICE, LEVEL_CONTAINER, LEVEL_APPLICATION};
	const struct level_health *worst = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (!health_is_good(levels[order[i]].health) &&
		    (!worst || health_is_worse(levels[order[i]].health, worst->health)))
			worst = &levels[order[i]];
	return worst;
}
