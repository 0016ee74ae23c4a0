/*
 * What to look at on a node between two changes: the endpoints of its programs, and each service's
 * way to be asked. Made from the cluster when a revision is applied, and kept in the state, so that
 * a pass with nothing to do loads no YAML.
 */
#ifndef RECONCILER_WATCH_H
#define RECONCILER_WATCH_H

#include <jansson.h>

#include "base/hash.h"
#include "base/pool.h"
#include "reconciler/runtime.h"
#include "render/facts.h"
#include "render/fileset.h"
#include "spec/model.h"

struct watched_service {
	const char *name;
	const char *host; /* NULL: the default service without a host */
	const char *path; /* NULL: not asked; it is as healthy as Caddy */
	int64_t interval_ms;
	int64_t timeout_ms;
	int64_t retries;
	int64_t start_period_ms;
};

struct watch {
	struct endpoints at;
	const char *address; /* this node's, by cluster.yaml; NULL: found by the node itself */
	const char *public_address;
	const char *
		peers; /* addresses of the cluster's other nodes, as far as they are known, one a line */
	bool proxy_header;                    /* the ingress wants a PROXY header from here */
	char haproxy_config[SHA256_HEX_SIZE]; /* "": the cluster has no HAProxy */
	char caddy_config[SHA256_HEX_SIZE];
	char keepalived_config[SHA256_HEX_SIZE]; /* "": the cluster has no VRRP */
	char firewall_config[SHA256_HEX_SIZE];   /* "": the cluster leaves the firewall alone */
	struct watched_service *services;
	size_t n_services;
};

/* In the pool. */
void watch_from_cluster(const struct cluster *cluster, const struct node *node,
			const struct facts *facts, const struct fileset *set, struct pool *pool,
			struct watch *ret);
/* The digest of the configuration that the program should run; "": it should not run. */
const char *watch_config(const struct watch *watch, enum program program);
json_t *watch_to_json(const struct watch *watch);
/* False where it is not what watch_to_json() makes. */
bool watch_from_json(const json_t *object, struct pool *pool, struct watch *ret);

#endif
