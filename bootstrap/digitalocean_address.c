/* A cluster's reserved IP: which one it is, and which droplet shall have it. */
#include <string.h>

#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/provider.h"

/* The one that vip.address names, or else that one of our droplets has. */
int address_find(struct boot *boot, struct err *err)
{
	const struct vip *vip = boot->cluster->vip;
	const struct reserved_ips *all = &boot->cloud.addresses;
	const char *held_before = NULL;
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
		idle += !address->droplet_id &&
			strcmp(address->region, boot_config(boot)->region) == 0;
		held = held && address->droplet_id;
		if (held && held_before && !vip->address &&
		    (!boot->destroying || boot->options.release_address))
			return err_set(
				err, ERR_CONFIG,
				"droplets of the cluster have two reserved IPs, %s and %s: write "
				"the one that is the cluster's to vip.address",
				held_before, address->ip);
		if (held)
			held_before = address->ip;
		if (named || (!vip->address && held))
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
			       idle, idle > 1 ? "s" : "", boot_config(boot)->region,
			       idle > 1 ? "" : "s");
	return 0;
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

static void add_assign(struct boot *boot, enum boot_phase phase, struct boot_node *to,
		       const char *because)
{
	struct boot_step *step = boot_add(boot, phase, BOOT_ASSIGN, "reserved IP",
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
