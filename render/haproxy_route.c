/*
 * From the Host header to the nodes that have the service. Nearly every service is on every node,
 * and goes to this node's Caddy with the others' behind it; only those that are not are named here,
 * one backend for each set of nodes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "render/haproxy.h"
#include "render/layout.h"

struct placed {
	const char *nodes;
	const struct service *service;
};

/* NULL where it is on every node. */
static const char *node_key(const struct render_input *in, const struct service *service)
{
	size_t n = in->cluster->node_map.n;
	char *key;

	if (service->nodes.all)
		return NULL;
	key = pool_alloc(in->pool, n + 1);
	for (size_t i = 0; i < n; i++)
		key[i] = service_on_node(service, cluster_node(in->cluster, i)) ? '1' : '0';
	return strchr(key, '0') ? key : NULL;
}

static int by_nodes(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	int order = strcmp(x->nodes, y->nodes);

	return order ? order : strcmp(x->service->name, y->service->name);
}

/* Follows from the nodes' names, so that it stays when other sets of nodes come and go. */
static const char *backend_name(const struct render_input *in, const char *nodes)
{
	struct sha256 *state = sha256_begin();
	char digest[SHA256_HEX_SIZE];

	for (size_t i = 0; nodes[i]; i++)
		if (nodes[i] == '1')
			sha256_add_str(state, cluster_node(in->cluster, i)->name);
	sha256_end(state, digest);
	return pool_printf(in->pool, BACKEND_CADDY "_%.12s", digest);
}

static void add_placed(struct haproxy *h, const struct placed *placed)
{
	struct placement *last = h->n_placements ? &h->placements[h->n_placements - 1] : NULL;

	if (!last || strcmp(last->nodes, placed->nodes) != 0) {
		last = &h->placements[h->n_placements];
		last->backend = backend_name(h->in, placed->nodes);
		last->nodes = placed->nodes;
		last->services = h->n_placements
					 ? last[-1].services + last[-1].n_services
					 : pool_calloc(h->in->pool, h->in->cluster->n_services,
						       sizeof(*last->services));
		h->n_placements++;
	}
	last->services[last->n_services++] = placed->service;
	if (placed->service->is_default)
		h->default_backend = last->backend;
}

void haproxy_find_placements(struct haproxy *h)
{
	const struct cluster *cluster = h->in->cluster;
	AUTO_FREE struct placed *placed = xcalloc(cluster->n_services + 1, sizeof(*placed));
	size_t n = 0;

	h->default_backend = BACKEND_CADDY;
	h->placements = pool_calloc(h->in->pool, cluster->n_services, sizeof(*h->placements));
	for (size_t i = 0; i < cluster->n_services; i++) {
		placed[n].service = &cluster->services[i];
		placed[n].nodes = node_key(h->in, placed[n].service);
		if (placed[n].nodes)
			n++;
	}
	qsort(placed, n, sizeof(*placed), by_nodes);
	for (size_t i = 0; i < n; i++)
		add_placed(h, &placed[i]);
}

static bool is_wildcard(const char *host)
{
	return host[0] == '*';
}

/* "*.example.com" stands for one label, as in Caddy and in certificates. */
static const char *wildcard_pattern(struct haproxy *h, const char *host)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	strbuf_addstr(&out, "^[^.]+");
	for (const char *p = host + 1; *p; p++) {
		if (*p == '.')
			strbuf_addch(&out, '\\');
		strbuf_addch(&out, *p);
	}
	strbuf_addch(&out, '$');
	return pool_memdup(h->in->pool, out.buf, out.len);
}

/* One acl line a host (they are or'ed); says whether there was any. */
static bool put_hosts(struct haproxy *h, const char *acl, const struct service *service,
		      bool wildcards)
{
	bool found = false;

	for (size_t i = 0; i < service->hosts.n; i++) {
		const char *host = service->hosts.v[i];

		if (is_wildcard(host) != wildcards)
			continue;
		found = true;
		if (wildcards)
			conf_line(h->w, "acl %s req.hdr(host),host_only,lower -m reg -- %s", acl,
				  wildcard_pattern(h, host));
		else
			conf_line(h->w, "acl %s req.hdr(host),host_only,lower -m str -- %s", acl,
				  host);
	}
	return found;
}

static void put_placements(struct haproxy *h, bool wildcards)
{
	for (size_t i = 0; i < h->n_placements; i++) {
		const struct placement *placement = &h->placements[i];
		const char *acl = conf_word(h->w, "%s_%s", placement->backend,
					    wildcards ? "wildcard" : "host");
		bool found = false;

		for (size_t j = 0; j < placement->n_services; j++)
			found |= put_hosts(h, acl, placement->services[j], wildcards);
		if (found)
			conf_line(h->w, "use_backend %s if %s", placement->backend, acl);
	}
}

/* The hosts of what runs everywhere, which must not fall to a wildcard or default that does not. */
static void put_everywhere(struct haproxy *h, bool wildcards)
{
	const struct cluster *cluster = h->in->cluster;
	const char *acl = wildcards ? "everywhere_wildcard" : "everywhere_host";
	bool found = false;

	for (size_t i = 0; i < cluster->n_services; i++)
		if (!node_key(h->in, &cluster->services[i]))
			found |= put_hosts(h, acl, &cluster->services[i], wildcards);
	if (found)
		conf_line(h->w, "use_backend " BACKEND_CADDY " if %s", acl);
}

static bool has_placed_wildcard(const struct haproxy *h)
{
	for (size_t i = 0; i < h->n_placements; i++)
		for (size_t j = 0; j < h->placements[i].n_services; j++) {
			const struct spec_strings *hosts = &h->placements[i].services[j]->hosts;

			for (size_t k = 0; k < hosts->n; k++)
				if (is_wildcard(hosts->v[k]))
					return true;
		}
	return false;
}

void haproxy_routes(struct haproxy *h)
{
	bool placed_default = strcmp(h->default_backend, BACKEND_CADDY) != 0;

	put_placements(h, false);
	if (placed_default || has_placed_wildcard(h))
		put_everywhere(h, false);
	put_placements(h, true);
	if (placed_default)
		put_everywhere(h, true);
	conf_line(h->w, "default_backend %s", h->default_backend);
}

/* This node's Caddy first, and each other one that has the service where its address is known. */
static void put_servers(struct haproxy *h, const char *nodes)
{
	const struct render_input *in = h->in;
	struct conf_writer *w = h->w;
	int64_t port = in->cluster->ingress.caddy_port;
	bool local = false;

	for (size_t i = 0; i < in->cluster->node_map.n; i++) {
		if (cluster_node(in->cluster, i) != in->node || (nodes && nodes[i] == '0'))
			continue;
		local = true;
		conf_line(w, "server %s %s", in->node->name,
			  conf_endpoint(w, facts_loopback(in->facts, in->node), port));
	}
	for (size_t i = 0; i < in->cluster->node_map.n; i++) {
		const struct node *node = cluster_node(in->cluster, i);
		const char *address = h->addresses[i];

		if (node == in->node || !address || (nodes && nodes[i] == '0'))
			continue;
		if (local)
			conf_line(w, "server %s %s backup", node->name,
				  conf_endpoint(w, address, port));
		else
			conf_line(w, "server %s %s", node->name, conf_endpoint(w, address, port));
	}
}

static void put_backend(struct haproxy *h, const char *name, const char *nodes)
{
	struct conf_writer *w = h->w;

	conf_blank(w);
	conf_open(w, "backend %s", name);
	conf_line(w, "balance roundrobin");
	conf_line(w, "option allbackups");
	/*
	 * A connection that is kept to a Caddy that reloads is closed with a request on it, and where it had already
	 * carried one, HAProxy tells that only to the client: measured, 1 to 3 requests lost in 25 reloads under load,
	 * none with a connection to a request. Those that wait for a socket that Caddy closes are the kernel's to move:
	 * packaging/sysctl.conf.
	 */
	conf_comment(w, "a Caddy that reloads closes sockets under us: keep none, retry what may "
			"be repeated");
	conf_line(w, "option http-server-close");
	conf_line(w, "retry-on conn-failure empty-response");
	conf_line(w, "http-request disable-l7-retry unless { method GET HEAD OPTIONS }");
	conf_line(w, "option httpchk");
	conf_line(w, "http-check send meth GET uri " HEALTH_PATH
		     " ver HTTP/1.1 hdr Host health.internal");
	conf_line(w, "http-check expect status 200");
	conf_line(w, "default-server check inter 2s fastinter 500ms downinter 1s fall 2 rise 2 "
		     "init-addr last,libc,none");
	put_servers(h, nodes);
	conf_close(w);
}

void haproxy_backends(struct haproxy *h)
{
	const struct render_input *in = h->in;
	struct conf_writer *w = h->w;

	put_backend(h, BACKEND_CADDY, NULL);
	for (size_t i = 0; i < h->n_placements; i++)
		put_backend(h, h->placements[i].backend, h->placements[i].nodes);
	if (in->cluster->ingress.tls.mode != TLS_ACME)
		return;
	conf_blank(w);
	conf_open(w, "backend " BACKEND_ACME);
	conf_line(w, "server acme %s",
		  conf_endpoint(w, facts_loopback(in->facts, in->node), ACME_PORT));
	conf_close(w);
}
