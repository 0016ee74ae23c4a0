#include "spec/check.h"

#include <stdarg.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/strbuf.h"
#include "spec/check_internal.h"
#include "spec/place.h"

void report_cluster(struct diags *diags, const struct cluster *cluster, const char *key,
		    const char *fmt, ...)
{
	struct spec_pos pos = yaml_place(cluster->yaml, key);
	va_list ap;

	va_start(ap, fmt);
	diags_vadd(diags, cluster->path, pos.line, pos.column, fmt, ap);
	va_end(ap);
}

void report_node(struct diags *diags, const struct cluster *cluster, const struct node *node,
		 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diags_vadd(diags, cluster->path, node->pos.line, node->pos.column, fmt, ap);
	va_end(ap);
}

void report_service(struct diags *diags, const struct service *service, struct spec_pos pos,
		    const char *fmt, ...)
{
	va_list ap;

	if (!pos.line)
		pos = yaml_place(service->yaml, "");
	va_start(ap, fmt);
	diags_vadd(diags, service->path, pos.line, pos.column, fmt, ap);
	va_end(ap);
}

static void check_tls_origin(const struct cluster *cluster, struct diags *diags)
{
	const struct cloudflare *cloudflare = cluster->dns.cloudflare;

	if (cluster->ingress.tls.mode == TLS_ORIGIN && (!cloudflare || !cloudflare->proxied))
		report_cluster(diags, cluster, "ingress.tls.mode",
			       "ingress.tls.mode: origin needs 'dns.cloudflare' with 'proxied: "
			       "true': only Cloudflare "
			       "trusts an origin certificate");
}

/* What HAProxy does, which is not there when Caddy answers itself. */
static void check_tls_caddy(const struct cluster *cluster, struct diags *diags)
{
	const struct ingress *ingress = &cluster->ingress;
	const struct {
		const char *key;
		bool used;
	} rows[] = {
		{"ingress.rate_limit", ingress->rate_limit != NULL},
		{"ingress.client_address", ingress->client_address != CLIENT_DIRECT},
		{"ingress.stats.from", ingress->stats.from.n > 0},
	};

	if (ingress->tls.mode != TLS_CADDY)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].used)
			report_cluster(diags, cluster, rows[i].key,
				       "'%s' is HAProxy's work, and with 'ingress.tls.mode: caddy' "
				       "there is none: take "
				       "it out, or use acme",
				       rows[i].key);
}

static void check_tls_email(const struct cluster *cluster, struct diags *diags)
{
	const struct tls *tls = &cluster->ingress.tls;

	if (tls->email && tls->mode != TLS_ACME && tls->mode != TLS_CADDY)
		report_cluster(
			diags, cluster, "ingress.tls.email",
			"'ingress.tls.email' has no effect without 'mode: acme' or 'mode: caddy'");
}

static void check_proxies(const struct cluster *cluster, struct diags *diags)
{
	const struct ingress *ingress = &cluster->ingress;

	if (ingress->client_address == CLIENT_PROXY_PROTOCOL &&
	    !yaml_has(cluster->yaml, "ingress.proxies"))
		report_cluster(diags, cluster, "ingress.client_address",
			       "'client_address: proxy_protocol' needs 'ingress.proxies': whose "
			       "header to believe");
	if (ingress->client_address != CLIENT_PROXY_PROTOCOL && ingress->proxies.n > 0)
		report_cluster(
			diags, cluster, "ingress.proxies",
			"'ingress.proxies' has no effect without 'client_address: proxy_protocol'");
}

static void check_stats(const struct cluster *cluster, struct diags *diags)
{
	bool user = yaml_has(cluster->yaml, "ingress.stats.user");
	bool password = yaml_has(cluster->yaml, "ingress.stats.password");

	if (cluster->ingress.stats.from.n > 0 && !user && !password)
		report_cluster(
			diags, cluster, "ingress.stats.from",
			"'ingress.stats.from' needs 'user' and 'password': the page would be open");
	else if (user && !password)
		report_cluster(diags, cluster, "ingress.stats.user",
			       "'ingress.stats.user' needs 'password'");
	else if (password && !user)
		report_cluster(diags, cluster, "ingress.stats.password",
			       "'ingress.stats.password' needs 'user'");
}

void check_resources(struct diags *diags, const char *path, const struct yaml_node *yaml,
		     const char *key, const struct resources *resources)
{
	const struct {
		const char *name;
		int64_t limit, reservation;
	} rows[] = {
		{"memory", resources->limits.memory_bytes, resources->reservations.memory_bytes},
		{"cpus", resources->limits.cpus_milli, resources->reservations.cpus_milli},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(strbuf_release) struct strbuf dotted = STRBUF_INIT;
		struct spec_pos pos;

		if (!rows[i].limit || rows[i].reservation <= rows[i].limit)
			continue;
		strbuf_addf(&dotted, "%s.reservations.%s", key, rows[i].name);
		pos = yaml_place(yaml, dotted.buf);
		diags_add(diags, path, pos.line, pos.column,
			  "%s: more is reserved than the limit allows", dotted.buf);
	}
}

static void check_ingress_resources(const struct cluster *cluster, struct diags *diags)
{
	const struct ingress_resources *resources = &cluster->ingress.resources;

	check_resources(diags, cluster->path, cluster->yaml, "ingress.resources.haproxy",
			&resources->haproxy);
	check_resources(diags, cluster->path, cluster->yaml, "ingress.resources.caddy",
			&resources->caddy);
}

static void check_registries(const struct cluster *cluster, struct diags *diags)
{
	const struct registry *all = cluster->registry_map.v;

	for (size_t i = 0; i < cluster->registry_map.n; i++)
		if (all[i].password.text)
			diags_add(
				diags, cluster->path, all[i].password.pos.line,
				all[i].password.pos.column,
				"registries: the password of '%s' would be in git: write {secret: "
				"NAME}",
				all[i].name);
}

typedef void check_rule(const struct cluster *cluster, struct diags *diags);

static check_rule *const rules[] = {
	check_node_count,
	check_node_addresses,
	check_node_loopback,
	check_node_priorities,
	check_node_provider,
	check_provider,
	check_network,
	check_rollout,
	check_vip,
	check_tls_origin,
	check_tls_caddy,
	check_tls_email,
	check_proxies,
	check_stats,
	check_ingress_resources,
	check_hosts,
	check_default_service,
	check_host_zone,
	check_wildcard_certificates,
	check_service_nodes,
	check_service_resources,
	check_ports,
	check_registries,
};

void check_cluster(const struct cluster *cluster, struct diags *diags)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		rules[i](cluster, diags);
}

int64_t service_default_port(const char *name)
{
	return PUBLISH_FIRST + (int64_t)(fnv1a64(name) % (PUBLISH_LAST - PUBLISH_FIRST + 1));
}
