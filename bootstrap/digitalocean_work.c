/* What the steps at DigitalOcean do. Each looks before it makes something, and again before it tries
 * once more: an answer that was lost is found, not repeated. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/provider.h"

#define ADDRESS_DEADLINE_MS (5 * 60 * 1000)

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* --- vpc --------------------------------------------------------------------------------- */

static int take_vpc(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	const char *name = json_text(item, "name", boot->pool);

	(void)err;
	if (name && strcmp(name, boot_config(boot)->vpc) == 0)
		boot->cloud.vpc = json_text(item, "id", boot->pool);
	return 0;
}

static int find_vpc(void *arg, struct err *err)
{
	struct boot *boot = arg;

	boot->cloud.vpc = NULL;
	if (digitalocean_each(&boot->cloud.api, "/v2/vpcs", "vpcs", take_vpc, boot, err) < 0)
		return -1;
	return boot->cloud.vpc != NULL;
}

static int start_vpc(struct boot *boot, struct boot_step *step, struct err *err)
{
	const struct digitalocean *wanted = boot_config(boot);
	CLEANUP(release_json)
	json_t *body = json_pack("{ss ss ss ss*}", "name", wanted->vpc, "region", wanted->region,
				 "description", boot->mark, "ip_range", wanted->ip_range);
	CLEANUP(release_json) json_t *answer = NULL;
	int found = api_create(&boot->cloud.api, "/v2/vpcs", body, find_vpc, boot, &answer, err);

	if (found < 0)
		return -1;
	if (!found)
		boot->cloud.vpc = json_text(json_object_get(answer, "vpc"), "id", boot->pool);
	if (!boot->cloud.vpc)
		return err_set(err, ERR_NETWORK, "DigitalOcean's answer has a VPC without 'id'");
	return boot_done(boot, step);
}

/* --- firewall ---------------------------------------------------------------------------- */

const char *cloud_firewall_name(const struct boot *boot)
{
	return pool_printf(boot->pool, "dynia-%s", boot->cluster->name);
}

bool cloud_firewall_wanted(const struct cluster *cluster)
{
	int choice = cluster->provider.digitalocean->cloud_firewall;

	if (!cluster->firewall || choice == CLOUD_FIREWALL_NEVER)
		return false;
	return choice == CLOUD_FIREWALL_ALWAYS || !cluster->vip;
}

static json_t *rule_json(const char *protocol, const char *ports, const char *ends, json_t *of)
{
	return json_pack("{ss ss so}", "protocol", protocol, "ports", ports, ends, of);
}

static json_t *anywhere(void)
{
	return json_pack("{s[ss]}", "addresses", "0.0.0.0/0", "::/0");
}

static void add_port(const struct boot *boot, json_t *rules, int64_t port)
{
	json_array_append_new(rules, rule_json("tcp", pool_printf(boot->pool, "%" PRId64, port),
					       "sources", anywhere()));
}

json_t *cloud_firewall_json(const struct boot *boot)
{
	static const char *const protocols[] = {"tcp", "udp", "icmp"};
	const struct cluster *cluster = boot->cluster;
	const struct spec_strings *ssh = &cluster->firewall->ssh_from;
	json_t *in = json_array(), *out = json_array(), *from = json_array();

	add_port(boot, in, cluster->ingress.http_port);
	if (cluster->ingress.tls.mode != TLS_OFF)
		add_port(boot, in, cluster->ingress.https_port);
	for (size_t i = 0; i < ssh->n; i++)
		json_array_append_new(from, json_string(ssh->v[i]));
	if (ssh->n)
		json_array_append_new(in, rule_json("tcp", "22", "sources",
						    json_pack("{sO}", "addresses", from)));
	json_decref(from);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		json_t *own = json_pack("{s[s]}", "tags", boot->mark);

		json_array_append_new(in, rule_json(protocols[i], "0", "sources", own));
		json_array_append_new(out,
				      rule_json(protocols[i], "0", "destinations", anywhere()));
	}
	return json_pack("{ss so so s[s]}", "name", cloud_firewall_name(boot), "inbound_rules", in,
			 "outbound_rules", out, "tags", boot->mark);
}

static int take_firewall(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	const char *name = json_text(item, "name", boot->pool);

	(void)err;
	if (name && strcmp(name, cloud_firewall_name(boot)) == 0 && has_mark(item, boot->mark))
		boot->cloud.firewall = json_text(item, "id", boot->pool);
	return 0;
}

static int find_firewall(void *arg, struct err *err)
{
	struct boot *boot = arg;

	boot->cloud.firewall = NULL;
	if (digitalocean_each(&boot->cloud.api, "/v2/firewalls", "firewalls", take_firewall, boot,
			      err) < 0)
		return -1;
	return boot->cloud.firewall != NULL;
}

static int start_firewall(struct boot *boot, struct boot_step *step, struct err *err)
{
	CLEANUP(release_json) json_t *body = cloud_firewall_json(boot);
	CLEANUP(release_json) json_t *answer = NULL;
	const char *path = "/v2/firewalls";

	if (step->key)
		path = pool_printf(boot->pool, "/v2/firewalls/%s",
				   api_escape(boot->pool, step->key));
	if ((step->key ? api_send(&boot->cloud.api, "PUT", path, body, &answer, err)
		       : api_create(&boot->cloud.api, path, body, find_firewall, boot, &answer,
				    err)) < 0)
		return -1;
	return boot_done(boot, step);
}

/* --- the address ------------------------------------------------------------------------- */

static int64_t droplet_id(const struct boot_node *node)
{
	return node->droplet ? node->droplet->id : 0;
}

/* Ours is the one that one of our droplets has. */
static int find_reserved(void *arg, struct err *err)
{
	struct boot *boot = arg;
	struct boot_cloud *cloud = &boot->cloud;

	if (reserved_ips_list(&cloud->api, boot->mark, boot->pool, &cloud->addresses, err) < 0)
		return -1;
	for (size_t i = 0; i < cloud->addresses.n; i++)
		if (cloud->addresses.v[i].droplet_id &&
		    boot_node_of(boot, cloud->addresses.v[i].droplet_id))
			boot->vip = cloud->addresses.v[i].ip;
	return boot->vip != NULL;
}

static int start_reserve(struct boot *boot, struct boot_step *step, struct err *err)
{
	CLEANUP(release_json)
	json_t *body = json_pack("{sI}", "droplet_id", (json_int_t)droplet_id(step->node));
	CLEANUP(release_json) json_t *answer = NULL;
	struct reserved_ip made;
	int found = api_create(&boot->cloud.api, "/v2/reserved_ips", body, find_reserved, boot,
			       &answer, err);

	if (found < 0)
		return -1;
	if (!found) {
		if (reserved_ip_read(&boot->cloud.api, json_object_get(answer, "reserved_ip"),
				     boot->mark, boot->pool, &made, err) < 0)
			return -1;
		boot->vip = made.ip;
	}
	step->name = boot->vip;
	/* By this it is known also when no droplet has it. */
	if (tag_make(boot, address_tag(boot->pool, boot->cluster->name, boot->vip), err) < 0)
		return -1;
	boot_note(boot, "the cluster's reserved IP is %s", boot->vip);
	return boot_done(boot, step);
}

static int start_assign(struct boot *boot, struct boot_step *step, struct err *err)
{
	bool moved;

	if (reserved_ip_hold(&boot->cloud.api, boot->vip, boot->mark, droplet_id(step->node),
			     ADDRESS_DEADLINE_MS, &moved, err) < 0)
		return -1;
	return boot_done(boot, step);
}

/* --- what goes last ------------------------------------------------------------------------ */

int cloud_delete_at(struct boot *boot, struct boot_step *step, const char *folder, struct err *err)
{
	const char *path =
		pool_printf(boot->pool, "%s/%s", folder, api_escape(boot->pool, step->key));

	if (api_send(&boot->cloud.api, "DELETE", path, NULL, NULL, err) < 0)
		return err_wrap(err, "%s '%s'", step->what, step->name);
	return boot_done(boot, step);
}

static int start_unassign(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (reserved_ip_hold(&boot->cloud.api, step->key, boot->mark, 0, ADDRESS_DEADLINE_MS, NULL,
			     err) < 0)
		return -1;
	return boot_done(boot, step);
}

/* Where the API wants it unassigned first, that is done first. */
static int start_delete_address(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (cloud_delete_at(boot, step, "/v2/reserved_ips", err) == 0)
		return 0;
	if (boot->cloud.api.status != 422)
		return -1;
	if (reserved_ip_hold(&boot->cloud.api, step->key, boot->mark, 0, ADDRESS_DEADLINE_MS, NULL,
			     err) == 0)
		return cloud_delete_at(boot, step, "/v2/reserved_ips", err);
	/* Another run was first. */
	if (boot->cloud.api.status != 404)
		return -1;
	err_clear(err);
	return boot_done(boot, step);
}

static int start_delete_firewall(struct boot *boot, struct boot_step *step, struct err *err)
{
	return cloud_delete_at(boot, step, "/v2/firewalls", err);
}

static int start_delete_vpc(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (cloud_delete_at(boot, step, "/v2/vpcs", err) == 0)
		return 0;
	if (boot->cloud.api.status != 403 || !strstr(err->msg, "with members"))
		return -1;
	return err_set(
		err, ERR_APPLY,
		"vpc '%s' is not empty: take away what is in it and is not the cluster's, or wait "
		"until its droplets are quite gone, then run destroy again",
		step->name);
}

const struct boot_work work_vpc = {.start = start_vpc};
const struct boot_work work_firewall = {.start = start_firewall};
const struct boot_work work_reserve = {.start = start_reserve};
const struct boot_work work_assign = {.start = start_assign};
const struct boot_work work_unassign = {.start = start_unassign};
const struct boot_work work_delete_address = {.start = start_delete_address};
const struct boot_work work_delete_firewall = {.start = start_delete_firewall};
const struct boot_work work_delete_vpc = {.start = start_delete_vpc};
