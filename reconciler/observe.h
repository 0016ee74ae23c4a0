/*
 * Looks whether what was applied works: HAProxy and Caddy by asking them, a service with a health
 * path through the local ingress with its host, as a visitor would.
 */
#ifndef RECONCILER_OBSERVE_H
#define RECONCILER_OBSERVE_H

#include "base/err.h"
#include "reconciler/haproxy.h"
#include "reconciler/health.h"
#include "reconciler/runtime.h"
#include "reconciler/services.h"
#include "reconciler/watch.h"

/* What is remembered of one service between looks. */
struct probe {
	int64_t due_ms;   /* monotonic; 0: now */
	int64_t failures; /* in a row */
	bool was_healthy; /* since the last change */
	const char *health;
	char message[200];
};

struct observation {
	struct program_state haproxy;
	struct program_state caddy;
	bool has_servers;
	struct haproxy_servers servers;
	const char *haproxy_health; /* NULL: the cluster has none */
	const char *caddy_health;
	struct level_health container; /* zeroed: the node has none */
	struct program_state keepalived;
	const char *keepalived_health; /* NULL: the cluster has none */
	const char *vrrp_state;        /* "MASTER", "BACKUP", "FAULT"; NULL: not told yet */
	int64_t vrrp_since_s;
	const struct container_health
		*containers;                 /* one for each of the watch's services; NULL: none
						      is in a container */
	const struct container_list *listed; /* NULL: Docker cannot say */
};

/* probes: one for each of watch->services, zeroed before the first look. running_for_ms: since the
 * last change, for start_period. */
int observe_node(const struct root *root, const struct watch *watch, struct probe *probes,
		 int64_t running_for_ms, struct pool *pool, struct observation *ret,
		 struct err *err);

#endif
