/* Rules about the services of a cluster: hosts, and where they run. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "spec/check_internal.h"
#include "spec/place.h"

/* A host, and the service that claims it. */
struct claim {
	const char *host;
	const struct service *service;
	struct spec_pos pos;
};

static int by_host(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int order = strcmp(x->host, y->host);

	if (order)
		return order;
	return (x->service > y->service) - (x->service < y->service);
}

static size_t count_hosts(const struct cluster *cluster)
{
	size_t n = 0;

	for (size_t i = 0; i < cluster->n_services; i++)
		n += cluster->services[i].hosts.n;
	return n;
}

/* A host that one service has twice is reported when its file is read. */
void check_hosts(const struct cluster *cluster, struct diags *diags)
{
	AUTO_FREE struct claim *claims = xcalloc(count_hosts(cluster) + 1, sizeof(*claims));
	size_t n = 0;

	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];

		for (size_t j = 0; j < service->hosts.n; j++)
			claims[n++] = (struct claim) {service->hosts.v[j], service,
						      service->hosts.pos[j]};
	}
	qsort(claims, n, sizeof(*claims), by_host);
	for (size_t i = 1; i < n; i++) {
		const struct claim *first = &claims[i - 1], *again = &claims[i];

		if (strcmp(first->host, again->host) == 0 && first->service != again->service)
			report_service(diags, again->service, again->pos,
				       "hosts: '%s' is claimed by service '%s' too (%s:%u)",
				       again->host, first->service->name, first->service->path,
				       first->pos.line);
	}
}

void check_default_service(const struct cluster *cluster, struct diags *diags)
{
	const struct service *first = NULL;

	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];

		if (!service->is_default)
			continue;
		if (first)
			report_service(diags, service, service->default_pos,
				       "default: service '%s' is the default already (%s:%u)",
				       first->name, first->path, first->default_pos.line);
		else
			first = service;
	}
}

static bool is_in_zone(const char *host, const char *zone)
{
	size_t len, zone_len = strlen(zone);

	if (strncmp(host, "*.", 2) == 0)
		host += 2;
	len = strlen(host);
	if (len < zone_len || strcmp(host + len - zone_len, zone) != 0)
		return false;
	return len == zone_len || host[len - zone_len - 1] == '.';
}

void check_host_zone(const struct cluster *cluster, struct diags *diags)
{
	const char *zone = cluster->dns.cloudflare ? cluster->dns.cloudflare->zone : NULL;

	for (size_t i = 0; zone && i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];

		for (size_t j = 0; j < service->hosts.n; j++)
			if (!is_in_zone(service->hosts.v[j], zone))
				report_service(
					diags, service, service->hosts.pos[j],
					"hosts: '%s' is not in the zone '%s' of dns.cloudflare",
					service->hosts.v[j], zone);
	}
}

/* RFC 8555 has wildcards by DNS challenges only, which Dynia does not answer. */
void check_wildcard_certificates(const struct cluster *cluster, struct diags *diags)
{
	int mode = cluster->ingress.tls.mode;

	if (mode != TLS_ACME && mode != TLS_CADDY)
		return;
	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];

		for (size_t j = 0; j < service->hosts.n; j++)
			if (service->hosts.v[j][0] == '*')
				report_service(diags, service, service->hosts.pos[j],
					       "hosts: no certificate can be had for '%s' over "
					       "HTTP: use 'ingress.tls.mode: "
					       "files' or origin, or name the hosts",
					       service->hosts.v[j]);
	}
}

/* --- where services run -------------------------------------------------------------- */

/* The names of the nodes, ended by NULL. The caller frees it. */
static const char **node_names(const struct cluster *cluster)
{
	const char **names = xcalloc(cluster->node_map.n + 1, sizeof(*names));

	for (size_t i = 0; i < cluster->node_map.n; i++)
		names[i] = cluster_node(cluster, i)->name;
	return names;
}

static void check_node_names(const struct cluster *cluster, const struct service *service,
			     struct diags *diags)
{
	const struct spec_strings *names = &service->nodes.names;

	for (size_t i = 0; i < names->n; i++) {
		AUTO_FREE const char **known = NULL;
		const char *near;

		if (cluster_find_node(cluster, names->v[i]))
			continue;
		known = node_names(cluster);
		near = nearest_word(names->v[i], known);
		if (near)
			report_service(diags, service, names->pos[i],
				       "nodes: there is no node '%s': did you mean '%s'?",
				       names->v[i], near);
		else
			report_service(diags, service, names->pos[i],
				       "nodes: there is no node '%s' in cluster '%s'", names->v[i],
				       cluster->name);
	}
}

static bool runs_somewhere(const struct cluster *cluster, const struct service *service)
{
	for (size_t i = 0; i < cluster->node_map.n; i++)
		if (service_on_node(service, cluster_node(cluster, i)))
			return true;
	return false;
}

void check_service_nodes(const struct cluster *cluster, struct diags *diags)
{
	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];
		const struct yaml_node *nodes = yaml_get(service->yaml, "nodes");

		if (service->nodes.all || !nodes)
			continue;
		check_node_names(cluster, service, diags);
		if (service->nodes.labels.n > 0 && !runs_somewhere(cluster, service))
			report_service(diags, service, service->nodes_pos,
				       "nodes: no node has these labels");
		else if (nodes->kind == YAML_NODE_LIST && nodes->n == 0)
			report_service(diags, service, service->nodes_pos,
				       "nodes: the service would run nowhere");
	}
}

void check_service_resources(const struct cluster *cluster, struct diags *diags)
{
	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];

		check_resources(diags, service->path, service->yaml, "resources",
				&service->resources);
	}
}
