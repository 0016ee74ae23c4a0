/*
 * Rules for who applies them: the agent runs ufw once for each line of ufw.rules, in order, and
 * gives docker-user.rules to `iptables-restore -n`. Nothing here resets: that would open the host
 * for seconds.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "render/layout.h"
#include "render/target.h"
#include "render/writer.h"

static void put_public(const struct render_input *in, struct conf_writer *w)
{
	const struct cluster *cluster = in->cluster;
	const struct ingress *ingress = &cluster->ingress;

	for (size_t i = 0; i < cluster->firewall->ssh_from.n; i++)
		conf_line(w, "limit from %s to any port 22 proto tcp comment dynia-ssh",
			  cluster->firewall->ssh_from.v[i]);
	conf_line(w, "allow %lld/tcp comment dynia-http", (long long)ingress->http_port);
	if (ingress->tls.mode != TLS_OFF)
		conf_line(w, "allow %lld/tcp comment dynia-https", (long long)ingress->https_port);
}

static void put_port(struct conf_writer *w, const char *from, int64_t port, const char *comment)
{
	conf_line(w, "allow from %s to any port %lld proto tcp comment %s", from, (long long)port,
		  comment);
}

/* The other nodes' HAProxy asks this node's Caddy: the prefixes that are the cluster's own, or else
 * each address. */
static void put_internal(const struct render_input *in, struct conf_writer *w)
{
	const struct cluster *cluster = in->cluster;
	const struct ingress *ingress = &cluster->ingress;
	const struct spec_strings *internal = &cluster->firewall->internal;

	if (ingress->tls.mode == TLS_CADDY)
		return;
	for (size_t i = 0; i < internal->n; i++)
		put_port(w, internal->v[i], ingress->caddy_port, "dynia-caddy");
	for (size_t i = 0; i < cluster->node_map.n && !internal->n; i++) {
		const struct node *peer = cluster_node(cluster, i);
		const char *address = facts_address(in->facts, peer);

		if (peer != in->node && address)
			put_port(w, address, ingress->caddy_port, "dynia-caddy");
	}
	for (size_t i = 0; i < ingress->stats.from.n; i++)
		put_port(w, ingress->stats.from.v[i], ingress->stats.port, "dynia-stats");
}

static void put_vrrp(const struct render_input *in, struct conf_writer *w)
{
	const struct cluster *cluster = in->cluster;

	if (!cluster->vip)
		return;
	for (size_t i = 0; i < cluster->node_map.n; i++) {
		const struct node *peer = cluster_node(cluster, i);
		const char *address = facts_address(in->facts, peer);

		if (peer != in->node && address)
			conf_line(w, "allow in on %s from %s to any proto vrrp comment dynia-vrrp",
				  cluster->vip->interface, address);
	}
}

static void put_ufw(const struct render_input *in, struct conf_writer *w)
{
	conf_comment(w,
		     "Written by dynia, which runs ufw once for each line. `default` restarts the");
	conf_comment(w, "firewall: dynia leaves it out where /etc/default/ufw says the same.");
	conf_line(w, "default deny incoming");
	conf_line(w, "default deny routed");
	conf_line(w, "default allow outgoing");
	put_public(in, w);
	put_internal(in, w);
	put_vrrp(in, w);
	conf_line(w, "--force enable");
}

/* Docker sends what it publishes past ufw, by FORWARD, and containers reach the cloud's metadata
 * service. */
static void put_docker_user(const struct render_input *in, struct conf_writer *w)
{
	const struct spec_strings *internal = &in->cluster->firewall->internal;

	conf_comment(
		w,
		"Written by dynia, which gives it to `iptables-restore -n`. To declare the chain");
	conf_comment(w, "flushes it, so that a second time changes nothing.");
	conf_line(w, "*filter");
	conf_line(w, ":DOCKER-USER - [0:0]");
	conf_line(w, "-A DOCKER-USER -d 169.254.169.254/32 -j DROP");
	conf_line(w, "-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
	conf_line(w, "-A DOCKER-USER -i lo -j RETURN");
	conf_line(w, "-A DOCKER-USER -i docker0 -j RETURN");
	conf_line(w, "-A DOCKER-USER -i br-+ -j RETURN");
	for (size_t i = 0; i < internal->n; i++)
		if (!strchr(internal->v[i], ':'))
			conf_line(w, "-A DOCKER-USER -s %s -j RETURN", internal->v[i]);
	conf_line(w, "-A DOCKER-USER -m conntrack --ctstate DNAT -j DROP");
	conf_line(w, "-A DOCKER-USER -j RETURN");
	conf_line(w, "COMMIT");
}

static int add_rules(const struct render_input *in, struct fileset *set, const char *name,
		     void (*put)(const struct render_input *in, struct conf_writer *w),
		     struct err *err)
{
	CLEANUP(conf_release) struct conf_writer w;
	int runtime = in->cluster->ingress.runtime;
	const char *data;
	size_t len;

	conf_init(&w, &dialect_arguments, in->pool);
	put(in, &w);
	if (conf_finish(&w, &data, &len, err) < 0)
		return -1;
	fileset_add(set, &(struct out_file) {
				 .path = layout_file(in->pool, "", LAYOUT_FIREWALL, runtime, name),
				 .data = data,
				 .len = len,
				 .mode = 0644,
				 .program = PROGRAM_FIREWALL,
			 });
	return 0;
}

static void digest(const struct fileset *set, char out[SHA256_HEX_SIZE])
{
	struct sha256 *state = sha256_begin();

	for (size_t i = 0; i < set->n; i++)
		if (set->v[i].program == PROGRAM_FIREWALL)
			sha256_add(state, set->v[i].data, set->v[i].len);
	sha256_end(state, out);
}

int render_firewall(const struct render_input *in, struct fileset *set, struct err *err)
{
	if (add_rules(in, set, "ufw.rules", put_ufw, err) < 0 ||
	    add_rules(in, set, "docker-user.rules", put_docker_user, err) < 0)
		return -1;
	digest(set, set->firewall_config);
	return 0;
}
