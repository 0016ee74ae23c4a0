/* Ports of a node that two things want. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "spec/check.h"
#include "spec/check_internal.h"
#include "spec/place.h"

/* Where the program that renews certificates answers ACME challenges. */
#define ACME_PORT 8402

struct port_use {
	int64_t port;
	const char *key;               /* of cluster.yaml; NULL for a service and for ACME */
	const struct service *service; /* or NULL */
};

struct port_uses {
	struct port_use *v;
	size_t n;
	int64_t proposed; /* the last port that was, 0 for none: none is proposed twice */
};

/* What the ingress has comes before services, and services come in their order. */
static int by_port(const void *a, const void *b)
{
	const struct port_use *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (!x->service != !y->service)
		return x->service ? 1 : -1;
	if (x->service)
		return (x->service > y->service) - (x->service < y->service);
	if (!x->key != !y->key)
		return x->key ? 1 : -1;
	return x->key ? strcmp(x->key, y->key) : 0;
}

static bool is_used(const struct port_uses *uses, int64_t port)
{
	size_t low = 0, high = uses->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (uses->v[middle].port == port)
			return true;
		if (uses->v[middle].port < port)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The first free one after a port, or after the last that was proposed, of those that are for
 * services. */
static int64_t free_port(struct port_uses *uses, int64_t port)
{
	const int64_t n = PUBLISH_LAST - PUBLISH_FIRST + 1;
	int64_t after = uses->proposed ? uses->proposed : port;
	int64_t start =
		after >= PUBLISH_FIRST && after < PUBLISH_LAST ? after + 1 - PUBLISH_FIRST : 0;

	uses->proposed = PUBLISH_FIRST + start;
	for (int64_t i = 1; i < n && is_used(uses, uses->proposed); i++)
		uses->proposed = PUBLISH_FIRST + (start + i) % n;
	return uses->proposed;
}

static bool share_a_node(const struct cluster *cluster, const struct service *a,
			 const struct service *b)
{
	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const struct node *node = cluster_node(cluster, i);

		if (service_on_node(a, node) && service_on_node(b, node))
			return true;
	}
	return false;
}

static const char *origin(const struct service *service)
{
	return service->publish_pos.line ? "by its 'publish'" : "from its name";
}

static void report_service_port(struct port_uses *uses, const struct port_use *first,
				const struct port_use *again, struct diags *diags)
{
	const struct service *service = again->service;
	long long port = (long long)again->port, other = (long long)free_port(uses, again->port);

	if (first->service)
		report_service(diags, service, service->publish_pos,
			       "port %lld of service '%s' (%s) is that of service '%s' too (%s): "
			       "write 'publish: %lld', "
			       "which is free",
			       port, service->name, origin(service), first->service->name,
			       origin(first->service), other);
	else
		report_service(diags, service, service->publish_pos,
			       "port %lld of service '%s' (%s) is %s%s: write 'publish: %lld', "
			       "which is free",
			       port, service->name, origin(service),
			       first->key ? "that of " : "kept for ACME challenges",
			       first->key ? first->key : "", other);
}

/* At the one of the two that is written, where the other is a default. */
static void report_ingress_port(const struct cluster *cluster, const struct port_use *first,
				const struct port_use *again, struct diags *diags)
{
	bool swap = first->key && !yaml_has(cluster->yaml, again->key);
	const char *at = swap ? first->key : again->key, *other = swap ? again->key : first->key;

	if (other)
		report_cluster(diags, cluster, at, "%s: %lld is that of %s too", at,
			       (long long)again->port, other);
	else
		report_cluster(diags, cluster, at, "%s: %lld is kept for ACME challenges", at,
			       (long long)again->port);
}

static void add_use(struct port_uses *uses, int64_t port, const char *key,
		    const struct service *service)
{
	if (port)
		uses->v[uses->n++] = (struct port_use) {port, key, service};
}

static void add_ingress(struct port_uses *uses, const struct ingress *ingress)
{
	add_use(uses, ingress->http_port, "ingress.http_port", NULL);
	add_use(uses, ingress->https_port, "ingress.https_port", NULL);
	add_use(uses, ingress->caddy_port, "ingress.caddy_port", NULL);
	add_use(uses, ingress->health_port, "ingress.health_port", NULL);
	add_use(uses, ingress->stats.port, "ingress.stats.port", NULL);
	add_use(uses, ACME_PORT, NULL, NULL);
}

/* More than there are of add_ingress(). */
#define INGRESS_PORTS 8

/* Reports each use of a port with the first use that it gets in the way of. */
static void check_use(const struct cluster *cluster, struct port_uses *uses, size_t i,
		      struct diags *diags)
{
	const struct port_use *again = &uses->v[i];
	size_t first = i;

	while (first > 0 && uses->v[first - 1].port == again->port)
		first--;
	for (; first < i; first++) {
		const struct port_use *other = &uses->v[first];

		if (other->service && !share_a_node(cluster, other->service, again->service))
			continue;
		if (again->service)
			report_service_port(uses, other, again, diags);
		else
			report_ingress_port(cluster, other, again, diags);
		return;
	}
}

void check_ports(const struct cluster *cluster, struct diags *diags)
{
	AUTO_FREE struct port_use *v = xcalloc(cluster->n_services + INGRESS_PORTS, sizeof(*v));
	struct port_uses uses = {.v = v};

	add_ingress(&uses, &cluster->ingress);
	for (size_t i = 0; i < cluster->n_services; i++)
		add_use(&uses, cluster->services[i].publish, NULL, &cluster->services[i]);
	qsort(uses.v, uses.n, sizeof(*uses.v), by_port);
	for (size_t i = 0; i < uses.n; i++)
		check_use(cluster, &uses, i, diags);
}
