/* What the steps at DigitalOcean do. Each looks before it makes something, and again before it tries
 * once more: an answer that was lost is found, not repeated. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bootstrap/contact.h"
#include "bootstrap/provider.h"
#include "bootstrap/user_data.h"

/* A list of droplets that is older than this is read again before one is created. */
#define LIST_FRESH_MS 30000
#define TAG_TRIES 5
#define ADDRESS_DEADLINE_MS (5 * 60 * 1000)

static void release_json(json_t **json)
{
	json_decref(*json);
}

static int done(struct boot *boot, struct boot_step *step)
{
	boot_set(boot, step, BOOT_DONE, "");
	return 0;
}

static const struct digitalocean *config(const struct boot *boot)
{
	return boot->cluster->provider.digitalocean;
}

/* --- tag --------------------------------------------------------------------------------- */

struct finding_tag {
	struct boot *boot;
	int64_t droplet;
	const char *tag;
	bool no_droplet; /* what find_tagged() found */
};

static int find_any_tag(void *arg, struct err *err)
{
	struct finding_tag *f = arg;

	return tag_look_for(&f->boot->cloud.api, f->tag, f->boot->pool, err);
}

static int make_tag(struct boot *boot, const char *tag, struct err *err)
{
	struct finding_tag f = {.boot = boot, .tag = tag};
	CLEANUP(release_json) json_t *body = json_pack("{ss}", "name", tag);
	CLEANUP(release_json) json_t *answer = NULL;

	return api_create(&boot->cloud.api, "/v2/tags", body, find_any_tag, &f, &answer, err) < 0
		       ? -1
		       : 0;
}

static int start_tag(struct boot *boot, struct boot_step *step, struct err *err)
{
	return make_tag(boot, step->name, err) < 0 ? -1 : done(boot, step);
}

/* --- vpc --------------------------------------------------------------------------------- */

static int take_vpc(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	const char *name = json_text(item, "name", boot->pool);

	(void)err;
	if (name && strcmp(name, config(boot)->vpc) == 0)
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
	const struct digitalocean *wanted = config(boot);
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
	return done(boot, step);
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
	return done(boot, step);
}

/* --- droplets ---------------------------------------------------------------------------- */

struct finding_droplet {
	struct boot *boot;
	struct boot_node *node;
	unsigned asked;
};

static int list_again(struct boot *boot, struct err *err)
{
	struct boot_cloud *cloud = &boot->cloud;

	if (droplets_list(&cloud->api, boot->mark, boot->pool, &cloud->droplets, err) < 0)
		return -1;
	cloud->listed_ms = clock_ms();
	return 0;
}

static bool is_listed(const struct boot *boot, int64_t id)
{
	for (size_t i = 0; i < boot->cloud.droplets.n; i++)
		if (boot->cloud.droplets.v[i].id == id)
			return true;
	return false;
}

/* The droplet of the node in the list, but for one that goes. Of several the oldest: whoever made another
 * at the same moment takes that back. */
static void take_from_list(struct boot *boot, struct boot_node *node)
{
	struct droplets *all = &boot->cloud.droplets;

	node->droplet = NULL;
	for (size_t i = 0; i < all->n; i++) {
		struct droplet *droplet = &all->v[i];

		if (droplet->id != node->old_id && strcmp(droplet->name, node->name) == 0 &&
		    (!node->droplet || droplet->id < node->droplet->id))
			node->droplet = droplet;
	}
}

/* Before the first try the list will do, where it is fresh; before another one it is read again. */
static int find_droplet(void *arg, struct err *err)
{
	struct finding_droplet *f = arg;
	bool stale = clock_ms() - f->boot->cloud.listed_ms > LIST_FRESH_MS;

	if ((f->asked++ || stale) && list_again(f->boot, err) < 0)
		return -1;
	take_from_list(f->boot, f->node);
	return f->node->droplet != NULL;
}

static json_t *droplet_json(const struct boot *boot, const struct boot_node *node, const char *text,
			    const char *contact_tag)
{
	return json_pack("{ss ss ss ss sO sb s[ss*] ss ss*}", "name", node->name, "region",
			 node->region, "size", node->size, "image", config(boot)->image, "ssh_keys",
			 boot->cloud.key_ids, "monitoring", (int)config(boot)->monitoring, "tags",
			 boot->mark, contact_tag, "user_data", text, "vpc_uuid", boot->cloud.vpc);
}

static int start_droplet(struct boot *boot, struct boot_step *step, struct err *err)
{
	struct finding_droplet f = {.boot = boot, .node = step->node};
	CLEANUP(release_json) json_t *body = NULL;
	CLEANUP(release_json) json_t *answer = NULL;
	struct contact contact = {0};
	const json_t *links;
	const char *text;
	int found;

	if (step->verb == BOOT_WAIT)
		return 0;
	/* Where no key of a person's is on it, nobody will come by ssh. */
	if (config(boot)->ssh_keys.n &&
	    contact_new(boot->pool, boot->cluster->name, &contact, err) < 0)
		return -1;
	if (user_data_text(boot->cluster, step->node->node, contact.private_key, boot->pool, &text,
			   err) < 0)
		return -1;
	body = droplet_json(boot, step->node, text, contact.tag);
	found = api_create(&boot->cloud.api, "/v2/droplets", body, find_droplet, &f, &answer, err);
	if (found < 0)
		return err_wrap(err, "droplet '%s'", step->name);
	step->id = json_number(json_object_get(answer, "droplet"), "id");
	links = json_object_get(json_object_get(answer, "links"), "actions");
	step->action = json_number(json_array_get(links, 0), "id");
	boot_set(boot, step, BOOT_RUNNING, found ? "is there, and starts" : "starts");
	return 0;
}

/* --- the tags by which a droplet is known -------------------------------------------------- */

static int delete_tag(struct boot *boot, const char *kind, const char *hex, struct err *err)
{
	const char *tag = key_tag(boot->pool, kind, boot->cluster->name, hex);
	const char *path = pool_printf(boot->pool, "/v2/tags/%s", api_escape(boot->pool, tag));

	return api_send(&boot->cloud.api, "DELETE", path, NULL, NULL, err);
}

/* Does the droplet have it? */
static int find_tagged(void *arg, struct err *err)
{
	struct finding_tag *f = arg;
	struct api *api = &f->boot->cloud.api;
	const char *path = pool_printf(f->boot->pool, "/v2/droplets/%" PRId64, f->droplet);
	CLEANUP(release_json) json_t *answer = NULL;
	const json_t *item;
	size_t i;

	if (api_get(api, path, &answer, err) < 0) {
		f->no_droplet = api->status == 404;
		return -1;
	}
	json_array_foreach(json_object_get(json_object_get(answer, "droplet"), "tags"), i, item)
	{
		const char *tag = json_string_value(item);

		if (tag && strcmp(tag, f->tag) == 0)
			return 1;
	}
	return 0;
}

/* Until it has been given to the droplet the tag is on nothing, and another run, which takes it for one that was left
 * behind, may delete it, also a moment too late, when the droplet has it: then it is made once more. */
static int add_tag(struct boot *boot, int64_t droplet, const char *tag, struct err *err)
{
	struct finding_tag f = {.boot = boot, .droplet = droplet, .tag = tag};
	struct api *api = &boot->cloud.api;
	const char *path =
		pool_printf(boot->pool, "/v2/tags/%s/resources", api_escape(boot->pool, tag));
	CLEANUP(release_json)
	json_t *resources =
		json_pack("{s[{ss ss}]}", "resources", "resource_id",
			  pool_printf(boot->pool, "%" PRId64, droplet), "resource_type", "droplet");

	for (unsigned tried = 0; tried < TAG_TRIES; tried++) {
		CLEANUP(release_json) json_t *answer = NULL;
		int found;

		if (make_tag(boot, tag, err) < 0)
			return -1;
		if (api_create(api, path, resources, find_tagged, &f, &answer, err) < 0) {
			if (api->status != 404 || f.no_droplet)
				return -1;
			err_clear(err);
			continue;
		}
		found = find_any_tag(&f, err);
		if (found)
			return found < 0 ? -1 : 0;
	}
	return err_set(
		err, ERR_NETWORK,
		"tag '%s' was gone %d times as soon as it was made: run it again when nobody "
		"else does",
		tag, TAG_TRIES);
}

int droplet_pin(struct boot *boot, struct droplet *droplet, const char *host_key, struct err *err)
{
	if (!droplet->host_key &&
	    add_tag(boot, droplet->id,
		    key_tag(boot->pool, HOST_KEY_TAG, boot->cluster->name, host_key), err) < 0)
		return -1;
	droplet->host_key = host_key;
	if (droplet->contact && delete_tag(boot, CONTACT_TAG, droplet->contact, err) < 0)
		return -1;
	droplet->contact = NULL;
	return 0;
}

/* After the droplet, which is not known without them: cut off between, tags of nothing are left, which the next run deletes. */
static int unpin(struct boot *boot, int64_t id, struct err *err)
{
	for (size_t i = 0; i < boot->cloud.droplets.n; i++) {
		const struct droplet *droplet = &boot->cloud.droplets.v[i];

		if (droplet->id != id)
			continue;
		if (droplet->contact && delete_tag(boot, CONTACT_TAG, droplet->contact, err) < 0)
			return -1;
		if (droplet->host_key && delete_tag(boot, HOST_KEY_TAG, droplet->host_key, err) < 0)
			return -1;
	}
	return 0;
}

static int delete_droplet(struct boot *boot, int64_t id, struct err *err)
{
	const char *path = pool_printf(boot->pool, "/v2/droplets/%" PRId64, id);

	if (api_send(&boot->cloud.api, "DELETE", path, NULL, NULL, err) < 0)
		return -1;
	return unpin(boot, id, err);
}

/* --- until they are up --------------------------------------------------------------------- */

/* Another run, which did not see this one's, made the node's droplet first: the API itself has nothing against two
 * of one name. Nothing has been on ours yet. */
static int take_back(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (delete_droplet(boot, step->id, err) < 0)
		return err_wrap(err, "droplet '%s', which another run made, too", step->name);
	step->id = step->action = 0;
	boot_set(boot, step, BOOT_RUNNING, "another run made it: this one's is taken back");
	return 0;
}

static int look_at_action(struct boot *boot, struct boot_step *step, struct err *err)
{
	CLEANUP(release_json) json_t *answer = NULL;
	const char *path = pool_printf(boot->pool, "/v2/actions/%" PRId64, step->action);
	const char *status;

	if (api_get(&boot->cloud.api, path, &answer, err) < 0)
		return -1;
	status = json_text(json_object_get(answer, "action"), "status", boot->pool);
	if (status && strcmp(status, "errored") == 0)
		boot_set(
			boot, step, BOOT_FAILED,
			pool_printf(boot->pool,
				    "DigitalOcean could not create it: try again with --replace %s",
				    step->node->node->name));
	return 0;
}

/* Was another made by this run? It is not taken back before it is seen, with the mark on it, and not forgotten either. */
static bool is_beside(const struct boot_step *step, const struct droplet *droplet)
{
	return step->id && step->id != droplet->id;
}

static int look_at_droplet(struct boot *boot, struct boot_step *step, bool with_action,
			   struct err *err)
{
	struct boot_node *node = step->node;
	const struct droplet *droplet;

	take_from_list(boot, node);
	droplet = node->droplet;
	if (droplet && is_beside(step, droplet) && is_listed(boot, step->id) &&
	    take_back(boot, step, err) < 0)
		return -1;
	if (droplet && !is_beside(step, droplet) && strcmp(droplet->status, "active") == 0 &&
	    droplet->public_address) {
		if (!node->node->public_address)
			node->public_address = droplet->public_address;
		step->detail =
			pool_printf(boot->pool, "%s%s%s", droplet->public_address,
				    droplet->private_address ? ", " : "",
				    droplet->private_address ? droplet->private_address : "");
		return done(boot, step);
	}
	if (clock_ms() - step->began_ms > boot->options.machine_ms) {
		boot_set(boot, step, BOOT_FAILED,
			 pool_printf(boot->pool,
				     "is not up in time: look at its console, then --replace %s",
				     node->node->name));
		return 0;
	}
	return with_action && step->action ? look_at_action(boot, step, err) : 0;
}

/* One list for all of them, however many, and the action of one of them in turn: within the rate limit. */
static int poll_droplets(struct boot *boot, struct boot_step *steps, size_t n, struct err *err)
{
	size_t turn = boot->cloud.polls++ % n;

	clock_sleep_ms(boot->cloud.api.wait_ms);
	boot_tick(boot);
	if (list_again(boot, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (steps[i].state == BOOT_RUNNING &&
		    look_at_droplet(boot, &steps[i], i == turn, err) < 0)
			return -1;
	return 0;
}

/* --- those that go -------------------------------------------------------------------------- */

/* Does it bear the mark still? A question, a drain or other droplets have taken their time since the plan. */
static int look_whether_ours(struct boot *boot, int64_t id, bool *ret, struct err *err)
{
	const struct boot_cloud *cloud = &boot->cloud;

	if (clock_ms() - cloud->listed_ms > cloud->api.wait_ms && list_again(boot, err) < 0)
		return -1;
	*ret = is_listed(boot, id);
	return 0;
}

static int start_delete_droplet(struct boot *boot, struct boot_step *step, struct err *err)
{
	struct boot_node *node = boot_node_of(boot, step->id);
	bool ours;

	if (look_whether_ours(boot, step->id, &ours, err) < 0)
		return -1;
	if (!ours) {
		step->detail = "is gone, or does not bear the cluster's tag any more";
		return done(boot, step);
	}
	if (delete_droplet(boot, step->id, err) < 0)
		return err_wrap(err, "droplet '%s'", step->name);
	if (node)
		node->droplet = NULL;
	return done(boot, step);
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
	if (make_tag(boot, address_tag(boot->pool, boot->cluster->name, boot->vip), err) < 0)
		return -1;
	boot_note(boot, "the cluster's reserved IP is %s", boot->vip);
	return done(boot, step);
}

static int start_assign(struct boot *boot, struct boot_step *step, struct err *err)
{
	bool moved;

	if (reserved_ip_hold(&boot->cloud.api, boot->vip, boot->mark, droplet_id(step->node),
			     ADDRESS_DEADLINE_MS, &moved, err) < 0)
		return -1;
	return done(boot, step);
}

/* --- what goes last ------------------------------------------------------------------------ */

static int delete_at(struct boot *boot, struct boot_step *step, const char *folder, struct err *err)
{
	const char *path =
		pool_printf(boot->pool, "%s/%s", folder, api_escape(boot->pool, step->key));

	if (api_send(&boot->cloud.api, "DELETE", path, NULL, NULL, err) < 0)
		return err_wrap(err, "%s '%s'", step->what, step->name);
	return done(boot, step);
}

/* Where the API wants it unassigned first, that is done first. */
static int start_delete_address(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (delete_at(boot, step, "/v2/reserved_ips", err) == 0)
		return 0;
	if (boot->cloud.api.status != 422)
		return -1;
	if (reserved_ip_hold(&boot->cloud.api, step->key, boot->mark, 0, ADDRESS_DEADLINE_MS, NULL,
			     err) == 0)
		return delete_at(boot, step, "/v2/reserved_ips", err);
	/* Another run was first. */
	if (boot->cloud.api.status != 404)
		return -1;
	err_clear(err);
	return done(boot, step);
}

static int start_delete_firewall(struct boot *boot, struct boot_step *step, struct err *err)
{
	return delete_at(boot, step, "/v2/firewalls", err);
}

static int start_delete_vpc(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (delete_at(boot, step, "/v2/vpcs", err) == 0)
		return 0;
	if (boot->cloud.api.status != 403 || !strstr(err->msg, "with members"))
		return -1;
	return err_set(
		err, ERR_APPLY,
		"vpc '%s' is not empty: take away what is in it and is not the cluster's, or wait "
		"until its droplets are quite gone, then run destroy again",
		step->name);
}

static int start_delete_tag(struct boot *boot, struct boot_step *step, struct err *err)
{
	return delete_at(boot, step, "/v2/tags", err);
}

/* Somebody else may have given it to a droplet since. */
static int start_delete_loose_tag(struct boot *boot, struct boot_step *step, struct err *err)
{
	const char *path =
		pool_printf(boot->pool, "/v2/tags/%s", api_escape(boot->pool, step->key));
	CLEANUP(release_json) json_t *answer = NULL;

	if (api_get(&boot->cloud.api, path, &answer, err) < 0) {
		if (boot->cloud.api.status != 404)
			return -1;
		err_clear(err);
		return done(boot, step);
	}
	if (tag_is_loose(json_object_get(answer, "tag")))
		return delete_at(boot, step, "/v2/tags", err);
	step->detail = "kept: a droplet has it now";
	return done(boot, step);
}

const struct boot_work work_tag = {.start = start_tag};
const struct boot_work work_vpc = {.start = start_vpc};
const struct boot_work work_firewall = {.start = start_firewall};
const struct boot_work work_droplet = {start_droplet, poll_droplets};
const struct boot_work work_reserve = {.start = start_reserve};
const struct boot_work work_assign = {.start = start_assign};
const struct boot_work work_delete_droplet = {.start = start_delete_droplet};
const struct boot_work work_delete_address = {.start = start_delete_address};
const struct boot_work work_delete_firewall = {.start = start_delete_firewall};
const struct boot_work work_delete_vpc = {.start = start_delete_vpc};
const struct boot_work work_delete_tag = {.start = start_delete_tag};
const struct boot_work work_delete_loose_tag = {.start = start_delete_loose_tag};
