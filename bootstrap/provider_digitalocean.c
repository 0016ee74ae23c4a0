/* What DigitalOcean has of a cluster's, and the steps from there. The work itself is in
 * digitalocean_work.c. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/strvec.h"
#include "bootstrap/provider.h"
#include "bootstrap/user_data.h"

static bool is_named(const struct cluster *cluster)
{
	return cluster->provider.digitalocean != NULL;
}

static int open_cloud(struct boot *boot, struct err *err)
{
	if (api_open(&boot->cloud.api, &digitalocean_api, NULL, err) < 0)
		return -1;
	boot->cloud.open = true;
	return 0;
}

static void forget(struct boot *boot)
{
	struct boot_cloud *cloud = &boot->cloud;

	json_decref(cloud->answers);
	json_decref(cloud->key_ids);
	free(cloud->sizes);
	cloud->answers = cloud->key_ids = NULL;
	cloud->sizes = NULL;
	cloud->n_sizes = 0;
}

static void release(struct boot *boot)
{
	forget(boot);
	if (boot->cloud.open)
		api_release(&boot->cloud.api);
}

static const struct digitalocean *config(const struct boot *boot)
{
	return boot->cluster->provider.digitalocean;
}

/* --- looking ----------------------------------------------------------------------------- */

static int look_at_tag(struct boot *boot, struct err *err)
{
	struct api *api = &boot->cloud.api;
	const char *path =
		pool_printf(boot->pool, "/v2/tags/%s", api_escape(boot->pool, boot->mark));
	json_t *answer = NULL;

	boot->cloud.has_tag = api_get(api, path, &answer, err) == 0;
	json_decref(answer);
	if (!boot->cloud.has_tag && api->status != 404)
		return -1;
	err_clear(err);
	return 0;
}

static int take_size(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	struct boot_cloud *cloud = &boot->cloud;
	const char *slug = json_text(item, "slug", boot->pool);

	(void)err;
	if (!slug)
		return 0;
	cloud->sizes = xreallocarray(cloud->sizes, cloud->n_sizes + 1, sizeof(*cloud->sizes));
	cloud->sizes[cloud->n_sizes++] = (struct size) {
		.slug = slug,
		.monthly = json_number_value(json_object_get(item, "price_monthly")),
		.regions = json_object_get(item, "regions"),
	};
	json_array_append(cloud->answers, (json_t *)item);
	return 0;
}

static int take_vpc(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	const char *name = json_text(item, "name", boot->pool);
	const char *id = json_text(item, "id", boot->pool);
	const char *region = json_text(item, "region", boot->pool);
	const char *description = json_text(item, "description", boot->pool);

	if (!name || !id || !region || strcmp(name, config(boot)->vpc) != 0)
		return 0;
	if (strcmp(region, config(boot)->region) != 0)
		return err_set(err, ERR_CONFIG,
			       "the VPC '%s' is in region %s, and provider.digitalocean.region is "
			       "%s: name another VPC",
			       name, region, config(boot)->region);
	boot->cloud.vpc = id;
	boot->cloud.vpc_range = json_text(item, "ip_range", boot->pool);
	boot->cloud.vpc_is_ours = description && strcmp(description, boot->mark) == 0;
	return 0;
}

/* What a rule says, in one form whoever wrote it: as a set of lines. */
static void rules_text(const json_t *firewall, const char *key, const char *ends,
		       struct strvec *ret)
{
	const json_t *list = json_object_get(firewall, key), *rule, *item;
	size_t i, k;

	json_array_foreach(list, i, rule)
	{
		static const char *const kinds[] = {"addresses", "tags"};
		const char *ports = json_string_value(json_object_get(rule, "ports"));
		const char *protocol = json_string_value(json_object_get(rule, "protocol"));

		if (!ports || !*ports || strcmp(ports, "all") == 0)
			ports = "0";
		for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
			const json_t *words =
				json_object_get(json_object_get(rule, ends), kinds[kind]);

			json_array_foreach(words, k, item)
			{
				const char *word = json_string_value(item);
				const char *prefix = word ? strstr(word, "/32") : NULL;
				int len = word ? (int)strlen(word) : 0;

				if (prefix && !prefix[3])
					len -= 3;
				strvec_pushf(ret, "%s %s %s %s %.*s", key, protocol ? protocol : "",
					     ports, kinds[kind], len, word ? word : "");
			}
		}
	}
}

static bool same_firewall(const struct boot *boot, const json_t *there)
{
	CLEANUP(strvec_release) struct strvec is = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec shall = STRVEC_INIT;
	json_t *wanted = cloud_firewall_json(boot);
	const json_t *tags = json_object_get(there, "tags");
	const char *tag = json_string_value(json_array_get(tags, 0));
	bool same = json_array_size(tags) == 1 && tag && strcmp(tag, boot->mark) == 0;

	rules_text(there, "inbound_rules", "sources", &is);
	rules_text(there, "outbound_rules", "destinations", &is);
	rules_text(wanted, "inbound_rules", "sources", &shall);
	rules_text(wanted, "outbound_rules", "destinations", &shall);
	json_decref(wanted);
	strvec_sort(&is);
	strvec_sort(&shall);
	same = same && is.n == shall.n;
	for (size_t i = 0; same && i < is.n; i++)
		same = strcmp(is.v[i], shall.v[i]) == 0;
	return same;
}

static int take_firewall(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	const char *name = json_text(item, "name", boot->pool);
	const char *id = json_text(item, "id", boot->pool);

	(void)err;
	if (!name || !id || strcmp(name, cloud_firewall_name(boot)) != 0)
		return 0;
	boot->cloud.firewall = id;
	boot->cloud.firewall_is_right = boot->cluster->firewall && same_firewall(boot, item);
	return 0;
}

static int match_nodes(struct boot *boot, struct err *err)
{
	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];

		if (droplets_find(&boot->cloud.droplets, node->name, &node->droplet, err) < 0)
			return -1;
		if (node->droplet && !node->node->public_address)
			node->public_address = node->droplet->public_address;
		node->old_id = 0;
		if (!boot->options.replace || strcmp(boot->options.replace, node->node->name) != 0)
			continue;
		node->old_id = node->droplet ? node->droplet->id : 0;
		node->droplet = NULL;
		node->public_address = node->node->public_address;
	}
	return 0;
}

/* The one that vip.address names, or else that one of our droplets has. */
static int find_vip(struct boot *boot, struct err *err)
{
	const struct vip *vip = boot->cluster->vip;
	const struct reserved_ips *all = &boot->cloud.addresses;
	size_t idle = 0;

	boot->vip = NULL;
	if (!vip || vip->move != VIP_MOVE_DIGITALOCEAN)
		return 0;
	for (size_t i = 0; i < all->n; i++) {
		const struct reserved_ip *address = &all->v[i];
		bool named = vip->address && strcmp(vip->address, address->ip) == 0;
		bool held = false;

		for (size_t k = 0; k < boot->cloud.droplets.n; k++)
			held = held || boot->cloud.droplets.v[k].id == address->droplet_id;
		idle += !address->droplet_id && strcmp(address->region, config(boot)->region) == 0;
		if (named || (!vip->address && held && address->droplet_id))
			boot->vip = address->ip;
	}
	if (boot->vip || boot->destroying)
		return 0;
	if (vip->address)
		return err_set(err, ERR_CONFIG,
			       "vip.address %s is no reserved IP of this account: take it out, and "
			       "bootstrap apply reserves one",
			       vip->address);
	if (idle)
		return err_set(err, ERR_CONFIG,
			       "%zu reserved IP%s in %s belong%s to no droplet, so it cannot be "
			       "told whether one is this cluster's: write its address to "
			       "vip.address, or release it",
			       idle, idle > 1 ? "s" : "", config(boot)->region,
			       idle > 1 ? "" : "s");
	return 0;
}

static int look(struct boot *boot, struct err *err)
{
	struct boot_cloud *cloud = &boot->cloud;
	struct api *api = &cloud->api;

	forget(boot);
	cloud->answers = json_array();
	cloud->vpc = cloud->firewall = NULL;
	if (droplets_list(api, boot->mark, boot->pool, &cloud->droplets, err) < 0 ||
	    match_nodes(boot, err) < 0 || look_at_tag(boot, err) < 0 ||
	    digitalocean_each(api, "/v2/sizes", "sizes", take_size, boot, err) < 0 ||
	    digitalocean_each(api, "/v2/firewalls", "firewalls", take_firewall, boot, err) < 0 ||
	    reserved_ips_list(api, boot->pool, &cloud->addresses, err) < 0 ||
	    find_vip(boot, err) < 0)
		return -1;
	cloud->listed_ms = clock_ms();
	if (config(boot)->vpc)
		return digitalocean_each(api, "/v2/vpcs", "vpcs", take_vpc, boot, err);
	return 0;
}

/* --- what a droplet is made of --------------------------------------------------------------- */

static bool has_region(const struct size *size, const char *region)
{
	const json_t *item;
	size_t i;

	json_array_foreach(size->regions, i, item)
	{
		const char *slug = json_string_value(item);

		if (slug && strcmp(slug, region) == 0)
			return true;
	}
	return false;
}

static const struct size *find_size(const struct boot *boot, const char *slug)
{
	for (size_t i = 0; i < boot->cloud.n_sizes; i++)
		if (strcmp(boot->cloud.sizes[i].slug, slug) == 0)
			return &boot->cloud.sizes[i];
	return NULL;
}

static int check_size(const struct boot *boot, const struct boot_node *node,
		      const struct size **ret, struct err *err)
{
	CLEANUP(strvec_release) struct strvec slugs = STRVEC_INIT;
	const char *near;

	*ret = find_size(boot, node->size);
	if (*ret && has_region(*ret, node->region))
		return 0;
	if (*ret)
		return err_set(err, ERR_CONFIG,
			       "node '%s': DigitalOcean has no size '%s' in region '%s': choose "
			       "another size or region",
			       node->node->name, node->size, node->region);
	for (size_t i = 0; i < boot->cloud.n_sizes; i++)
		strvec_push(&slugs, boot->cloud.sizes[i].slug);
	near = slugs.n ? nearest_word(node->size, (const char *const *)slugs.v) : NULL;
	return err_set(err, ERR_CONFIG, "node '%s': DigitalOcean has no size '%s'%s%s%s",
		       node->node->name, node->size, near ? ": did you mean '" : "",
		       near ? near : "", near ? "'?" : "");
}

struct finding_keys {
	struct boot *boot;
	bool *found;
	struct strbuf names;
};

static int take_key(void *arg, const json_t *item, struct err *err)
{
	struct finding_keys *f = arg;
	const struct spec_strings *wanted = &config(f->boot)->ssh_keys;
	const char *name = json_text(item, "name", f->boot->pool);
	const char *fingerprint = json_text(item, "fingerprint", f->boot->pool);
	int64_t id = json_number(item, "id");

	(void)err;
	strbuf_addf(&f->names, "%s%s", f->names.len ? ", " : "", name ? name : "");
	for (size_t i = 0; i < wanted->n; i++) {
		bool is_it = (name && strcmp(wanted->v[i], name) == 0) ||
			     (fingerprint && strcmp(wanted->v[i], fingerprint) == 0);

		if (!is_it || f->found[i] || id <= 0)
			continue;
		f->found[i] = true;
		json_array_append_new(f->boot->cloud.key_ids, json_integer(id));
	}
	return 0;
}

static int find_keys(struct boot *boot, struct err *err)
{
	const struct spec_strings *wanted = &config(boot)->ssh_keys;
	AUTO_FREE bool *found = xcalloc(wanted->n + 1, sizeof(*found));
	struct finding_keys f = {.boot = boot, .found = found, .names = STRBUF_INIT};
	int failed = 0;

	boot->cloud.key_ids = json_array();
	if (!wanted->n) {
		boot_note(boot, "provider.digitalocean.ssh_keys names no key: nobody will be able "
				"to log in to a new droplet but by the console");
		return 0;
	}
	failed = digitalocean_each(&boot->cloud.api, "/v2/account/keys", "ssh_keys", take_key, &f,
				   err);
	for (size_t i = 0; i < wanted->n && !failed; i++)
		if (!found[i])
			failed = err_set(err, ERR_CONFIG,
					 "provider.digitalocean.ssh_keys: the account has no key "
					 "'%s'; it has: %.300s",
					 wanted->v[i], f.names.len ? f.names.buf : "none");
	strbuf_release(&f.names);
	return failed;
}

/* --- the plan ---------------------------------------------------------------------------- */

static bool any_to_create(const struct boot *boot)
{
	for (size_t i = 0; i < boot->n_nodes; i++)
		if (!boot->nodes[i].droplet)
			return true;
	return false;
}

static int plan_ground(struct boot *boot, struct err *err)
{
	const struct digitalocean *wanted = config(boot);
	struct boot_step *step;

	if (!boot->cloud.has_tag)
		boot_add(boot, BOOT_GROUND, BOOT_CREATE, "tag", boot->mark, &work_tag);
	if (wanted->vpc && !boot->cloud.vpc) {
		step = boot_add(boot, BOOT_GROUND, BOOT_CREATE, "vpc", wanted->vpc, &work_vpc);
		step->detail = pool_printf(boot->pool, "%s%sin %s",
					   wanted->ip_range ? wanted->ip_range : "",
					   wanted->ip_range ? " " : "", wanted->region);
	}
	for (size_t i = 0; wanted->vpc && i < boot->n_nodes; i++)
		if (strcmp(boot->nodes[i].region, wanted->region) != 0)
			return err_set(err, ERR_CONFIG,
				       "node '%s' is in region %s, where the VPC '%s' of %s does "
				       "not reach",
				       boot->nodes[i].node->name, boot->nodes[i].region,
				       wanted->vpc, wanted->region);
	if (!cloud_firewall_wanted(boot->cluster)) {
		if (boot->cluster->firewall && wanted->cloud_firewall == CLOUD_FIREWALL_AUTO)
			boot_note(boot,
				  "no cloud firewall: it would drop VRRP, which vip needs; the "
				  "nodes' own firewall stands "
				  "(provider.digitalocean.cloud_firewall)");
		return 0;
	}
	if (!boot->cloud.firewall_is_right) {
		step = boot_add(boot, BOOT_GROUND, boot->cloud.firewall ? BOOT_CHANGE : BOOT_CREATE,
				"firewall", cloud_firewall_name(boot), &work_firewall);
		step->key = boot->cloud.firewall;
		step->because =
			boot->cloud.firewall ? "its rules are not those of cluster.yaml" : "";
	}
	return 0;
}

static int plan_machines(struct boot *boot, struct err *err)
{
	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];
		const struct size *size;
		struct boot_step *step;
		const char *ignored;

		if (node->droplet) {
			if (strcmp(node->droplet->status, "new") == 0) {
				step = boot_add(boot, BOOT_MACHINES, BOOT_WAIT, "droplet",
						node->name, &work_droplet);
				step->node = node;
			} else if (strcmp(node->droplet->status, "active") != 0) {
				boot_note(boot,
					  "droplet '%s' is %s: power it on, or take another with "
					  "--replace %s",
					  node->name, node->droplet->status, node->node->name);
			}
			if (strcmp(node->droplet->size, node->size) != 0 ||
			    strcmp(node->droplet->region, node->region) != 0)
				boot_note(boot,
					  "droplet '%s' is %s in %s, and cluster.yaml says %s in "
					  "%s: --replace %s makes it so",
					  node->name, node->droplet->size, node->droplet->region,
					  node->size, node->region, node->node->name);
			continue;
		}
		if (check_size(boot, node, &size, err) < 0 ||
		    user_data_text(boot->cluster, node->node, boot->pool, &ignored, err) < 0)
			return -1;
		step = boot_add(boot, BOOT_MACHINES, BOOT_CREATE, "droplet", node->name,
				&work_droplet);
		step->node = node;
		step->detail = pool_printf(boot->pool, "%s in %s, %s", node->size, node->region,
					   config(boot)->image);
		step->because = node->old_id ? "--replace" : "";
		step->monthly = size->monthly;
	}
	return 0;
}

struct boot_node *boot_first_holder(const struct boot *boot)
{
	struct boot_node *best = NULL;

	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];

		if (!best || node_priority(boot->cluster, node->node) >
				     node_priority(boot->cluster, best->node))
			best = node;
	}
	return best;
}

/* One that stays up throughout, with the highest priority; NULL where there is none. */
static struct boot_node *other_holder(const struct boot *boot)
{
	struct boot_node *best = NULL;

	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];

		if (node->droplet && strcmp(node->droplet->status, "active") == 0 &&
		    (!best || node_priority(boot->cluster, node->node) >
				      node_priority(boot->cluster, best->node)))
			best = node;
	}
	return best;
}

static void add_assign(struct boot *boot, enum boot_phase phase, struct boot_node *to,
		       const char *because)
{
	struct boot_step *step = boot_add(boot, phase, BOOT_ASSIGN, "reserved IP",
					  boot->vip ? boot->vip : "a new one", &work_assign);

	step->node = to;
	step->detail = pool_printf(boot->pool, "to %s", to->node->name);
	step->because = because;
}

static int plan_address(struct boot *boot, struct err *err)
{
	const struct vip *vip = boot->cluster->vip;
	const struct reserved_ip *address = NULL;
	struct boot_node *to = boot_first_holder(boot);

	if (!vip || vip->move != VIP_MOVE_DIGITALOCEAN)
		return 0;
	for (size_t i = 0; boot->vip && i < boot->cloud.addresses.n; i++)
		if (strcmp(boot->cloud.addresses.v[i].ip, boot->vip) == 0)
			address = &boot->cloud.addresses.v[i];
	if (address && strcmp(address->region, to->region) != 0)
		return err_set(err, ERR_CONFIG,
			       "the reserved IP %s is in region %s, and node '%s' in %s: it moves "
			       "within one region only",
			       boot->vip, address->region, to->node->name, to->region);
	if (!boot->vip) {
		struct boot_step *step = boot_add(boot, BOOT_ADDRESS, BOOT_CREATE, "reserved IP",
						  "a new one", &work_reserve);

		step->node = to;
		step->detail = pool_printf(boot->pool, "for %s", to->node->name);
		return 0;
	}
	if (!address->droplet_id)
		add_assign(boot, BOOT_ADDRESS, to, "no droplet has it");
	else if (!boot_node_of(boot, address->droplet_id)) {
		bool ours = false, replaced = false;

		for (size_t i = 0; i < boot->cloud.droplets.n; i++)
			ours = ours || boot->cloud.droplets.v[i].id == address->droplet_id;
		for (size_t i = 0; i < boot->n_nodes; i++)
			replaced = replaced || boot->nodes[i].old_id == address->droplet_id;
		if (!ours)
			return err_set(err, ERR_CONFIG,
				       "the reserved IP %s is assigned to droplet '%s', which is "
				       "not this cluster's: unassign it, or name another address",
				       boot->vip,
				       address->droplet_name ? address->droplet_name : "?");
		if (replaced && other_holder(boot))
			add_assign(boot, BOOT_LEAVE, other_holder(boot), "its droplet goes");
		else
			add_assign(boot, BOOT_ADDRESS, to, "its droplet goes");
	}
	return 0;
}

static void add_delete(struct boot *boot, enum boot_phase phase, const struct droplet *droplet,
		       const char *because)
{
	struct boot_step *step =
		boot_add(boot, phase, BOOT_DELETE, "droplet", droplet->name, &work_delete_droplet);

	step->id = droplet->id;
	step->detail = pool_printf(boot->pool, "%s in %s%s%s", droplet->size, droplet->region,
				   droplet->public_address ? ", " : "",
				   droplet->public_address ? droplet->public_address : "");
	step->because = because;
	step->monthly = -droplet->monthly;
	step->interrupts = true;
}

static void add_drain(struct boot *boot, enum boot_phase phase)
{
	struct boot_step *step;

	if (boot->options.drain_ms <= 0)
		return;
	step = boot_add(boot, phase, BOOT_WAIT, "drain",
			pool_printf(boot->pool, "%lld s", (long long)boot->options.drain_ms / 1000),
			&work_drain);
	step->because = "nothing new comes to what goes; what is under way ends";
}

static void plan_removals(struct boot *boot)
{
	bool any = false;

	for (size_t i = 0; i < boot->cloud.droplets.n; i++) {
		const struct droplet *droplet = &boot->cloud.droplets.v[i];

		if (!boot_is_extra(boot, droplet))
			continue;
		if (!any)
			add_drain(boot, BOOT_DRAIN);
		any = true;
		add_delete(boot, BOOT_REMOVE, droplet, "cluster.yaml names no such node");
	}
}

static void plan_replacement(struct boot *boot)
{
	for (size_t i = 0; i < boot->cloud.droplets.n; i++) {
		const struct droplet *droplet = &boot->cloud.droplets.v[i];

		for (size_t k = 0; k < boot->n_nodes; k++) {
			if (boot->nodes[k].old_id != droplet->id)
				continue;
			add_drain(boot, BOOT_LEAVE);
			add_delete(boot, BOOT_LEAVE, droplet, "--replace");
		}
	}
}

static int plan(struct boot *boot, struct err *err)
{
	if (plan_ground(boot, err) < 0)
		return -1;
	if (any_to_create(boot) && find_keys(boot, err) < 0)
		return -1;
	if (plan_address(boot, err) < 0 || plan_machines(boot, err) < 0)
		return -1;
	plan_replacement(boot);
	plan_removals(boot);
	return 0;
}

static void add_last(struct boot *boot, enum boot_phase phase, const char *what, const char *name,
		     const char *key, const struct boot_work *work)
{
	struct boot_step *step = boot_add(boot, phase, BOOT_DELETE, what, name, work);

	step->key = key;
	step->because = "the cluster goes";
	step->interrupts = true;
}

static int plan_destroy(struct boot *boot, struct err *err)
{
	struct boot_cloud *cloud = &boot->cloud;

	(void)err;
	if (cloud->droplets.n)
		add_drain(boot, BOOT_DRAIN);
	/* Before the droplets: without vip.address it is known by the one that has it. */
	if (boot->vip && boot->options.release_address)
		add_last(boot, BOOT_REMOVE, "reserved IP", boot->vip, boot->vip,
			 &work_delete_address);
	for (size_t i = 0; i < cloud->droplets.n; i++)
		add_delete(boot, BOOT_REMOVE, &cloud->droplets.v[i], "the cluster goes");
	if (boot->vip && !boot->options.release_address)
		boot_note(boot,
			  "the reserved IP %s is kept, and costs money while no droplet has "
			  "it: --release-address gives it back",
			  boot->vip);
	if (cloud->firewall)
		add_last(boot, BOOT_LAST, "firewall", cloud_firewall_name(boot), cloud->firewall,
			 &work_delete_firewall);
	if (cloud->vpc && cloud->vpc_is_ours)
		add_last(boot, BOOT_LAST, "vpc", config(boot)->vpc, cloud->vpc, &work_delete_vpc);
	if (cloud->has_tag)
		add_last(boot, BOOT_LAST, "tag", boot->mark, boot->mark, &work_delete_tag);
	return 0;
}

const struct boot_provider provider_digitalocean = {
	.name = "digitalocean",
	.is_named = is_named,
	.open = open_cloud,
	.release = release,
	.look = look,
	.plan = plan,
	.plan_destroy = plan_destroy,
};
