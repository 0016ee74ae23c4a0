#include "reconciler/watch.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "render/layout.h"

/* Ports and paths follow from the cluster; the address is where this node's own programs meet. */
static void fill_endpoints(const struct cluster *cluster, const struct node *node,
			   const struct facts *facts, struct pool *pool, struct endpoints *ret)
{
	const struct ingress *in = &cluster->ingress;
	const char *root = facts->root;
	const char *loopback = facts_loopback(facts, node);
	const char *bind = facts_bind_address(facts, node);

	*ret = (struct endpoints) {
		.runtime = in->runtime,
		.haproxy_file = layout_file(pool, root, LAYOUT_HAPROXY, in->runtime, "haproxy.cfg"),
		.haproxy_socket = layout_file(pool, root, LAYOUT_HAPROXY_SOCKET, in->runtime, NULL),
		.haproxy_master = layout_file(pool, root, LAYOUT_HAPROXY_MASTER, in->runtime, NULL),
		.caddy_file = layout_file(pool, root, LAYOUT_CADDY, in->runtime, "Caddyfile"),
		.caddy_socket = layout_file(pool, root, LAYOUT_CADDY_SOCKET, in->runtime, NULL),
		.caddy_data = layout_file(pool, root, LAYOUT_CADDY_DATA, in->runtime, NULL),
		.keepalived_file = layout_file(pool, root, LAYOUT_KEEPALIVED, in->runtime, NULL),
		.caddy_health = pool_printf(pool, "http://%s:%d%s", loopback, (int)in->caddy_port,
					    HEALTH_PATH),
		.ingress_host = bind ? bind : loopback,
		.probe_from = pool_strdup(pool, loopback),
		.ingress_tls = in->tls.mode != TLS_OFF,
		.ingress_port = in->tls.mode == TLS_OFF ? in->http_port : in->https_port,
	};
}

/* HAProxy expects the header from the prefixes of `proxies`, and this node may be in one. */
static bool wants_proxy_header(const struct ingress *in, const char *address)
{
	for (size_t i = 0; i < in->proxies.n; i++)
		if (in->client_address == CLIENT_PROXY_PROTOCOL &&
		    cidr_has(in->proxies.v[i], address))
			return true;
	return false;
}

/* A name that the service answers to; under a wildcard any will do. */
static const char *probe_host(const struct service *s, struct pool *pool)
{
	for (size_t i = 0; i < s->hosts.n; i++)
		if (s->hosts.v[i][0] != '*')
			return pool_strdup(pool, s->hosts.v[i]);
	return s->hosts.n ? pool_printf(pool, "dynia-probe%s", s->hosts.v[0] + 1) : NULL;
}

static const char *peer_addresses(const struct cluster *cluster, const struct node *self,
				  const struct facts *facts, struct pool *pool)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const struct node *node = cluster_node(cluster, i);
		const char *address = node == self ? NULL : facts_address(facts, node);

		if (address)
			strbuf_addf(&text, "%s\n", address);
	}
	return pool_strdup(pool, text.buf);
}

void watch_from_cluster(const struct cluster *cluster, const struct node *node,
			const struct facts *facts, const struct fileset *set, struct pool *pool,
			struct watch *ret)
{
	memset(ret, 0, sizeof(*ret));
	fill_endpoints(cluster, node, facts, pool, &ret->at);
	ret->proxy_header = wants_proxy_header(&cluster->ingress, ret->at.probe_from);
	ret->address = node->address ? pool_strdup(pool, node->address) : NULL;
	ret->public_address = node->public_address ? pool_strdup(pool, node->public_address) : NULL;
	ret->peers = peer_addresses(cluster, node, facts, pool);
	memcpy(ret->haproxy_config, set->haproxy_config, sizeof(ret->haproxy_config));
	memcpy(ret->caddy_config, set->caddy_config, sizeof(ret->caddy_config));
	memcpy(ret->keepalived_config, set->keepalived_config, sizeof(ret->keepalived_config));
	memcpy(ret->firewall_config, set->firewall_config, sizeof(ret->firewall_config));
	ret->services = pool_calloc(pool, cluster->n_services + 1, sizeof(*ret->services));
	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *s = &cluster->services[i];

		if (!service_on_node(s, node))
			continue;
		ret->services[ret->n_services++] = (struct watched_service) {
			.name = pool_strdup(pool, s->name),
			.host = probe_host(s, pool),
			.path = s->health.path ? pool_strdup(pool, s->health.path) : NULL,
			.interval_ms = s->health.interval_ms,
			.timeout_ms = s->health.timeout_ms,
			.retries = s->health.retries,
			.start_period_ms = s->health.start_period_ms,
		};
	}
}

static const struct {
	enum program program;
	const char *key;
	size_t offset;
} configs[] = {
	{PROGRAM_HAPROXY, "haproxy_config", offsetof(struct watch, haproxy_config)},
	{PROGRAM_CADDY, "caddy_config", offsetof(struct watch, caddy_config)},
	{PROGRAM_KEEPALIVED, "keepalived_config", offsetof(struct watch, keepalived_config)},
	{PROGRAM_FIREWALL, "firewall_config", offsetof(struct watch, firewall_config)},
};

const char *watch_config(const struct watch *watch, enum program program)
{
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		if (configs[i].program == program)
			return (const char *)watch + configs[i].offset;
	return "";
}

/* --- in the state -------------------------------------------------------------------- */

static const struct {
	const char *key;
	size_t offset;
} endpoint_texts[] = {
	{"haproxy_file", offsetof(struct endpoints, haproxy_file)},
	{"haproxy_socket", offsetof(struct endpoints, haproxy_socket)},
	{"haproxy_master", offsetof(struct endpoints, haproxy_master)},
	{"caddy_file", offsetof(struct endpoints, caddy_file)},
	{"caddy_socket", offsetof(struct endpoints, caddy_socket)},
	{"caddy_data", offsetof(struct endpoints, caddy_data)},
	{"caddy_health", offsetof(struct endpoints, caddy_health)},
	{"keepalived_file", offsetof(struct endpoints, keepalived_file)},
	{"ingress_host", offsetof(struct endpoints, ingress_host)},
	{"probe_from", offsetof(struct endpoints, probe_from)},
};

#define N_ENDPOINT_TEXTS (sizeof(endpoint_texts) / sizeof(endpoint_texts[0]))

static const char **endpoint_text(struct endpoints *at, size_t i)
{
	return (const char **)((char *)at + endpoint_texts[i].offset);
}

json_t *watch_to_json(const struct watch *watch)
{
	struct endpoints at = watch->at;
	json_t *object =
		json_pack("{si sI sb ss? ss?}", "runtime", at.runtime, "ingress_port",
			  (json_int_t)at.ingress_port, "ingress_tls", at.ingress_tls, "address",
			  watch->address, "public_address", watch->public_address);
	json_t *services = json_array();

	json_object_set_new(object, "peers", json_string(watch->peers ? watch->peers : ""));
	json_object_set_new(object, "proxy_header", json_boolean(watch->proxy_header));
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		json_object_set_new(object, configs[i].key,
				    json_string(watch_config(watch, configs[i].program)));
	for (size_t i = 0; i < N_ENDPOINT_TEXTS; i++)
		json_object_set_new(object, endpoint_texts[i].key,
				    json_string(*endpoint_text(&at, i)));
	for (size_t i = 0; i < watch->n_services; i++) {
		const struct watched_service *s = &watch->services[i];

		json_array_append_new(services,
				      json_pack("[s s? s? I I I I]", s->name, s->host, s->path,
						(json_int_t)s->interval_ms,
						(json_int_t)s->timeout_ms, (json_int_t)s->retries,
						(json_int_t)s->start_period_ms));
	}
	json_object_set_new(object, "services", services);
	return object;
}

static const char *copy_or_null(struct pool *pool, const json_t *text)
{
	return json_is_string(text) ? pool_strdup(pool, json_string_value(text)) : NULL;
}

static bool take_service(const json_t *row, struct pool *pool, struct watched_service *ret)
{
	int64_t *numbers[] = {&ret->interval_ms, &ret->timeout_ms, &ret->retries,
			      &ret->start_period_ms};

	ret->name = copy_or_null(pool, json_array_get(row, 0));
	ret->host = copy_or_null(pool, json_array_get(row, 1));
	ret->path = copy_or_null(pool, json_array_get(row, 2));
	for (size_t i = 0; i < 4; i++)
		*numbers[i] = (int64_t)json_integer_value(json_array_get(row, 3 + i));
	return ret->name != NULL;
}

static bool take_digest(const json_t *object, const char *key, char ret[SHA256_HEX_SIZE])
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text || strlen(text) >= SHA256_HEX_SIZE)
		return false;
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

bool watch_from_json(const json_t *object, struct pool *pool, struct watch *ret)
{
	const json_t *services = json_object_get(object, "services");
	int runtime = (int)json_integer_value(json_object_get(object, "runtime"));

	memset(ret, 0, sizeof(*ret));
	if (runtime < 0 || runtime > RUNTIME_PROCESS)
		return false;
	for (size_t i = 0; i < N_ENDPOINT_TEXTS; i++) {
		*endpoint_text(&ret->at, i) =
			copy_or_null(pool, json_object_get(object, endpoint_texts[i].key));
		if (!*endpoint_text(&ret->at, i))
			return false;
	}
	ret->at.runtime = runtime;
	ret->proxy_header = json_is_true(json_object_get(object, "proxy_header"));
	ret->address = copy_or_null(pool, json_object_get(object, "address"));
	ret->public_address = copy_or_null(pool, json_object_get(object, "public_address"));
	ret->peers = copy_or_null(pool, json_object_get(object, "peers"));
	ret->at.ingress_port = (int64_t)json_integer_value(json_object_get(object, "ingress_port"));
	ret->at.ingress_tls = json_is_true(json_object_get(object, "ingress_tls"));
	ret->services = pool_calloc(pool, json_array_size(services) + 1, sizeof(*ret->services));
	for (size_t i = 0; i < json_array_size(services); i++)
		if (!take_service(json_array_get(services, i), pool,
				  &ret->services[ret->n_services++]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		if (!take_digest(object, configs[i].key, (char *)ret + configs[i].offset))
			return false;
	return true;
}
