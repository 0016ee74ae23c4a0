#include "bootstrap/holder.h"

#include <string.h>

#include "base/cleanup.h"
#include "bootstrap/digitalocean.h"
#include "bootstrap/dns.h"

#define TRIES 3
#define WAIT_MOST_MS 5000
#define ADDRESS_DEADLINE_MS 30000

static bool moves_by_api(const struct cluster *cluster)
{
	return cluster->vip && cluster->vip->move == VIP_MOVE_DIGITALOCEAN;
}

bool holder_has_work(const struct cluster *cluster)
{
	return moves_by_api(cluster) || cluster->dns.cloudflare;
}

bool holder_is(const struct cluster *cluster, const struct node *node, bool is_master)
{
	if (cluster->vip)
		return is_master;
	for (size_t i = 0; i < cluster->node_map.n; i++)
		if (node_priority(cluster, cluster_node(cluster, i)) > node_priority(cluster, node))
			return false;
	return true;
}

struct keeping {
	const struct cluster *cluster;
	const struct node *node;
	const struct holder_tokens *tokens;
	struct pool *pool;
	const char *mark;
	struct droplets droplets;
	const char *address; /* that moves; NULL: not known */
	struct holder_result *result;
};

static int open_api(struct api *api, const struct api_kind *kind, const char *token,
		    struct err *err)
{
	if (api_open(api, kind, token, err) < 0)
		return -1;
	api->tries = TRIES;
	api->wait_most_ms = WAIT_MOST_MS;
	return 0;
}

/* The one that vip.address names, or else that one of the cluster's droplets has, or else that none has and that is tagged. */
static int find_address(struct keeping *k, struct api *api, struct err *err)
{
	struct reserved_ips all;

	if (k->address)
		return 0;
	if (reserved_ips_list(api, k->mark, k->pool, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		for (size_t d = 0; d < k->droplets.n; d++)
			if (all.v[i].droplet_id == k->droplets.v[d].id)
				k->address = all.v[i].ip;
	for (size_t i = 0; i < all.n && !k->address; i++) {
		const char *tag = address_tag(k->pool, k->cluster->name, all.v[i].ip);
		int there = all.v[i].droplet_id ? 0 : tag_look_for(api, tag, k->pool, err);

		if (there < 0)
			return -1;
		if (there)
			k->address = all.v[i].ip;
	}
	if (k->address)
		return 0;
	return err_set(err, ERR_CONFIG,
		       "the cluster has no reserved IP: dynia bootstrap apply reserves one, or "
		       "write its address to vip.address");
}

static int hold_address(struct keeping *k, struct api *api, struct err *err)
{
	const char *name = droplet_name(k->pool, k->cluster->name, k->node->name);
	struct droplet *own;

	if (droplets_find(&k->droplets, name, &own, err) < 0)
		return -1;
	if (!own)
		return err_set(err, ERR_CONFIG,
			       "there is no droplet '%s' with the cluster's tag, to which the "
			       "reserved IP could be assigned",
			       name);
	return reserved_ip_hold(api, k->address, k->mark, own->id, ADDRESS_DEADLINE_MS,
				&k->result->moved, err);
}

static int keep_address(struct keeping *k, struct err *err)
{
	CLEANUP(api_release) struct api api = API_INIT;
	bool moves = moves_by_api(k->cluster);

	if (!k->tokens->digitalocean)
		return !moves ? 0
			      : err_set(err, ERR_CONFIG,
					"vip.move: digitalocean needs secret '%s' on this node",
					HOLDER_DIGITALOCEAN_SECRET);
	if (!k->cluster->provider.digitalocean)
		return 0;
	if (open_api(&api, &digitalocean_api, k->tokens->digitalocean, err) < 0 ||
	    droplets_list(&api, k->mark, k->pool, &k->droplets, err) < 0)
		return -1;
	if (!moves)
		return 0;
	return find_address(k, &api, err) < 0 ? -1 : hold_address(k, &api, err);
}

static const char *public_address(struct keeping *k, const struct node *node)
{
	const char *name = droplet_name(k->pool, k->cluster->name, node->name);

	if (node->public_address)
		return node->public_address;
	for (size_t i = 0; i < k->droplets.n; i++)
		if (strcmp(k->droplets.v[i].name, name) == 0)
			return k->droplets.v[i].public_address;
	return NULL;
}

static int keep_records(struct keeping *k, struct err *err)
{
	CLEANUP(api_release) struct api api = API_INIT;
	const struct cluster *cluster = k->cluster;
	const char **nodes = pool_calloc(k->pool, cluster->node_map.n + 1, sizeof(*nodes));
	struct dns_addresses addresses = {.service = k->address,
					  .has_vip = cluster->vip != NULL,
					  .nodes = nodes};
	struct dns_wants wants;

	if (!cluster->dns.cloudflare || !k->tokens->cloudflare)
		return 0;
	for (size_t i = 0; i < cluster->node_map.n; i++)
		nodes[i] = public_address(k, cluster_node(cluster, i));
	if (dns_wanted(cluster, &addresses, k->pool, &wants, err) < 0 ||
	    open_api(&api, &cloudflare_api, k->tokens->cloudflare, err) < 0)
		return -1;
	return dns_sync(&api, cluster->dns.cloudflare->zone, &wants, k->mark, &k->result->records,
			err);
}

int holder_keep(const struct cluster *cluster, const struct node *node,
		const struct holder_tokens *tokens, struct holder_result *ret, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct keeping k = {
		.cluster = cluster,
		.node = node,
		.tokens = tokens,
		.pool = pool,
		.mark = cluster_mark(pool, cluster->name),
		.address = cluster->vip ? cluster->vip->address : NULL,
		.result = ret,
	};
	struct err second = {0};
	int failed;

	memset(ret, 0, sizeof(*ret));
	failed = keep_address(&k, err);
	if (keep_records(&k, failed ? &second : err) < 0)
		failed = -1;
	return failed;
}
