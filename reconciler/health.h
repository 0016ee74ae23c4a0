/*
 * Health in four levels, each with the worst that was found and all of it in words:
 *
 *	container       what Docker says of the node's containers
 *	service         HAProxy and Caddy: do they run, answer, and have their configuration?
 *	infrastructure  the machine: disks, memory, Docker, certificates
 *	application     each service's health path, asked through the ingress as a visitor would
 *
 * A level begins zeroed; whoever looks adds what is amiss, and level_end() makes one that nobody complained of
 * healthy. Words must be the same as long as the trouble is: another one is a commit to the node's status.
 *
 *	struct level_health level = {0};
 *	level_add(&level, pool, "degraded", REASON_MEMORY_LOW, "less than %d %% of the memory is free", 10);
 *	level_end(&level, REASON_HEALTHY);
 */
#ifndef RECONCILER_HEALTH_H
#define RECONCILER_HEALTH_H

#include <stdbool.h>

#include "base/pool.h"
#include "reconciler/reasons.h"

enum level {
	LEVEL_CONTAINER,
	LEVEL_SERVICE,
	LEVEL_INFRASTRUCTURE,
	LEVEL_APPLICATION,
	LEVEL_COUNT,
};

struct level_health {
	const char *health;  /* "healthy", "degraded", "failed", "unknown"; NULL: not looked at */
	const char *reason;  /* of the worst; CamelCase */
	const char *message; /* all of it; NULL or "" where there is nothing to say */
};

/* "container", … */
const char *level_name(enum level level);
/* Is `a` worse than `b`? healthy, unknown, degraded, failed. */
bool health_is_worse(const char *a, const char *b);
bool health_is_good(const char *health);
void level_add(struct level_health *level, struct pool *pool, const char *health,
	       enum reason reason, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void level_end(struct level_health *level, enum reason good);

#endif
