/* What answers for a service: its container, its files, or a text. */
#include <string.h>

#include "base/parse.h"
#include "render/caddy.h"

/* The longest time between two questions to an application: after a restart that a question met,
 * nothing is sent to it until the next one. */
#define HEALTH_INTERVAL_MAX_MS 2000

/* One address as a prefix. */
static const char *host_prefix(struct conf_writer *w, const char *address)
{
	return conf_word(w, is_ipv4(address) ? "%s/32" : "%s/128", address);
}

/* HAProxy's hop only, here and on the other nodes: what it says in X-Forwarded-* is kept. */
void caddy_snippets(struct caddy *c)
{
	const struct cluster *cluster = c->in->cluster;
	struct conf_writer *w = c->w;

	conf_blank(w);
	conf_open(w, "(to_app)");
	conf_line(w, "trusted_proxies 127.0.0.0/8 ::1/128");
	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const char *address = facts_address(c->in->facts, cluster_node(cluster, i));

		if (address && !is_loopback(address))
			conf_line(w, "trusted_proxies %s", host_prefix(w, address));
	}
	conf_comment(w, "a container that is being replaced: wait for the next one");
	conf_line(w, "lb_try_duration 3s");
	conf_close(w);
}

/* The first exact host, or one that a wildcard stands for, or the name itself. */
static const char *health_host(struct conf_writer *w, const struct service *service)
{
	const char *host = service->hosts.n ? service->hosts.v[0] : service->name;

	return host[0] == '*' ? conf_word(w, "health%s", host + 1) : host;
}

static void put_proxy(struct caddy *c, const struct service *service)
{
	struct conf_writer *w = c->w;
	const struct health *health = &service->health;
	long long interval = (long long)health->interval_ms;

	if (interval > HEALTH_INTERVAL_MAX_MS)
		interval = HEALTH_INTERVAL_MAX_MS;
	conf_open(w, "reverse_proxy * %s",
		  conf_endpoint(w, facts_loopback(c->in->facts, c->in->node),
				facts_port(c->in->facts, service)));
	conf_line(w, "import to_app");
	if (health->path) {
		conf_line(w, "health_uri %s", health->path);
		conf_line(w, "health_interval %lldms", interval);
		conf_line(w, "health_timeout %lldms", (long long)health->timeout_ms);
		conf_open(w, "health_headers");
		conf_line(w, "Host %s", health_host(w, service));
		conf_close(w);
	}
	conf_close(w);
}

/* A body of several lines is a file (render_sites()), so that no value adds a line to this one. */
static void put_body(struct caddy *c, const struct service *service)
{
	struct conf_writer *w = c->w;

	if (!respond_is_file(service->respond)) {
		conf_line(w, "respond * %s %lld", conf_caddy_text(w, service->respond->body),
			  (long long)service->respond->status);
		return;
	}
	conf_open(w, "%s", "@read");
	conf_line(w, "method GET HEAD");
	conf_close(w);
	conf_open(w, "handle @read");
	conf_line(w, "root * %s", caddy_path(c, LAYOUT_SITES, service->name));
	conf_line(w, "rewrite * %s", "/" RESPOND_FILE);
	conf_open(w, "file_server *");
	conf_line(w, "status %lld", (long long)service->respond->status);
	conf_close(w);
	conf_close(w);
	conf_open(w, "handle");
	conf_line(w, "respond * %lld", (long long)service->respond->status);
	conf_close(w);
}

void caddy_service(struct caddy *c, const struct service *service)
{
	struct conf_writer *w = c->w;

	switch (service->kind) {
	case SERVICE_IMAGE:
	case SERVICE_COMPOSE:
		put_proxy(c, service);
		break;
	case SERVICE_STATIC:
		conf_line(w, "root * %s", caddy_path(c, LAYOUT_SITES, service->name));
		conf_open(w, "file_server *");
		conf_line(w, "hide .*");
		conf_close(w);
		break;
	case SERVICE_RESPOND:
		conf_line(w, "header * Content-Type %s",
			  conf_caddy_text(w, service->respond->content_type));
		put_body(c, service);
		break;
	}
}

static bool has_hosts(const struct service *service, bool wildcards)
{
	for (size_t i = 0; i < service->hosts.n; i++)
		if ((service->hosts.v[i][0] == '*') == wildcards)
			return true;
	return false;
}

static void put_handler(struct caddy *c, const struct service *service, bool wildcards)
{
	struct conf_writer *w = c->w;
	const char *matcher = conf_word(w, wildcards ? "@%s_wildcard" : "@%s_host", service->name);

	conf_open(w, "%s", matcher);
	for (size_t i = 0; i < service->hosts.n; i++)
		if ((service->hosts.v[i][0] == '*') == wildcards)
			conf_line(w, "host %s", service->hosts.v[i]);
	conf_close(w);
	conf_open(w, "handle %s", matcher);
	caddy_service(c, service);
	conf_close(w);
}

/* An exact host wins over a wildcard: Caddy takes the first that matches. */
void caddy_services(struct caddy *c)
{
	const struct cluster *cluster = c->in->cluster;

	for (int wildcards = 0; wildcards < 2; wildcards++)
		for (size_t i = 0; i < cluster->n_services; i++) {
			const struct service *service = &cluster->services[i];

			if (has_hosts(service, wildcards) && service_on_node(service, c->in->node))
				put_handler(c, service, wildcards);
		}
	caddy_default(c);
}

static const struct service *default_service(const struct caddy *c)
{
	const struct cluster *cluster = c->in->cluster;

	for (size_t i = 0; i < cluster->n_services; i++)
		if (cluster->services[i].is_default &&
		    service_on_node(&cluster->services[i], c->in->node))
			return &cluster->services[i];
	return NULL;
}

/* An unknown host is refused: it never falls to some tenant's application. */
void caddy_default(struct caddy *c)
{
	const struct service *service = default_service(c);

	conf_open(c->w, "handle");
	if (service)
		caddy_service(c, service);
	else
		conf_line(c->w, "respond * 421");
	conf_close(c->w);
}
