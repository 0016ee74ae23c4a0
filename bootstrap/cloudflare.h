/* What is asked of Cloudflare: zones, and their records. */
#ifndef BOOTSTRAP_CLOUDFLARE_H
#define BOOTSTRAP_CLOUDFLARE_H

#include "bootstrap/api.h"

extern const struct api_kind cloudflare_api;

struct dns_record {
	const char *id;
	const char *name;
	const char *type;
	const char *content;
	const char *comment; /* "" where there is none */
	int64_t ttl;         /* seconds; 1: as Cloudflare sees fit */
	bool proxied;
};

struct dns_records {
	struct dns_record *v; /* in the pool */
	size_t n;
};

struct zone {
	const char *id;
	const char *name;
};

struct zones {
	struct zone *v; /* in the pool */
	size_t n;
};

/* So many are looked through: half a minute within our limit of requests. */
#define CLOUDFLARE_ZONES_MAX 100

/* Most changes in one batch on the smallest plan. */
#define CLOUDFLARE_BATCH_MAX 200

/* The zone's id, in the pool. ERR_CONFIG where the token sees no such zone. */
int cloudflare_zone(struct api *api, const char *name, struct pool *pool, const char **ret_id,
		    struct err *err);
/* All that the token sees. ERR_LIMIT where there are more than CLOUDFLARE_ZONES_MAX. */
int cloudflare_zones(struct api *api, struct pool *pool, struct zones *ret, struct err *err);
/* Its records: all of them, or those with a comment. */
int cloudflare_records(struct api *api, const char *zone_id, const char *comment, struct pool *pool,
		       struct dns_records *ret, struct err *err);
int dns_record_read(const struct api *api, const json_t *json, struct pool *pool,
		    struct dns_record *ret, struct err *err);

#endif
