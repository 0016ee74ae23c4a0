/* What DigitalOcean has of a cluster's, and the steps from there: its parts in order. The parts are in digitalocean_network.c,
 * _machines.c, _address.c and _delivery.c, the work itself in digitalocean_work.c,
 * _machines_work.c and _tags.c. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/drain.h"
#include "bootstrap/provider.h"

static bool is_named(const struct cluster *cluster)
{
	return cluster->provider.digitalocean != NULL;
}

static int open_cloud(struct boot *boot, struct err *err)
{
	if (!is_named(boot->cluster))
		return 0;
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
	cloud->n_sizes = cloud->n_our_vpcs = 0;
	free(cloud->our_vpcs);
	cloud->our_vpcs = NULL;
	cloud->alloc_our_vpcs = 0;
	strvec_release(&cloud->loose_tags);
	strvec_release(&cloud->address_tags);
}

static void release(struct boot *boot)
{
	forget(boot);
	if (boot->cloud.open)
		api_release(&boot->cloud.api);
}

const struct digitalocean *boot_config(const struct boot *boot)
{
	return boot->cluster->provider.digitalocean;
}

/* --- looking ----------------------------------------------------------------------------- */

/* The file names DigitalOcean no more: nothing is done there, and what costs money there is told. */
static int look_for_left(struct boot *boot)
{
	CLEANUP(api_release) struct api api = API_INIT;
	const char *token = getenv(digitalocean_api.token_variable);
	struct droplets droplets = {0};
	struct err err = {0};

	if (!token || !*token)
		return 0;
	if (api_open(&api, &digitalocean_api, token, &err) == 0)
		api.tries = 1;
	if (err.code || droplets_list(&api, boot->mark, boot->pool, &droplets, &err) < 0)
		boot_note(boot, "whether droplets of the cluster's are left is not known: %s",
			  err.msg);
	if (droplets.n)
		boot_note(boot,
			  "%zu droplet%s of the cluster's (tag '%s') cost money, and cluster.yaml "
			  "names no provider.digitalocean: name it again, and dynia bootstrap "
			  "destroy takes them away",
			  droplets.n, droplets.n > 1 ? "s" : "", boot->mark);
	return 0;
}

static int look(struct boot *boot, struct err *err)
{
	struct boot_cloud *cloud = &boot->cloud;
	struct api *api = &cloud->api;

	if (!is_named(boot->cluster))
		return look_for_left(boot);
	forget(boot);
	cloud->answers = json_array();
	cloud->vpc = cloud->firewall = NULL;
	cloud->firewall_is_ours = cloud->firewall_is_right = false;
	cloud->has_tag = false;
	/* Tags before droplets: one that a droplet gets meanwhile is seen on it. */
	if (digitalocean_each(api, "/v2/tags", "tags", network_take_tag, boot, err) < 0 ||
	    droplets_list(api, boot->mark, boot->pool, &cloud->droplets, err) < 0 ||
	    reserved_ips_list(api, boot->mark, boot->pool, &cloud->addresses, err) < 0 ||
	    machines_match(boot, err) < 0 ||
	    digitalocean_each(api, "/v2/sizes", "sizes", machines_take_size, boot, err) < 0 ||
	    digitalocean_each(api, "/v2/firewalls", "firewalls", network_take_firewall, boot, err) <
		    0 ||
	    address_find(boot, err) < 0)
		return -1;
	cloud->listed_ms = clock_ms();
	if (boot_config(boot)->vpc || boot->destroying)
		return digitalocean_each(api, "/v2/vpcs", "vpcs", network_take_vpc, boot, err);
	return 0;
}

/* --- the plan ---------------------------------------------------------------------------- */

static int plan(struct boot *boot, struct err *err)
{
	if (!is_named(boot->cluster))
		return 0;
	if (network_plan(boot, err) < 0 || machines_find_keys(boot, err) < 0 ||
	    address_plan(boot, err) < 0 || machines_plan(boot, err) < 0)
		return -1;
	machines_plan_replacement(boot);
	machines_plan_removals(boot);
	address_plan_tags(boot, false);
	delivery_plan_loose_tags(boot);
	return delivery_plan_first(boot, err);
}

static void add_last(struct boot *boot, enum boot_phase phase, const char *what, const char *name,
		     const char *key, const struct boot_work *work)
{
	struct boot_step *step = boot_add(boot, phase, BOOT_DELETE, what, name, work);

	step->key = key;
	step->because = "the cluster goes";
	step->interrupts = true;
}

static void plan_release(struct boot *boot)
{
	const struct reserved_ip *address = address_of(boot);

	address_plan_tags(boot, boot->options.release_address);
	if (!address)
		return;
	if (address->is_foreign)
		boot_note(
			boot,
			"the reserved IP %s is kept: it is assigned to droplet '%s', which is not "
			"this cluster's",
			address->ip, address->droplet_name ? address->droplet_name : "?");
	else if (boot->options.release_address)
		add_last(boot, BOOT_REMOVE, "reserved IP", boot->vip, boot->vip,
			 &work_delete_address);
	else
		boot_note(boot,
			  "the reserved IP %s is kept, and costs money while no droplet has "
			  "it: --release-address gives it back",
			  address->ip);
}

static int plan_destroy(struct boot *boot, struct err *err)
{
	struct boot_cloud *cloud = &boot->cloud;

	(void)err;
	if (!is_named(boot->cluster))
		return 0;
	if (cloud->droplets.n)
		drain_plan(boot, BOOT_DRAIN);
	plan_release(boot);
	for (size_t i = 0; i < cloud->droplets.n; i++)
		machines_add_delete(boot, BOOT_REMOVE, &cloud->droplets.v[i], "the cluster goes");
	if (cloud->firewall && cloud->firewall_is_ours)
		add_last(boot, BOOT_LAST, "firewall", cloud_firewall_name(boot), cloud->firewall,
			 &work_delete_firewall);
	for (size_t i = 0; i < cloud->n_our_vpcs; i++)
		add_last(boot, BOOT_LAST, "vpc", cloud->our_vpcs[i].name, cloud->our_vpcs[i].id,
			 &work_delete_vpc);
	delivery_plan_loose_tags(boot);
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
	.plan_deliver = delivery_plan,
};
