/* The table of providers, and what their files share. Only bootstrap/ includes this. */
#ifndef BOOTSTRAP_PROVIDER_H
#define BOOTSTRAP_PROVIDER_H

#include "bootstrap/bootstrap.h"

struct boot_provider {
	const char *name;
	/* The others are called also where it is not named: it may have something of the cluster's still. */
	bool (*is_named)(const struct cluster *cluster);
	int (*open)(struct boot *boot, struct err *err);
	void (*release)(struct boot *boot);
	/* Reads what there is. */
	int (*look)(struct boot *boot, struct err *err);
	/* Adds the steps to what is wanted, or to nothing at all. */
	int (*plan)(struct boot *boot, struct err *err);
	int (*plan_destroy)(struct boot *boot, struct err *err);
	/* Adds the steps that bring credentials; NULL: it has no machines. */
	int (*plan_deliver)(struct boot *boot, struct err *err);
};

/* Machines before records: those need the addresses of these. */
extern const struct boot_provider provider_digitalocean, provider_cloudflare;

/* Adds a step; the strings are borrowed. Valid until the next one is added. */
struct boot_step *boot_add(struct boot *boot, enum boot_phase phase, enum boot_verb verb,
			   const char *what, const char *name, const struct boot_work *work);
void boot_note(struct boot *boot, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A step is in another state, or waits for something else; tells who watches. */
void boot_set(struct boot *boot, struct boot_step *step, enum boot_state state, const char *now);
/* It is done. Always returns 0. */
int boot_done(struct boot *boot, struct boot_step *step);
/* Time has passed. */
void boot_tick(struct boot *boot);
/* What is known of the addresses, for the records. */
struct dns_addresses boot_addresses(struct boot *boot);
/* Is the address the cluster's: of cluster.yaml, of a machine that bears its mark, or a reserved IP that is its own? */
bool boot_has_address(struct boot *boot, const char *address);
/* A machine of the cluster's that no node is named for. */
bool boot_is_extra(const struct boot *boot, const struct droplet *droplet);
struct boot_node *boot_node_of(const struct boot *boot, int64_t droplet_id);

/* cloudflare_left.c: adds the steps that take away the cluster's records in every zone but the named one. */
int cloudflare_plan_left(struct boot *boot, struct err *err);

/* digitalocean_work.c, _machines_work.c and _tags.c */
extern const struct boot_work work_tag, work_vpc, work_firewall, work_droplet, work_reserve,
	work_assign, work_unassign, work_delete_droplet, work_delete_address, work_delete_firewall,
	work_delete_vpc, work_delete_tag, work_delete_loose_tag, work_deliver;
/* The droplet is known by this host key from now on, and by its contact key no more. */
int droplet_pin(struct boot *boot, struct droplet *droplet, const char *host_key, struct err *err);
/* The rules of the cloud firewall as they are sent; to be released. */
json_t *cloud_firewall_json(const struct boot *boot);
const char *cloud_firewall_name(const struct boot *boot);
bool cloud_firewall_wanted(const struct cluster *cluster);
/* digitalocean_address.c: is it a reserved IP that one of the cluster's droplets has, or that bears its tag? */
bool boot_reserved(const struct boot *boot, const char *address);
/* The same file: which node shall hold the address where none does, the one with the highest priority. */
struct boot_node *boot_first_holder(const struct boot *boot);

#endif
