/* What a cluster's droplets stand on: tag, VPC, cloud firewall. What there is, and the steps from there. */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strvec.h"
#include "bootstrap/contact.h"
#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/provider.h"

/* --- looking --------------------------------------------------------------------------- */

int network_take_tag(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	const char *name = json_text(item, "name", boot->pool);
	const char *addresses = address_tag(boot->pool, boot->cluster->name, "");

	(void)err;
	if (!name)
		return 0;
	if (strcasecmp(name, boot->mark) == 0)
		boot->cloud.has_tag = true;
	else if (strncasecmp(name, addresses, strlen(addresses)) == 0)
		strvec_push(&boot->cloud.address_tags, name);
	else if (tag_is_loose(item) && key_tag_is_of(boot->pool, name, boot->cluster->name))
		strvec_push(&boot->cloud.loose_tags, name);
	return 0;
}

int network_take_vpc(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	struct boot_cloud *cloud = &boot->cloud;
	const char *wanted = boot_config(boot)->vpc;
	const char *name = json_text(item, "name", boot->pool);
	const char *id = json_text(item, "id", boot->pool);
	const char *region = json_text(item, "region", boot->pool);
	const char *description = json_text(item, "description", boot->pool);

	if (!name || !id || !region)
		return 0;
	if (description && strcmp(description, boot->mark) == 0) {
		GROW(cloud->our_vpcs, cloud->n_our_vpcs, cloud->alloc_our_vpcs);
		cloud->our_vpcs[cloud->n_our_vpcs++] = (struct vpc) {.id = id, .name = name};
	}
	if (!wanted || strcmp(name, wanted) != 0 || boot->destroying)
		return 0;
	if (strcmp(region, boot_config(boot)->region) != 0)
		return err_set(err, ERR_CONFIG,
			       "the VPC '%s' is in region %s, and provider.digitalocean.region is "
			       "%s: name another VPC",
			       name, region, boot_config(boot)->region);
	cloud->vpc = id;
	cloud->vpc_range = json_text(item, "ip_range", boot->pool);
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

int network_take_firewall(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	const char *name = json_text(item, "name", boot->pool);
	const char *id = json_text(item, "id", boot->pool);

	(void)err;
	if (!name || !id || strcmp(name, cloud_firewall_name(boot)) != 0 ||
	    boot->cloud.firewall_is_ours)
		return 0;
	boot->cloud.firewall = id;
	boot->cloud.firewall_is_ours = has_mark(item, boot->mark);
	boot->cloud.firewall_is_right = boot->cluster->firewall && same_firewall(boot, item);
	return 0;
}

/* --- the plan -------------------------------------------------------------------------- */

int network_plan(struct boot *boot, struct err *err)
{
	const struct digitalocean *wanted = boot_config(boot);
	struct boot_step *step;

	if (!boot->cloud.has_tag)
		boot_add(boot, BOOT_GROUND, BOOT_CREATE, "tag", boot->mark, &work_tag);
	if (wanted->vpc && !boot->cloud.vpc) {
		step = boot_add(boot, BOOT_GROUND, BOOT_CREATE, "vpc", wanted->vpc, &work_vpc);
		step->detail = pool_printf(boot->pool, "%s%sin %s",
					   wanted->ip_range ? wanted->ip_range : "",
					   wanted->ip_range ? " " : "", wanted->region);
	}
	if (boot->cloud.vpc && boot->cloud.vpc_range && wanted->ip_range &&
	    strcmp(boot->cloud.vpc_range, wanted->ip_range) != 0)
		boot_note(
			boot,
			"the VPC '%s' is there and has the addresses %s, which cannot be changed: "
			"write them to ip_range in place of %s, or name another VPC",
			wanted->vpc, boot->cloud.vpc_range, wanted->ip_range);
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
		if (!boot->cloud.firewall_is_ours)
			return 0;
		step = boot_add(boot, BOOT_GROUND, BOOT_DELETE, "firewall",
				cloud_firewall_name(boot), &work_delete_firewall);
		step->key = boot->cloud.firewall;
		step->because = "cluster.yaml wants no cloud firewall any more";
		step->interrupts = true;
		return 0;
	}
	if (boot->cloud.firewall && !boot->cloud.firewall_is_ours)
		return err_set(
			err, ERR_CONFIG,
			"the account has a firewall '%s' that does not bear the tag '%s': give "
			"it the tag, and it becomes the cluster's, or give it another name",
			cloud_firewall_name(boot), boot->mark);
	if (!boot->cloud.firewall_is_right) {
		step = boot_add(boot, BOOT_GROUND, boot->cloud.firewall ? BOOT_CHANGE : BOOT_CREATE,
				"firewall", cloud_firewall_name(boot), &work_firewall);
		step->key = boot->cloud.firewall;
		step->because =
			boot->cloud.firewall ? "its rules are not those of cluster.yaml" : "";
	}
	return 0;
}
