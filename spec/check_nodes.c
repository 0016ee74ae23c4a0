/* Rules about the nodes of a cluster, their network and their address. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "spec/check_internal.h"
#include "spec/load.h"
#include "spec/place.h"

#define NODES_MAX 1000

void check_node_count(const struct cluster *cluster, struct diags *diags)
{
	const struct yaml_node *nodes = yaml_get(cluster->yaml, "nodes");

	if (nodes && nodes->kind == YAML_NODE_MAP && nodes->n == 0)
		report_cluster(diags, cluster, "nodes", "nodes: a cluster needs at least one node");
	if (cluster->node_map.n > NODES_MAX)
		report_cluster(diags, cluster, "nodes", "nodes: more than %d nodes", NODES_MAX);
}

/* --- addresses ----------------------------------------------------------------------- */

/* An address as bytes, so that two spellings of one are equal. */
struct address_use {
	unsigned char bytes[1 + sizeof(struct in6_addr)]; /* the family, then the address */
	const struct node *node;
	const char *text;
};

static void add_use(struct address_use *uses, size_t *n, const struct node *node,
		    const char *address)
{
	struct address_use *use = &uses[*n];

	if (!address)
		return;
	*use = (struct address_use) {.node = node, .text = address};
	use->bytes[0] = is_ipv4(address) ? AF_INET : AF_INET6;
	inet_pton(use->bytes[0], address, use->bytes + 1);
	++*n;
}

static int by_address(const void *a, const void *b)
{
	const struct address_use *x = a, *y = b;
	int order = memcmp(x->bytes, y->bytes, sizeof(x->bytes));

	if (order)
		return order;
	return (x->node > y->node) - (x->node < y->node);
}

void check_node_addresses(const struct cluster *cluster, struct diags *diags)
{
	AUTO_FREE struct address_use *uses = xcalloc(2 * cluster->node_map.n + 1, sizeof(*uses));
	size_t n = 0;

	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const struct node *node = cluster_node(cluster, i);

		add_use(uses, &n, node, node->address);
		add_use(uses, &n, node, node->public_address);
	}
	qsort(uses, n, sizeof(*uses), by_address);
	for (size_t i = 1; i < n; i++) {
		const struct address_use *first = &uses[i - 1], *again = &uses[i];

		if (first->node != again->node &&
		    memcmp(first->bytes, again->bytes, sizeof(first->bytes)) == 0)
			report_node(diags, cluster, again->node,
				    "nodes '%s' and '%s' have the same address %s",
				    first->node->name, again->node->name, again->text);
	}
}

static bool same_address(const char *a, const char *b)
{
	unsigned char x[sizeof(struct in6_addr)], y[sizeof(x)];
	int family;

	if (!a || !b || is_ipv4(a) != is_ipv4(b))
		return false;
	family = is_ipv4(a) ? AF_INET : AF_INET6;
	return inet_pton(family, a, x) == 1 && inet_pton(family, b, y) == 1 &&
	       memcmp(x, y, family == AF_INET ? sizeof(struct in_addr) : sizeof(x)) == 0;
}

/* Nodes that share one machine can reach one another by loopback; others cannot. */
void check_node_loopback(const struct cluster *cluster, struct diags *diags)
{
	const struct node *loopback = NULL, *other = NULL;

	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const struct node *node = cluster_node(cluster, i);
		const struct node **which =
			node->address && is_loopback(node->address) ? &loopback : &other;

		if (!*which)
			*which = node;
	}
	if (loopback && other)
		report_node(
			diags, cluster, loopback,
			"node '%s' has the loopback address %s, where node '%s' cannot reach it",
			loopback->name, loopback->address, other->name);
}

static int by_priority(const void *a, const void *b, void *arg)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	int64_t p = node_priority(arg, x), q = node_priority(arg, y);

	if (p != q)
		return p < q ? -1 : 1;
	return (x > y) - (x < y);
}

/* Two that follow from the position are only equal at the end of a long list, where it does no
 * harm. */
void check_node_priorities(const struct cluster *cluster, struct diags *diags)
{
	size_t n = cluster->node_map.n;
	AUTO_FREE const struct node **sorted = xcalloc(n + 1, sizeof(*sorted));

	for (size_t i = 0; i < n; i++)
		sorted[i] = cluster_node(cluster, i);
	qsort_r(sorted, n, sizeof(*sorted), by_priority, (void *)cluster);
	for (size_t i = 1; i < n; i++) {
		const struct node *first = sorted[i - 1], *again = sorted[i];
		long long priority = (long long)node_priority(cluster, again);

		if (priority != node_priority(cluster, first) ||
		    (!first->priority && !again->priority))
			continue;
		report_node(diags, cluster, again,
			    "nodes '%s' and '%s' have the same priority %lld%s", first->name,
			    again->name, priority,
			    first->priority && again->priority
				    ? ""
				    : ", one of them by its place in the list");
	}
}

void check_node_provider(const struct cluster *cluster, struct diags *diags)
{
	if (cluster->provider.digitalocean)
		return;
	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const struct node *node = cluster_node(cluster, i);

		if (node->size || node->region)
			report_node(diags, cluster, node,
				    "'%s' of node '%s' has no effect without 'provider'",
				    node->size ? "size" : "region", node->name);
	}
}

static void check_package(const struct cluster *cluster, struct diags *diags)
{
	const struct package *package = cluster->provider.digitalocean->package;

	if (!package)
		return;
	if (!package->url == !package->source)
		report_cluster(diags, cluster, "provider.digitalocean.package",
			       "provider.digitalocean.package: write 'url' with 'sha256', or "
			       "'source' with 'key'");
	else if (!package->url != !package->sha256 || !package->source != !package->key)
		report_cluster(diags, cluster, "provider.digitalocean.package",
			       "provider.digitalocean.package: '%s' needs '%s'",
			       package->url      ? "url"
			       : package->source ? "source"
			       : package->key    ? "key"
						 : "sha256",
			       package->url      ? "sha256"
			       : package->source ? "key"
			       : package->key    ? "source"
						 : "url");
}

static void check_first_agent(const struct cluster *cluster, struct diags *diags)
{
	const struct first_agent *agent = cluster->provider.digitalocean->agent;
	const struct yaml_node *yaml = yaml_get(cluster->yaml, "provider");
	static const struct {
		const char *file;
		const char *needs;
	} rows[] = {
		{"ca", "ca_file"},
		{"known_hosts", "credentials.known_hosts"},
		{"signers", "verify.signers"},
		{"keyring", "verify.keyring"},
	};

	if (!agent)
		return;
	yaml = yaml_get(yaml_get(yaml, "digitalocean"), "agent");
	agent_config_check(&agent->config, cluster->path, yaml, diags);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(strbuf_release) struct strbuf key = STRBUF_INIT;
		struct spec_pos pos;

		strbuf_addf(&key, "files.%s", rows[i].file);
		if (!yaml_has(yaml, key.buf) || yaml_has(yaml, rows[i].needs))
			continue;
		pos = yaml_place(yaml, key.buf);
		diags_add(diags, cluster->path, pos.line, pos.column,
			  "provider.digitalocean.agent: '%s' needs '%s', which says where it goes",
			  key.buf, rows[i].needs);
	}
}

void check_provider(const struct cluster *cluster, struct diags *diags)
{
	const struct digitalocean *cloud = cluster->provider.digitalocean;

	if (!cloud)
		return;
	check_package(cluster, diags);
	check_first_agent(cluster, diags);
	if (cloud->ip_range && !cloud->vpc)
		report_cluster(diags, cluster, "provider.digitalocean.ip_range",
			       "provider.digitalocean.ip_range has no effect without 'vpc'");
}

void check_network(const struct cluster *cluster, struct diags *diags)
{
	const char *subnet = cluster->network.subnet;

	if (!subnet)
		return;
	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const struct node *node = cluster_node(cluster, i);
		bool inside = node->address && cidr_has(subnet, node->address);

		if (inside || (node->public_address && cidr_has(subnet, node->public_address)))
			report_cluster(diags, cluster, "network.subnet",
				       "network.subnet: %s holds the address %s of node '%s', "
				       "which containers could not "
				       "reach",
				       subnet, inside ? node->address : node->public_address,
				       node->name);
	}
	if (cluster->vip && cluster->vip->address && cidr_has(subnet, cluster->vip->address))
		report_cluster(diags, cluster, "network.subnet",
			       "network.subnet: %s holds vip.address %s", subnet,
			       cluster->vip->address);
}

void check_rollout(const struct cluster *cluster, struct diags *diags)
{
	int64_t n = (int64_t)cluster->node_map.n;

	if (cluster->rollout.strategy == ROLLOUT_ROLLING && n > 1 &&
	    cluster->rollout.max_unavailable >= n)
		report_cluster(diags, cluster, "rollout.max_unavailable",
			       "rollout.max_unavailable: %lld of %lld nodes would be all of them: "
			       "write 'strategy: all' "
			       "where that is meant",
			       (long long)cluster->rollout.max_unavailable, (long long)n);
}

/* --- the address that moves ---------------------------------------------------------- */

static void check_vip_move(const struct cluster *cluster, struct diags *diags)
{
	const struct vip *vip = cluster->vip;

	if (!vip->address && vip->move == VIP_MOVE_VRRP && !yaml_has(cluster->yaml, "vip.address"))
		report_cluster(
			diags, cluster, "vip",
			"vip: missing key 'address': only with 'move: digitalocean' may it be "
			"absent");
	if (vip->move == VIP_MOVE_DIGITALOCEAN) {
		if (!cluster->provider.digitalocean)
			report_cluster(diags, cluster, "vip.move",
				       "vip.move: digitalocean needs 'provider.digitalocean'");
		if (vip->address && !is_ipv4(vip->address))
			report_cluster(diags, cluster, "vip.address",
				       "vip.address: a reserved IP is an IPv4 address");
		return;
	}
	for (size_t i = 0; vip->address && i < cluster->node_map.n; i++) {
		const char *address = cluster_node(cluster, i)->address;

		if (address && is_ipv4(address) != is_ipv4(vip->address)) {
			report_cluster(diags, cluster, "vip.address",
				       "vip.address: %s is not of the family of the address of "
				       "node '%s', %s",
				       vip->address, cluster_node(cluster, i)->name, address);
			return;
		}
	}
}

void check_vip(const struct cluster *cluster, struct diags *diags)
{
	const struct vip *vip = cluster->vip;

	if (!vip)
		return;
	check_vip_move(cluster, diags);
	if (cluster->ingress.runtime == RUNTIME_PROCESS)
		report_cluster(
			diags, cluster, "vip",
			"'vip' excludes 'ingress.runtime: process': keepalived is the system's");
	for (size_t i = 0; vip->address && i < cluster->node_map.n; i++) {
		const struct node *node = cluster_node(cluster, i);

		if (same_address(node->address, vip->address) ||
		    same_address(node->public_address, vip->address))
			report_cluster(diags, cluster, "vip.address",
				       "vip.address: %s is the address of node '%s': it must be "
				       "one of its own",
				       vip->address, node->name);
	}
}
