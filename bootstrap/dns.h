/*
 * Which records a cluster wants, what differs from those that are there, and the changes: pure, but
 * for dns_sync() and dns_clear(). Records that are ours bear the cluster's mark as their comment (cluster_mark());
 * others are never changed, and one that stands in the way is an error that names it.
 */
#ifndef BOOTSTRAP_DNS_H
#define BOOTSTRAP_DNS_H

#include "bootstrap/cloudflare.h"
#include "spec/model.h"

struct dns_want {
	const char *name;
	const char *address;     /* NULL: not known now; what is there of ours stays as it is */
	const char *of;          /* "service 'api'", "node 'misty-owl'" */
	const struct node *node; /* whose address it is; NULL: the one that moves */
	bool proxied;
};

struct dns_wants {
	struct dns_want *v; /* in the pool */
	size_t n;
};

/* What is known of the addresses. */
struct dns_addresses {
	const char *service; /* where every host leads: the address that moves; NULL: not known */
	bool has_vip;        /* else hosts lead to the nodes themselves */
	const char *
		*nodes; /* the public one of each node in the order of the file, NULL: not known */
};

/* A record for every host of every service, and for every node NODE.DOMAIN. Nodes are not proxied:
 * their names are for logging in. */
int dns_wanted(const struct cluster *cluster, const struct dns_addresses *addresses,
	       struct pool *pool, struct dns_wants *ret, struct err *err);

enum dns_verb { DNS_CREATE, DNS_CHANGE, DNS_REMOVE };

struct dns_change {
	enum dns_verb verb;
	const struct dns_record *record; /* CHANGE, REMOVE */
	const struct dns_want *want;     /* CREATE, CHANGE */
};

struct dns_changes {
	struct dns_change *v;
	size_t n;
};

/* ERR_CONFIG where records that are not ours stand in the way; the message names them. */
int dns_compare(const struct dns_wants *wants, const struct dns_records *records, const char *mark,
		struct pool *pool, struct dns_changes *ret, struct err *err);
/* "A", "AAAA" */
const char *dns_type(const char *address);

/*
 * Brings the zone's records to what is wanted, in batches; what is not known yet is left alone. Looks
 * at the zone again before another try, so nothing is made twice. wants of no element: everything
 * that is ours goes. *ret_changed: how many changes were sent.
 */
int dns_sync(struct api *api, const char *zone_name, const struct dns_wants *wants,
	     const char *mark, size_t *ret_changed, struct err *err);
/* Takes away all that is ours in a zone, which is known by its id. */
int dns_clear(struct api *api, const char *zone_id, const char *mark, struct err *err);

#endif
