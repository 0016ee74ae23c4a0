/*
 * What the files behind provider_digitalocean.c share: each looks at its part of the cluster's things at DigitalOcean, and
 * adds the steps for it. Only they include this.
 */
#ifndef BOOTSTRAP_DIGITALOCEAN_PARTS_H
#define BOOTSTRAP_DIGITALOCEAN_PARTS_H

#include "bootstrap/bootstrap.h"

/* cluster.yaml's provider.digitalocean. */
const struct digitalocean *boot_config(const struct boot *boot);

/* digitalocean_network.c; those that take are for digitalocean_each(), with a struct boot. */
int network_take_tag(void *arg, const json_t *item, struct err *err);
int network_take_vpc(void *arg, const json_t *item, struct err *err);
int network_take_firewall(void *arg, const json_t *item, struct err *err);
int network_plan(struct boot *boot, struct err *err);

/* digitalocean_machines.c */
int machines_take_size(void *arg, const json_t *item, struct err *err);
/* Which of the droplets is which node's. Of several with a node's name it is the one that is in use, or else the oldest. */
int machines_match(struct boot *boot, struct err *err);
/* One of the others: it goes. */
bool machines_is_double(const struct boot *boot, int64_t id);
/* The ssh keys of new droplets; asks nothing where none is to be created. */
int machines_find_keys(struct boot *boot, struct err *err);
int machines_plan(struct boot *boot, struct err *err);
void machines_plan_replacement(struct boot *boot);
void machines_plan_removals(struct boot *boot);
void machines_add_delete(struct boot *boot, enum boot_phase phase, const struct droplet *droplet,
			 const char *because);

/* digitalocean_tags.c. A tag that is there already is made. */
int tag_make(struct boot *boot, const char *tag, struct err *err);
/* After the droplet, which is not known without them: cut off between, tags of nothing are left, which the next run deletes. */
int droplet_unpin(struct boot *boot, int64_t id, struct err *err);

/* digitalocean_work.c: deletes FOLDER/KEY of the step. */
int cloud_delete_at(struct boot *boot, struct boot_step *step, const char *folder, struct err *err);

/* digitalocean_delivery.c: credentials to whoever was made for it and has none yet; to all that are asked for. */
int delivery_plan_first(struct boot *boot, struct err *err);
int delivery_plan(struct boot *boot, struct err *err);
/* Tags of keys whose droplet is gone. */
void delivery_plan_loose_tags(struct boot *boot);

/* digitalocean_address.c: the reserved IP that is the cluster's, to boot->vip. */
int address_find(struct boot *boot, struct err *err);
int address_plan(struct boot *boot, struct err *err);
/* The tag by which it is known while no droplet has it. `goes`: the reserved IP does. */
void address_plan_tags(struct boot *boot, bool goes);
/* What the account's list says of boot->vip; NULL: nothing. */
const struct reserved_ip *address_of(const struct boot *boot);

#endif
