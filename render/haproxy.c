#include "render/haproxy.h"

#include "base/cleanup.h"
#include "base/hash.h"
#include "render/layout.h"

const char *haproxy_file(const struct render_input *in, const char *name)
{
	return layout_file(in->pool, in->facts->root, LAYOUT_HAPROXY, in->cluster->ingress.runtime,
			   name);
}

void haproxy_add_file(const struct render_input *in, struct fileset *set, const char *name,
		      const char *data, size_t len, bool secret)
{
	fileset_add(set, &(struct out_file) {
				 .path = layout_file(in->pool, "", LAYOUT_HAPROXY,
						     in->cluster->ingress.runtime, name),
				 .data = data,
				 .len = len,
				 .mode = secret ? 0600 : 0644,
				 .program = PROGRAM_HAPROXY,
				 .secret = secret,
			 });
}

void haproxy_add_list(const struct render_input *in, struct fileset *set, const char *name,
		      const char *const *prefixes, size_t n)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	for (size_t i = 0; i < n; i++)
		strbuf_addf(&out, "%s\n", prefixes[i]);
	haproxy_add_file(in, set, name, pool_memdup(in->pool, out.buf, out.len), out.len, false);
}

/* Where it logs and whom it becomes, by the runtime. */
static void put_process(struct haproxy *h)
{
	const struct render_input *in = h->in;
	int runtime = in->cluster->ingress.runtime;
	const char *path =
		layout_file(in->pool, in->facts->root, LAYOUT_HAPROXY_SOCKET, runtime, NULL);

	if (runtime == RUNTIME_SYSTEM) {
		conf_line(h->w, "log /dev/log local0 info");
		conf_line(h->w, "chroot /var/lib/haproxy");
		conf_line(h->w, "user haproxy");
		conf_line(h->w, "group haproxy");
		conf_line(h->w, "stats socket %s mode 660 level admin expose-fd listeners", path);
	} else {
		conf_line(h->w, "log stdout format raw local0 info");
		conf_line(h->w, "stats socket %s mode 600 level admin expose-fd listeners", path);
	}
	/* A user's shell may allow fewer open files than max_connections asks for. */
	if (runtime == RUNTIME_PROCESS)
		conf_line(h->w, "no strict-limits");
}

static void put_global(struct haproxy *h)
{
	struct conf_writer *w = h->w;

	conf_open(w, "global");
	put_process(h);
	conf_line(w, "maxconn %lld", (long long)h->in->cluster->ingress.max_connections);
	conf_line(w, "stats timeout 30s");
	conf_line(w, "hard-stop-after 60s");
	conf_comment(w, "TLS: Mozilla \"intermediate\"");
	conf_line(w, "ssl-default-bind-curves X25519:P-256:P-384");
	conf_line(w, "ssl-default-bind-ciphers "
		     "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
		     "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
		     "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
	conf_line(w, "ssl-default-bind-ciphersuites "
		     "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	conf_line(w, "ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.2 "
		     "no-tls-tickets");
	conf_line(w, "ssl-default-server-options ssl-min-ver TLSv1.2 no-tls-tickets");
	conf_close(w);
}

static void put_defaults(struct haproxy *h, struct fileset *set)
{
	struct conf_writer *w = h->w;

	conf_blank(w);
	conf_open(w, "defaults");
	conf_line(w, "mode http");
	conf_line(w, "log global");
	conf_line(w, "option httplog");
	conf_line(w, "option dontlognull");
	conf_line(w, "option log-health-checks");
	conf_line(w, "option redispatch");
	conf_comment(w, "a reload must not drop a kept connection under the next request");
	conf_line(w, "option idle-close-on-response");
	conf_line(w, "retries 3");
	conf_line(w, "timeout connect 5s");
	conf_line(w, "timeout client 30s");
	conf_line(w, "timeout server 60s");
	conf_line(w, "timeout http-request 10s");
	conf_line(w, "timeout http-keep-alive 15s");
	conf_line(w, "timeout queue 10s");
	conf_line(w, "timeout tunnel 1h");
	conf_line(w, "timeout client-fin 30s");
	conf_line(w, "timeout check 2s");
	haproxy_pages(h, set);
	conf_close(w);
}

/* Over all that HAProxy reads: these files and the certificates. */
static void digest(const struct haproxy *h, const struct fileset *set, char out[SHA256_HEX_SIZE])
{
	struct sha256 *state = sha256_begin();

	sha256_add(state, h->w->out.buf, h->w->out.len);
	for (size_t i = 0; i < set->n; i++) {
		if (set->v[i].program != PROGRAM_HAPROXY || set->v[i].certificate)
			continue;
		sha256_add_str(state, set->v[i].path);
		sha256_add(state, set->v[i].data, set->v[i].len);
	}
	sha256_add_str(state, h->in->facts->certificates);
	sha256_end(state, out);
}

/* Last in the file, so that it can name everything before it. */
static void put_digest(struct haproxy *h, struct fileset *set)
{
	digest(h, set, set->haproxy_config);
	conf_blank(h->w);
	conf_open(h->w, "global");
	conf_comment(h->w, "what is loaded: `show env` on the socket tells it");
	conf_line(h->w, "setenv " CONFIG_VARIABLE " %s", set->haproxy_config);
	conf_close(h->w);
}

/* A file by file list (HAProxy's crt-list): told to load the folder, HAProxy would not start over one
 * broken file in it. The placeholder is last: the first one is for clients that name no host. */
static void add_certificate_list(const struct render_input *in, struct fileset *set)
{
	const struct facts *facts = in->facts;
	const char **files = pool_calloc(in->pool, facts->n_certificate_files + 1, sizeof(*files));

	for (size_t i = 0; i <= facts->n_certificate_files; i++)
		files[i] = layout_file(in->pool, facts->root, LAYOUT_CERTIFICATES,
				       in->cluster->ingress.runtime,
				       i < facts->n_certificate_files ? facts->certificate_files[i]
								      : PLACEHOLDER_PEM);
	haproxy_add_list(in, set, CERTIFICATE_LIST, files, facts->n_certificate_files + 1);
}

/* HAProxy does not start without a certificate. */
static void add_placeholder(const struct render_input *in, struct fileset *set)
{
	static const char name[] = "placeholder.invalid";

	fileset_add(set, &(struct out_file) {
				 .path = layout_file(in->pool, "", LAYOUT_CERTIFICATES,
						     in->cluster->ingress.runtime, PLACEHOLDER_PEM),
				 .data = name,
				 .len = sizeof(name) - 1,
				 .mode = 0600,
				 .program = PROGRAM_HAPROXY,
				 .certificate = true,
			 });
}

static void find_addresses(struct haproxy *h)
{
	const struct cluster *cluster = h->in->cluster;

	h->addresses = pool_calloc(h->in->pool, cluster->node_map.n, sizeof(*h->addresses));
	for (size_t i = 0; i < cluster->node_map.n; i++)
		h->addresses[i] = facts_address(h->in->facts, cluster_node(cluster, i));
}

int render_haproxy(const struct render_input *in, struct fileset *set, struct err *err)
{
	CLEANUP(conf_release) struct conf_writer w;
	struct haproxy h = {.in = in, .w = &w};
	bool tls = in->cluster->ingress.tls.mode != TLS_OFF;
	bool secret = false;
	const char *data;
	size_t len;

	conf_init(&w, &dialect_haproxy, in->pool);
	find_addresses(&h);
	haproxy_find_placements(&h);
	conf_comment(&w, "Written by dynia; changes are overwritten.");
	put_global(&h);
	put_defaults(&h, set);
	haproxy_local_health(&h);
	if (haproxy_local_stats(&h, &secret, err) < 0)
		return -1;
	haproxy_public(&h, set);
	haproxy_backends(&h);
	if (tls)
		add_certificate_list(in, set);
	put_digest(&h, set);
	if (conf_finish(&w, &data, &len, err) < 0)
		return -1;
	haproxy_add_file(in, set, "haproxy.cfg", data, len, secret);
	if (tls)
		add_placeholder(in, set);
	return 0;
}
