#include <string.h>

#include "base/cleanup.h"
#include "render/haproxy.h"
#include "render/headers.h"
#include "render/layout.h"

/* Cloudflare's own list of its edge (cloudflare.com/ips). */
static const char *const cloudflare_prefixes[] = {
	"173.245.48.0/20",  "103.21.244.0/22",  "103.22.200.0/22", "103.31.4.0/22",
	"141.101.64.0/18",  "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20",
	"197.234.240.0/22", "198.41.128.0/17",  "162.158.0.0/15",  "104.16.0.0/13",
	"104.24.0.0/14",    "172.64.0.0/13",    "131.0.72.0/22",   "2400:cb00::/32",
	"2606:4700::/32",   "2803:f800::/32",   "2405:b500::/32",  "2405:8100::/32",
	"2a06:98c0::/29",   "2c0f:f248::/32",
};

#define CLOUDFLARE_LIST "cloudflare-ips.lst"
#define PROXIES_LIST "proxies.lst"

void haproxy_local_health(struct haproxy *h)
{
	struct conf_writer *w = h->w;
	const char *address = facts_loopback(h->in->facts, h->in->node);

	conf_blank(w);
	conf_comment(w,
		     "One request says: it schedules work, and there is somebody to give it to.");
	conf_open(w, "frontend local_health");
	conf_line(w, "bind %s", conf_endpoint(w, address, h->in->cluster->ingress.health_port));
	conf_line(w, "option dontlog-normal");
	conf_line(w, "monitor-uri /healthz");
	conf_line(w, "acl backend_dead nbsrv(" BACKEND_CADDY ") lt 1");
	conf_line(w, "monitor fail if backend_dead");
	conf_close(w);
}

static int put_stats_users(struct haproxy *h, bool *ret_secret, struct err *err)
{
	const struct stats *stats = &h->in->cluster->ingress.stats;
	const char *password =
		target_value(h->in, &stats->password, "ingress.stats.password", ret_secret, err);

	if (!password)
		return -1;
	conf_blank(h->w);
	conf_open(h->w, "userlist stats_users");
	conf_line(h->w, "user %s insecure-password %s", stats->user, password);
	conf_close(h->w);
	return 0;
}

/* Read-only; beyond loopback only for whom stats.from names. */
static void put_stats_access(struct haproxy *h)
{
	const struct stats *stats = &h->in->cluster->ingress.stats;
	struct conf_writer *w = h->w;
	const char *address = facts_address(h->in->facts, h->in->node);

	if (stats->from.n && address && !facts_bind_address(h->in->facts, h->in->node))
		conf_line(w, "bind %s", conf_endpoint(w, address, stats->port));
	conf_line(w, "acl allowed src 127.0.0.0/8 ::1");
	for (size_t i = 0; i < stats->from.n; i++)
		conf_line(w, "acl allowed src %s", stats->from.v[i]);
	conf_line(w, "http-request deny unless allowed");
	if (stats->user)
		conf_line(w, "http-request auth realm dynia unless { http_auth(stats_users) }");
}

int haproxy_local_stats(struct haproxy *h, bool *ret_secret, struct err *err)
{
	const struct stats *stats = &h->in->cluster->ingress.stats;
	struct conf_writer *w = h->w;
	const char *address = facts_loopback(h->in->facts, h->in->node);

	if (stats->user && put_stats_users(h, ret_secret, err) < 0)
		return -1;
	conf_blank(w);
	conf_open(w, "frontend local_stats");
	conf_line(w, "bind %s", conf_endpoint(w, address, stats->port));
	put_stats_access(h);
	conf_line(w, "option dontlog-normal");
	conf_line(w, "stats enable");
	conf_line(w, "stats hide-version");
	conf_line(w, "stats uri /stats");
	conf_line(w, "stats refresh 30s");
	conf_line(w, "http-request use-service prometheus-exporter if { path /metrics }");
	conf_close(w);
	return 0;
}

static void put_bind(struct haproxy *h, const char *address, int64_t port, bool tls)
{
	const struct render_input *in = h->in;
	struct conf_writer *w = h->w;
	bool v6only = address && strcmp(address, "::") == 0;
	const char *where = v6only ? conf_word(w, ":::%lld", (long long)port)
				   : conf_endpoint(w, address ? address : "", port);
	const char *certs = haproxy_file(in, CERTIFICATE_LIST);

	if (tls && v6only)
		conf_line(w, "bind %s v6only ssl crt-list %s alpn h2,http/1.1", where, certs);
	else if (tls)
		conf_line(w, "bind %s ssl crt-list %s alpn h2,http/1.1", where, certs);
	else if (v6only)
		conf_line(w, "bind %s v6only", where);
	else
		conf_line(w, "bind %s", where);
}

/* Two sockets, because one for both families reports IPv4 clients as ::ffff:a.b.c.d. */
static void put_binds(struct haproxy *h, int64_t port, bool tls)
{
	const char *address = facts_bind_address(h->in->facts, h->in->node);

	put_bind(h, address, port, tls);
	if (h->in->facts->ipv6 && !address)
		put_bind(h, "::", port, tls);
}

/* Whom to believe about the client's address. */
static void put_client_address(struct haproxy *h)
{
	struct conf_writer *w = h->w;

	switch (h->in->cluster->ingress.client_address) {
	case CLIENT_CLOUDFLARE:
		conf_line(w, "acl from_cloudflare src -f %s", haproxy_file(h->in, CLOUDFLARE_LIST));
		conf_line(w, "http-request set-src req.hdr(CF-Connecting-IP) if from_cloudflare "
			     "{ req.hdr(CF-Connecting-IP) -m found }");
		break;
	case CLIENT_PROXY_PROTOCOL:
		conf_line(w, "tcp-request connection expect-proxy layer4 if { src -f %s }",
			  haproxy_file(h->in, PROXIES_LIST));
		break;
	default:
		break;
	}
}

static void put_rate_limit(struct haproxy *h)
{
	const struct rate_limit *limit = h->in->cluster->ingress.rate_limit;
	struct conf_writer *w = h->w;
	long long window = limit ? (long long)limit->window_ms : 0;

	if (!limit)
		return;
	conf_comment(w, "by client; an ipv6 table holds both families");
	conf_line(w, "stick-table type ipv6 size 100k expire %lldms store http_req_rate(%lldms)",
		  window * 6, window);
	/* This node's agent asks from the address that its own programs meet at. */
	conf_line(w, "http-request track-sc0 src unless { src %s }",
		  facts_loopback(h->in->facts, h->in->node));
	conf_line(w, "http-request deny deny_status 429 if { sc_http_req_rate(0) gt %lld }",
		  (long long)limit->requests);
}

/* Overwritten, not appended to: nothing that a client sent survives. */
static void put_forwarding(struct haproxy *h, bool tls)
{
	struct conf_writer *w = h->w;

	conf_line(w, "http-request set-header X-Forwarded-For %%[src]");
	if (tls)
		conf_line(w, "http-request set-header X-Forwarded-Proto https");
	else
		conf_line(w, "http-request set-header X-Forwarded-Proto http");
	conf_line(w, "http-request set-header X-Forwarded-Host %%[req.hdr(host)]");
	conf_line(w, "http-request del-header Forwarded");
	conf_line(w, "http-request del-header X-Real-IP");
	conf_line(w, "http-request del-header CF-Connecting-IP");
}

/* The after-response rules also reach redirects, denials and error pages. */
static void put_headers(struct haproxy *h, bool tls)
{
	struct headers headers;

	headers_merge(&headers, h->in->pool, &h->in->cluster->ingress.headers, tls);
	for (size_t i = 0; i < headers.n; i++)
		conf_line(h->w, "http-after-response set-header %s %s", headers.v[i].name,
			  conf_haproxy_text(h->w, headers.v[i].value));
}

/* What every request passes on its way to a service. */
static void put_service_rules(struct haproxy *h, bool tls)
{
	put_rate_limit(h);
	conf_line(h->w, "http-request deny deny_status 404 if { path " HEALTH_PATH " }");
	put_forwarding(h, tls);
	put_headers(h, tls);
	haproxy_routes(h);
}

/* The port is named where it is not the one that https means. */
static void put_redirect(struct haproxy *h, bool acme)
{
	long long port = (long long)h->in->cluster->ingress.https_port;
	struct conf_writer *w = h->w;

	if (port == 443 && acme)
		conf_line(w, "http-request redirect scheme https code 301 unless is_acme");
	else if (port == 443)
		conf_line(w, "http-request redirect scheme https code 301");
	else if (acme)
		conf_line(w,
			  "http-request redirect code 301 location "
			  "https://%%[req.hdr(host),host_only]:%lld%%[pathq] unless is_acme",
			  port);
	else
		conf_line(w,
			  "http-request redirect code 301 location "
			  "https://%%[req.hdr(host),host_only]:%lld%%[pathq]",
			  port);
}

/* A redirect rule runs before use_backend, whatever their order: ACME is an exception of the
 * redirect itself. */
static void put_redirect_rules(struct haproxy *h)
{
	const struct ingress *ingress = &h->in->cluster->ingress;
	struct conf_writer *w = h->w;

	conf_line(w, "http-request deny deny_status 404 if { path " HEALTH_PATH " }");
	if (ingress->tls.mode == TLS_ACME)
		conf_line(w, "acl is_acme path_beg /.well-known/acme-challenge/");
	put_redirect(h, ingress->tls.mode == TLS_ACME);
	put_headers(h, false);
	if (ingress->tls.mode == TLS_ACME)
		conf_line(w, "use_backend " BACKEND_ACME " if is_acme");
}

static void put_public_http(struct haproxy *h)
{
	const struct ingress *ingress = &h->in->cluster->ingress;

	conf_blank(h->w);
	conf_open(h->w, "frontend public_http");
	put_binds(h, ingress->http_port, false);
	put_client_address(h);
	if (ingress->tls.mode == TLS_OFF)
		put_service_rules(h, false);
	else
		put_redirect_rules(h);
	conf_close(h->w);
}

static void put_public_https(struct haproxy *h)
{
	conf_blank(h->w);
	conf_open(h->w, "frontend public_https");
	put_binds(h, h->in->cluster->ingress.https_port, true);
	put_client_address(h);
	put_service_rules(h, true);
	conf_close(h->w);
}

static void add_lists(const struct render_input *in, struct fileset *set)
{
	const struct ingress *ingress = &in->cluster->ingress;

	if (ingress->client_address == CLIENT_CLOUDFLARE)
		haproxy_add_list(in, set, CLOUDFLARE_LIST, cloudflare_prefixes,
				 ARRAY_SIZE(cloudflare_prefixes));
	if (ingress->client_address == CLIENT_PROXY_PROTOCOL)
		haproxy_add_list(in, set, PROXIES_LIST, ingress->proxies.v, ingress->proxies.n);
}

void haproxy_public(struct haproxy *h, struct fileset *set)
{
	add_lists(h->in, set);
	put_public_http(h);
	if (h->in->cluster->ingress.tls.mode != TLS_OFF)
		put_public_https(h);
}
