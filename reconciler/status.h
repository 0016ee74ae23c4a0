/*
 * status.json: what a node says of itself (the format is in docs/reference.md). The same struct is
 * written by the agent and read by whoever looks; what is read is a stranger's: strings are cut to
 * STATUS_TEXT_MAX, cleaned of control characters, and what has another type than it should is left
 * out.
 */
#ifndef RECONCILER_STATUS_H
#define RECONCILER_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "reconciler/health.h"
#include "reconciler/took.h"

#define STATUS_TEXT_MAX 1000
#define STATUS_LIST_MAX 20000

/* Kubernetes' convention for conditions, as Flux's users know it. */
struct condition {
	const char *type;
	const char *status; /* "True", "False", "Unknown" */
	const char *reason; /* CamelCase */
	const char *message;
	int64_t since_s;
};

struct container_status {
	const char *name;
	const char *state;    /* Docker's: "running", "exited", … */
	const char *health;   /* "healthy", "unhealthy", "starting"; "none": it has no check */
	const char *image;    /* as it was asked for */
	const char *image_id; /* what that is: "sha256:…" */
	int64_t restarts;     /* by Docker; they alone make no status commit */
};

struct service_status {
	const char *name;
	const char *health;  /* "healthy", "degraded", "failed", "unknown" */
	const char *message; /* or NULL */
	int64_t since_s;
	struct container_status *containers;
	size_t n_containers;
};

struct drift_status {
	int64_t at_s;
	const char *what;
	bool repaired;
};

struct cause_status {
	const char *action;
	const char *because;
};

struct certificate_status {
	const char **names;
	size_t n_names;
	int64_t not_after_s;
};

struct node_status {
	const char *cluster;
	const char *node;
	const char *agent_version;
	int64_t started_at_s;
	int64_t heartbeat_s; /* a status older than a few of these is a silent node's */
	const char *desired; /* commit ids; NULL where there is none */
	const char *applied;
	const char *last_good;
	const char *quarantined; /* the commit that this node refuses, with the reason in the
				    conditions */
	const char *high_water; /* the newest commit that was applied: the branch must contain it */
	int64_t generation;
	int64_t changed_at_s;
	int64_t observed_at_s;
	struct condition *conditions;
	size_t n_conditions;
	struct level_health levels[LEVEL_COUNT]; /* an older agent's has NULLs */
	struct service_status *services;
	size_t n_services;
	const char *haproxy_health; /* NULL: the cluster has none */
	int64_t servers_up;
	int64_t servers;
	const char **server_nodes; /* whom HAProxy sends to, itself included */
	size_t n_server_nodes;
	const char *caddy_health;
	const char *keepalived_health; /* NULL: the cluster has none */
	const char *vrrp_state;        /* "MASTER", "BACKUP", "FAULT"; NULL: not told yet */
	int64_t vrrp_since_s;
	struct certificate_status *certificates;
	size_t n_certificates;
	struct drift_status *drift; /* newest last */
	size_t n_drift;
	struct cause_status *causes; /* of the last change */
	size_t n_causes;
	struct took took; /* of the last new commit that has shown that it works */
	const char *address;
	const char *public_address;
	const char *arch;
	const char *os;
	int64_t memory_bytes;
};

json_t *status_to_json(const struct node_status *status);
/* ERR_CONFIG where it is no status of this version. Everything is copied into the pool. */
int status_from_json(const char *data, size_t len, struct pool *pool, struct node_status *ret,
		     struct err *err);
/* The same from a parsed object. */
int status_from_object(const json_t *object, struct pool *pool, struct node_status *ret,
		       struct err *err);
const struct condition *status_condition(const struct node_status *status, const char *type);
bool condition_is(const struct node_status *status, const char *type, const char *value);
/* Has it said nothing for three heartbeats? */
bool status_is_silent(const struct node_status *status, int64_t now_s);
/* Why it is not healthy: what speaks against Ready, or else the machine's trouble, or the holder's; "" where nothing does. */
const char *status_trouble(const struct node_status *status);
/* The worst of the node in a word: "healthy", "degraded", "failed", "unknown". */
const char *status_health(const struct node_status *status);

#endif
