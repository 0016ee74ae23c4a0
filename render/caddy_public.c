/* tls.mode caddy: no HAProxy; Caddy has the public ports, gets its certificates itself, and adds
 * the headers. */
#include "render/caddy.h"
#include "render/headers.h"

void caddy_public_options(struct caddy *c)
{
	const struct ingress *ingress = &c->in->cluster->ingress;
	struct conf_writer *w = c->w;

	conf_line(w, "http_port %lld", (long long)ingress->http_port);
	conf_line(w, "https_port %lld", (long long)ingress->https_port);
	if (ingress->tls.email)
		conf_line(w, "email %s", ingress->tls.email);
}

/* A name that begins with one of Caddy's own marks would take a header away, or wait with it. */
static int put_headers(struct caddy *c, bool https, struct err *err)
{
	struct headers headers;

	headers_merge(&headers, c->in->pool, &c->in->cluster->ingress.headers, https);
	for (size_t i = 0; i < headers.n; i++) {
		const char *name = headers.v[i].name;

		if (name[0] == '+' || name[0] == '-' || name[0] == '?' || name[0] == '>')
			return err_set(err, ERR_CONFIG, "header '%s' has no name for Caddy", name);
		conf_line(c->w, "header * %s %s", name, conf_caddy_text(c->w, headers.v[i].value));
	}
	return 0;
}

/* Opens a site, and writes what every public site has. */
static int open_site(struct caddy *c, const char *addresses, bool https, struct err *err)
{
	const char *bind = facts_bind_address(c->in->facts, c->in->node);

	conf_blank(c->w);
	conf_open(c->w, "%s", addresses);
	if (bind)
		conf_line(c->w, "bind %s", bind);
	caddy_access_log(c);
	if (c->in->cluster->ingress.compression)
		conf_line(c->w, "encode zstd gzip");
	return put_headers(c, https, err);
}

static int put_service_site(struct caddy *c, const struct service *service, size_t i,
			    struct err *err)
{
	const char *address = conf_word(c->w, "https://%s", service->hosts.v[i]);

	if (open_site(c, address, true, err) < 0)
		return -1;
	caddy_service(c, service);
	conf_close(c->w);
	return 0;
}

/* There is no certificate for a host that nobody named: those are answered in plain HTTP only. */
static int put_other_hosts(struct caddy *c, struct err *err)
{
	long long port = (long long)c->in->cluster->ingress.http_port;

	if (open_site(c, conf_word(c->w, "http://:%lld", port), false, err) < 0)
		return -1;
	caddy_default(c);
	conf_close(c->w);
	return 0;
}

/* What `dynia check ingress` asks: with HAProxy it is HAProxy that answers there. */
static void put_local_health(struct caddy *c)
{
	const struct render_input *in = c->in;
	long long port = (long long)in->cluster->ingress.health_port;

	conf_blank(c->w);
	conf_open(c->w, "%s", conf_word(c->w, "http://:%lld", port));
	conf_line(c->w, "bind %s", facts_loopback(in->facts, in->node));
	conf_line(c->w, "respond /healthz OK 200");
	conf_close(c->w);
}

int caddy_public_sites(struct caddy *c, struct err *err)
{
	const struct cluster *cluster = c->in->cluster;

	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];

		if (!service_on_node(service, c->in->node))
			continue;
		for (size_t j = 0; j < service->hosts.n; j++)
			if (put_service_site(c, service, j, err) < 0)
				return -1;
	}
	if (put_other_hosts(c, err) < 0)
		return -1;
	put_local_health(c);
	return 0;
}
