/* A cluster's reserved IP: which one it is, and which droplet shall have it. */
#include <string.h>
#include <strings.h>

#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/provider.h"

static bool is_held(const struct boot *boot, const struct reserved_ip *address)
{
	for (size_t i = 0; i < boot->cloud.droplets.n; i++)
		if (address->droplet_id && boot->cloud.droplets.v[i].id == address->droplet_id)
			return true;
	return false;
}

/* Does the account have the tag by which this address is the cluster's? */
static bool is_tagged(const struct boot *boot, const char *ip)
{
	const char *tag = address_tag(boot->pool, boot->cluster->name, ip);

	for (size_t i = 0; i < boot->cloud.address_tags.n; i++)
		if (strcasecmp(boot->cloud.address_tags.v[i], tag) == 0)
			return true;
	return false;
}

bool boot_reserved(const struct boot *boot, const char *address)
{
	const struct reserved_ips *all = &boot->cloud.addresses;

	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i].ip, address) == 0 && is_held(boot, &all->v[i]))
			return true;
	return is_tagged(boot, address);
}

/* 3: named by vip.address; 2: one of our droplets has it; 1: nobody has it, and it is tagged; 0: not ours. */
static int how_ours(const struct boot *boot, const struct reserved_ip *address)
{
	const struct vip *vip = boot->cluster->vip;

	if (vip->address)
		return strcmp(vip->address, address->ip) == 0 ? 3 : 0;
	if (is_held(boot, address))
		return 2;
	return !address->droplet_id && is_tagged(boot, address->ip);
}

int address_find(struct boot *boot, struct err *err)
{
	const struct vip *vip = boot->cluster->vip;
	const struct reserved_ips *all = &boot->cloud.addresses;
	int best = 0;

	boot->vip = NULL;
	if (!vip || vip->move != VIP_MOVE_DIGITALOCEAN)
		return 0;
	for (size_t i = 0; i < all->n; i++) {
		int ours = how_ours(boot, &all->v[i]);

		if (ours && ours == best && (!boot->destroying || boot->options.release_address))
			return err_set(err, ERR_CONFIG,
				       "the cluster has two reserved IPs, %s and %s: write the one "
				       "that it should have to vip.address",
				       boot->vip, all->v[i].ip);
		if (ours > best) {
			best = ours;
			boot->vip = all->v[i].ip;
		}
	}
	if (vip->address && !boot->vip && !boot->destroying)
		return err_set(err, ERR_CONFIG,
			       "vip.address %s is no reserved IP of this account: take it out, and "
			       "bootstrap apply reserves one",
			       vip->address);
	return 0;
}

static void add_tag_step(struct boot *boot, enum boot_verb verb, const char *tag,
			 const char *because)
{
	struct boot_step *step =
		boot_add(boot, verb == BOOT_CREATE ? BOOT_ADDRESS : BOOT_LAST, verb, "tag", tag,
			 verb == BOOT_CREATE ? &work_tag : &work_delete_loose_tag);

	step->key = tag;
	step->because = because;
}

/* Those that cluster.yaml means no more are nobody's to give back: a person is told while they can be found. */
static void note_others(struct boot *boot)
{
	for (size_t i = 0; i < boot->cloud.addresses.n; i++) {
		const struct reserved_ip *address = &boot->cloud.addresses.v[i];
		bool tagged = !address->droplet_id && is_tagged(boot, address->ip);

		if ((boot->vip && strcmp(address->ip, boot->vip) == 0) ||
		    !(tagged || is_held(boot, address)))
			continue;
		boot_note(
			boot,
			"the reserved IP %s is not the cluster's by cluster.yaml, and is kept; it "
			"costs money while no droplet has it: destroy it at "
			"https://cloud.digitalocean.com/networking/reserved_ips where nobody "
			"needs it",
			address->ip);
	}
}

/* The tag of the one that is the cluster's stays, unless that goes; those of earlier ones go. */
void address_plan_tags(struct boot *boot, bool goes)
{
	const char *want =
		boot->vip && !goes ? address_tag(boot->pool, boot->cluster->name, boot->vip) : NULL;

	if (want && !boot->destroying && !is_tagged(boot, boot->vip))
		add_tag_step(boot, BOOT_CREATE, want, "the reserved IP is known by it");
	for (size_t i = 0; i < boot->cloud.address_tags.n; i++) {
		const char *tag = pool_strdup(boot->pool, boot->cloud.address_tags.v[i]);

		if (!want || strcasecmp(tag, want) != 0)
			add_tag_step(boot, BOOT_DELETE, tag,
				     "its reserved IP is the cluster's no more");
	}
	note_others(boot);
}

const struct reserved_ip *address_of(const struct boot *boot)
{
	for (size_t i = 0; boot->vip && i < boot->cloud.addresses.n; i++)
		if (strcmp(boot->cloud.addresses.v[i].ip, boot->vip) == 0)
			return &boot->cloud.addresses.v[i];
	return NULL;
}

static bool is_up(const struct boot_node *node)
{
	return node->droplet && strcmp(node->droplet->status, "active") == 0;
}

/* Not switched off, or the like: nobody would come through. */
static bool comes_up(const struct boot_node *node)
{
	return !node->droplet || is_up(node) || strcmp(node->droplet->status, "new") == 0;
}

static bool is_any(const struct boot_node *node)
{
	(void)node;
	return true;
}

/* Of those that are like that the one with the highest priority; NULL where there is none. */
static struct boot_node *best_holder(const struct boot *boot,
				     bool (*is_like)(const struct boot_node *node))
{
	struct boot_node *best = NULL;

	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];

		if (is_like(node) && (!best || node_priority(boot->cluster, node->node) >
						       node_priority(boot->cluster, best->node)))
			best = node;
	}
	return best;
}

struct boot_node *boot_first_holder(const struct boot *boot)
{
	struct boot_node *best = best_holder(boot, comes_up);

	return best ? best : best_holder(boot, is_any);
}

/* A droplet has one at a time. */
static void add_unassign(struct boot *boot, enum boot_phase phase, const struct boot_node *from)
{
	for (size_t i = 0; from->droplet && i < boot->cloud.addresses.n; i++) {
		const struct reserved_ip *address = &boot->cloud.addresses.v[i];
		struct boot_step *step;

		if (address->droplet_id != from->droplet->id ||
		    (boot->vip && strcmp(address->ip, boot->vip) == 0))
			continue;
		step = boot_add(boot, phase, BOOT_CHANGE, "reserved IP", address->ip,
				&work_unassign);
		step->key = address->ip;
		step->detail = pool_printf(boot->pool, "off %s", from->node->name);
		step->because = "a droplet has one only";
		step->interrupts = true;
	}
}

static void add_assign(struct boot *boot, enum boot_phase phase, struct boot_node *to,
		       const char *because)
{
	struct boot_step *step;

	add_unassign(boot, phase, to);
	step = boot_add(boot, phase, BOOT_ASSIGN, "reserved IP",
			boot->vip ? boot->vip : "a new one", &work_assign);

	step->node = to;
	step->detail = pool_printf(boot->pool, "to %s", to->node->name);
	step->because = because;
}

int address_plan(struct boot *boot, struct err *err)
{
	const struct vip *vip = boot->cluster->vip;
	const struct reserved_ip *address = address_of(boot);
	struct boot_node *to = boot_first_holder(boot);

	if (!vip || vip->move != VIP_MOVE_DIGITALOCEAN)
		return 0;
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
		/* One that stays up throughout, where there is one. */
		if (replaced && best_holder(boot, is_up))
			add_assign(boot, BOOT_LEAVE, best_holder(boot, is_up), "its droplet goes");
		else
			add_assign(boot, BOOT_ADDRESS, to, "its droplet goes");
	}
	return 0;
}
