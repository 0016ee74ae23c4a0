/*
 * From cluster.yaml to machines, and back: looks at what there is, plans, and carries the plan out.
 * There is no state file: what exists is found by the cluster's mark, so a run can be cut off
 * anywhere and made again, from another machine.
 *
 *	CLEANUP(boot_release) struct boot boot = BOOT_INIT;
 *	if (boot_open(&boot, cluster, &options, err) < 0 || boot_plan(&boot, err) < 0) …
 *	print boot.steps; boot_apply(&boot, err);
 *
 * Who provides machines and records is a row in a table of providers (bootstrap/provider.h).
 */
#ifndef BOOTSTRAP_BOOTSTRAP_H
#define BOOTSTRAP_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strvec.h"
#include "bootstrap/api.h"
#include "bootstrap/digitalocean.h"
#include "bootstrap/dns.h"
#include "spec/model.h"

/* In the order in which they are carried out. */
enum boot_phase {
	BOOT_GROUND,   /* tag, network, firewall: before there is a machine to be reached */
	BOOT_LEAVE,    /* with --replace and destroy: what goes before something else comes */
	BOOT_MACHINES, /* droplets, all at the same time */
	BOOT_ADDRESS,  /* the reserved IP to a machine that stays */
	BOOT_RECORDS,
	BOOT_DRAIN,   /* time for what still comes to machines that go */
	BOOT_REMOVE,  /* machines that no longer belong */
	BOOT_LAST,    /* what they stood on */
	BOOT_DELIVER, /* credentials, to many at the same time, once all else is done: machines take their time to come up */
};

enum boot_verb { BOOT_CREATE, BOOT_CHANGE, BOOT_ASSIGN, BOOT_WAIT, BOOT_DELETE, BOOT_SEND };
enum boot_state { BOOT_PLANNED, BOOT_RUNNING, BOOT_DONE, BOOT_FAILED };

struct boot;
struct boot_step;
struct visit;

/* What a step does. start() does it, or begins it and leaves the step running; then poll() is called
 * with all the steps of the phase that have the same work, until none is. */
struct boot_work {
	int (*start)(struct boot *boot, struct boot_step *step, struct err *err);
	int (*poll)(struct boot *boot, struct boot_step *steps, size_t n, struct err *err);
};

/* A node of the file, and its machine. */
struct boot_node {
	const struct node *node;
	const char *name;           /* of the machine */
	const char *size;           /* wanted */
	const char *region;         /* wanted */
	struct droplet *droplet;    /* NULL: none, or one that is to be replaced */
	int64_t old_id;             /* of that one; 0 */
	const char *public_address; /* cluster.yaml's, else the machine's, else NULL */
};

struct boot_step {
	enum boot_phase phase;
	enum boot_verb verb;
	const char *what; /* "droplet", "record" */
	const char *name;
	const char *detail;  /* "s-1vcpu-1gb in sgp1", or "" */
	const char *because; /* why something goes or changes, or "" */
	double monthly;      /* dollars more (or, negative, less) a month */
	bool interrupts;     /* takes something away that may be in use: asked for first */
	enum boot_state state;
	const char *now; /* running: what it waits for; failed: why */
	int64_t began_ms;
	int64_t took_ms;
	const struct boot_work *work;
	/* For the work: */
	int64_t id;      /* of a droplet */
	const char *key; /* the id of a firewall, VPC or zone */
	struct boot_node *node;
	int64_t action;      /* that was begun; 0: not known */
	struct visit *visit; /* at a machine that credentials go to (deliver_ssh.h) */
};

struct boot_options {
	const char *replace;  /* a node's name: its machine goes, and another comes. NULL: none */
	bool release_address; /* destroy: the reserved IP, too */
	int64_t drain_ms;
	int64_t machine_ms; /* how long a machine may take to come up, and to be ready for credentials */
	const char *credentials; /* the folder of what goes to the nodes (deliver.h); NULL: none */
	const char *identity;    /* the private key for ssh; NULL: as ssh finds it */
	bool deliver_only;       /* plan nothing but credentials, for all nodes or for only_node */
	const char *only_node;
	/* Who of the nodes that stay sends to one of these nodes still, in words; *ret NULL: nobody. NULL:
	 * nobody can say. */
	int (*senders)(void *arg, const char *const *nodes, size_t n, struct pool *pool,
		       const char **ret, struct err *err);
	void *senders_arg;
	/* Told of each change of a step's state, and, with NULL, now and then in a long wait. */
	void (*progress)(void *arg, const struct boot *boot, const struct boot_step *step);
	void *progress_arg;
};

struct vpc {
	const char *id;
	const char *name;
};

/* What DigitalOcean has, of the cluster's. */
struct boot_cloud {
	struct api api;
	bool open;
	struct droplets droplets;
	int64_t *doubles; /* ids of those that have the name of a node's droplet, and are not it */
	size_t n_doubles;
	struct reserved_ips addresses;
	json_t *answers; /* an array that holds what sizes borrow from */
	struct size *sizes;
	size_t n_sizes;
	json_t *key_ids; /* of the wanted ssh keys */
	bool has_tag;
	const char *vpc; /* its id, NULL: none yet */
	const char *vpc_range;
	struct vpc *our_vpcs; /* those that bear the mark, whatever their names */
	size_t n_our_vpcs;
	size_t alloc_our_vpcs;
	const char *firewall;  /* its id, NULL: none yet */
	bool firewall_is_ours; /* it bears the mark */
	bool firewall_is_right;
	int64_t listed_ms; /* when the droplets were listed last */
	unsigned polls;
	struct strvec address_tags; /* of the cluster's reserved IPs, now or once */
	struct strvec
		loose_tags; /* of keys of the cluster's droplets (contact.h), and on nothing */
};

struct boot_records {
	struct api api;
	bool open;
};

struct boot {
	struct pool *pool;
	const struct cluster *cluster;
	struct boot_options options;
	const char *mark;
	bool destroying;
	bool watches_senders;    /* boot_options.senders answered when it was planned */
	struct boot_node *nodes; /* in the order of the file */
	size_t n_nodes;
	const char *vip; /* the reserved IP's address, NULL: none, or none yet */
	struct boot_cloud cloud;
	struct boot_records records;
	struct boot_step *steps;
	size_t n_steps;
	size_t alloc_steps;
	const char **notes; /* what a person should know, and no step does */
	size_t n_notes;
	size_t alloc_notes;
};

#define BOOT_INIT                                                                                  \
	{                                                                                          \
		.pool = NULL                                                                       \
	}

/* ERR_USAGE where the cluster has no such node. */
const struct node *boot_need_node(const struct cluster *cluster, const char *name, struct err *err);
/* The cluster must outlive it. ERR_USAGE where no provider is named, or a token is missing. */
int boot_open(struct boot *boot, const struct cluster *cluster, const struct boot_options *options,
	      struct err *err);
void boot_release(struct boot *boot);
/* Looks, and fills the steps: to what cluster.yaml says, or to nothing at all. */
int boot_plan(struct boot *boot, struct err *err);
int boot_plan_destroy(struct boot *boot, struct err *err);
/* Does some step take away what may be in use? */
bool boot_interrupts(const struct boot *boot);
/* Carries the steps out. On an error those that were begun are waited for, and the rest is left. */
int boot_apply(struct boot *boot, struct err *err);
/* Dollars a month: of what there is now, and of what there will be. */
void boot_prices(const struct boot *boot, double *ret_now, double *ret_then);

const char *boot_verb_name(enum boot_verb verb);
const char *boot_state_name(enum boot_state state);

#endif
