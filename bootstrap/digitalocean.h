/*
 * What is asked of DigitalOcean, and what comes back as structs. Everything is found by the tag
 * "dynia-cluster:NAME", or, where a thing takes no tag, by its description or its name: there is no
 * state file.
 */
#ifndef BOOTSTRAP_DIGITALOCEAN_H
#define BOOTSTRAP_DIGITALOCEAN_H

#include "bootstrap/api.h"
#include "spec/model.h"

extern const struct api_kind digitalocean_api;

struct droplet {
	int64_t id;
	const char *name;
	const char *status; /* new, active, off, archive */
	const char *size;
	const char *region;
	const char *image;          /* NULL: one without a name */
	const char *public_address; /* NULL: none yet */
	const char *private_address;
	double monthly;       /* dollars */
	const char *contact;  /* bootstrap/contact.h: hex of the tag; NULL: none, or delivered */
	const char *host_key; /* hex of the tag; NULL: not known yet */
};

struct droplets {
	struct droplet *v; /* in the pool */
	size_t n;
};

struct size {
	const char *slug;
	double monthly;
	const json_t
		*regions; /* where it can be had; borrowed from answers that the caller holds */
};

struct reserved_ip {
	const char *ip;
	const char *region;
	int64_t droplet_id; /* 0: assigned to none */
	const char *droplet_name;
	bool is_foreign; /* on a droplet that does not bear the mark */
	bool locked;     /* an action is under way */
};

struct reserved_ips {
	struct reserved_ip *v;
	size_t n;
};

/* The mark on everything that is a cluster's: tag, description, comment of a record. */
const char *cluster_mark(struct pool *pool, const char *cluster);
/* The droplet of a node, and its host name: "shop-brave-panda". */
const char *droplet_name(struct pool *pool, const char *cluster, const char *node);

/* What a reserved IP is known by, which takes no tag itself, while no droplet has it: the tag "dynia-address:shop:203-0-113-10" is
 * there, on nothing. */
#define ADDRESS_TAG "dynia-address:"
const char *address_tag(struct pool *pool, const char *cluster, const char *ip);
/* 1: the account has such a tag; 0; -1. */
int tag_look_for(struct api *api, const char *tag, struct pool *pool, struct err *err);

/* Calls fn with each element of a list, through all of its pages. path has no page= in it. */
typedef int each_fn(void *arg, const json_t *item, struct err *err);
int digitalocean_each(struct api *api, const char *path, const char *key, each_fn *fn, void *arg,
		      struct err *err);

int droplet_read(const struct api *api, const json_t *json, struct pool *pool, struct droplet *ret,
		 struct err *err);
int reserved_ip_read(const struct api *api, const json_t *json, const char *mark, struct pool *pool,
		     struct reserved_ip *ret, struct err *err);
/* Is the mark among the "tags" of a thing? As the API has it: in capitals or not. */
bool has_mark(const json_t *thing, const char *mark);
/* A tag that nothing has. */
bool tag_is_loose(const json_t *tag);
/* The droplets that bear the tag, also where the API lists others. */
int droplets_list(struct api *api, const char *tag, struct pool *pool, struct droplets *ret,
		  struct err *err);
/* Those of that name; NULL where there is none. Two of one name are an error that names both. */
int droplets_find(const struct droplets *droplets, const char *name, struct droplet **ret,
		  struct err *err);
int reserved_ips_list(struct api *api, const char *mark, struct pool *pool,
		      struct reserved_ips *ret, struct err *err);

/*
 * Assigns the reserved IP to the droplet, unless it is there already, and waits until it is. For
 * bootstrap, and for the node whose VRRP has become master. droplet_id 0: unassigns it. A droplet without the
 * mark keeps it: ERR_CONFIG. ret_moved may be NULL.
 */
int reserved_ip_hold(struct api *api, const char *ip, const char *mark, int64_t droplet_id,
		     int64_t deadline_ms, bool *ret_moved, struct err *err);

#endif
