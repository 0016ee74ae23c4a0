#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "render/layout.h"
#include "render/target.h"
#include "render/writer.h"

#define ZEROS_10 "0000000000"

/* Returns where in the text the digest goes. */
static size_t put_global(const struct render_input *in, struct conf_writer *w)
{
	size_t digest_at;

	conf_open(w, "global_defs");
	conf_line(w, "router_id %s",
		  conf_word(w, "dynia-%s-%s", in->cluster->name, in->node->name));
	/* Version 3 has no password: unicast, the check of the source and the firewall stand for
	 * it. */
	conf_line(w, "vrrp_version 3");
	conf_line(w, "enable_script_security");
	conf_line(w, "script_user nobody nogroup");
	conf_line(w, "vrrp_check_unicast_src");
	conf_line(w, "vrrp_startup_delay 5");
	conf_comment(w, "what is loaded: the process's name tells it");
	conf_line(w, "vrrp_process_name " KEEPALIVED_MARK ZEROS_10);
	digest_at = w->out.len - strlen(ZEROS_10 "\n");
	conf_close(w);
	return digest_at;
}

/* It needs no rights: it asks HAProxy's health page. */
static void put_script(const struct render_input *in, struct conf_writer *w)
{
	conf_blank(w);
	conf_open(w, "vrrp_script ingress");
	conf_line(w, "script %s",
		  conf_word(w, "%s check ingress --port %lld", in->facts->program,
			    (long long)in->cluster->ingress.health_port));
	conf_line(w, "interval 1");
	conf_line(w, "timeout 1");
	conf_line(w, "fall 2");
	conf_line(w, "rise 3");
	conf_line(w, "init_fail");
	conf_close(w);
}

static size_t count_peers(const struct render_input *in)
{
	size_t n = 0;

	for (size_t i = 0; i < in->cluster->node_map.n; i++) {
		const struct node *peer = cluster_node(in->cluster, i);

		n += peer != in->node && facts_address(in->facts, peer);
	}
	return n;
}

/* A node that is alone, or knows no other's address yet, would be refused with an empty list: it speaks
 * to the group that VRRP has for it, where nobody hears it, and takes the address. */
static void put_peers(const struct render_input *in, struct conf_writer *w)
{
	const char *address = facts_address(in->facts, in->node);

	if (!count_peers(in)) {
		if (address)
			conf_line(w, "mcast_src_ip %s", address);
		return;
	}
	if (address)
		conf_line(w, "unicast_src_ip %s", address);
	conf_open(w, "unicast_peer");
	for (size_t i = 0; i < in->cluster->node_map.n; i++) {
		const struct node *peer = cluster_node(in->cluster, i);
		const char *peer_address = facts_address(in->facts, peer);

		if (peer != in->node && peer_address)
			conf_line(w, "%s", peer_address);
	}
	conf_close(w);
}

static void put_address(const struct render_input *in, struct conf_writer *w)
{
	const struct vip *vip = in->cluster->vip;

	if (vip->move == VIP_MOVE_DIGITALOCEAN)
		conf_comment(w, "moved by the API, never on the NIC; VRRP needs one: inert, on lo");
	conf_open(w, "virtual_ipaddress");
	if (vip->move == VIP_MOVE_DIGITALOCEAN)
		conf_line(w, "%s dev lo",
			  conf_word(w, "192.0.2.%lld/32", (long long)vip->router_id));
	else
		conf_line(w, "%s dev %s", vip->address, vip->interface);
	conf_close(w);
}

/* As root: they tell the agent, and record the state. */
static void put_notify(const struct render_input *in, struct conf_writer *w)
{
	const char *program = in->facts->program;

	conf_line(w, "notify_master %s root root", conf_word(w, "%s vrrp master", program));
	conf_line(w, "notify_backup %s root root", conf_word(w, "%s vrrp backup", program));
	conf_line(w, "notify_fault %s root root", conf_word(w, "%s vrrp fault", program));
	conf_line(w, "notify_stop %s root root", conf_word(w, "%s vrrp fault", program));
}

/* BACKUP on every node with nopreempt, and FAULT instead of weights: the address moves once for one
 * failure. */
static void put_instance(const struct render_input *in, struct conf_writer *w)
{
	const struct vip *vip = in->cluster->vip;

	conf_blank(w);
	conf_open(w, "vrrp_instance DYNIA");
	conf_line(w, "state BACKUP");
	conf_line(w, "nopreempt");
	conf_line(w, "interface %s", vip->interface);
	conf_line(w, "virtual_router_id %lld", (long long)vip->router_id);
	conf_line(w, "priority %lld", (long long)node_priority(in->cluster, in->node));
	conf_line(w, "advert_int %s",
		  conf_word(w, "%lld.%02lld", (long long)vip->advert_interval_ms / 1000,
			    (long long)vip->advert_interval_ms % 1000 / 10));
	put_peers(in, w);
	put_address(in, w);
	conf_open(w, "track_script");
	conf_line(w, "ingress");
	conf_close(w);
	put_notify(in, w);
	conf_close(w);
}

int render_keepalived(const struct render_input *in, struct fileset *set, struct err *err)
{
	CLEANUP(conf_release) struct conf_writer w;
	const char *data;
	size_t len, digest_at;

	/* It cuts a script at spaces, and has no way to say that one belongs to a word. */
	if (strchr(in->facts->program, ' '))
		return err_set(err, ERR_CONFIG, "'%s' has a space in its path", in->facts->program);
	conf_init(&w, &dialect_keepalived, in->pool);
	conf_comment(&w, "Written by dynia; changes are overwritten.");
	digest_at = put_global(in, &w);
	put_script(in, &w);
	put_instance(in, &w);
	sha256_hex(w.out.buf, w.out.len, set->keepalived_config);
	set->keepalived_config[KEEPALIVED_DIGEST_LEN] = '\0';
	memcpy(w.out.buf + digest_at, set->keepalived_config, KEEPALIVED_DIGEST_LEN);
	if (conf_finish(&w, &data, &len, err) < 0)
		return -1;
	fileset_add(set,
		    &(struct out_file) {
			    .path = layout_path(LAYOUT_KEEPALIVED, in->cluster->ingress.runtime),
			    .data = data,
			    .len = len,
			    .mode = 0644,
			    .program = PROGRAM_KEEPALIVED,
		    });
	return 0;
}
