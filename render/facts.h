/*
 * What rendering knows besides the repository: the node's own findings, the addresses that the
 * other nodes published, and its secrets. The same commit, node and facts give the same bytes.
 */
#ifndef RENDER_FACTS_H
#define RENDER_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "spec/model.h"

struct peer_fact {
	const char *name;
	const char *address;
	const char *public_address;
};

/* A service that is met at another port for a while. */
struct moved_service {
	const char *name;
	int64_t port;
};

struct facts {
	const char *root;    /* put before every path that is written: "" on a real node, --root's
				folder otherwise */
	const char *program; /* the dynia that keepalived calls: "/usr/bin/dynia" */
	bool ipv6;           /* the kernel has IPv6: bind there too */
	const char
		*certificates; /* digest of the PEM files in the certificate folder, "" where there
				  are none; a new one is a new configuration, so HAProxy loads it */
	const char *const *certificate_files; /* those of them that HAProxy can load, by name */
	size_t n_certificate_files;
	const struct peer_fact *peers; /* from the status refs, this node's own included */
	size_t n_peers;
	const struct moved_service *moved; /* whose new container proves itself: Caddy goes there */
	size_t n_moved;
	/* The secret's value or NULL. secret itself NULL: nobody knows any (plan, render on a
	 * laptop); then its place holds
	 * "(secret NAME)", which works nowhere. */
	const char *(*secret)(void *arg, const char *name);
	void *secret_arg;
};

/* Of a machine that nobody has looked at: for commands that render elsewhere than on the node. */
struct facts facts_elsewhere(const char *root);
/* The node's address: cluster.yaml's, else the published one, else NULL. */
const char *facts_address(const struct facts *facts, const struct node *node);
/* Where this node's own programs meet: its address where that is a loopback address (several nodes
 * on one machine), else 127.0.0.1. */
const char *facts_loopback(const struct facts *facts, const struct node *node);
/* Where the service is published. */
int64_t facts_port(const struct facts *facts, const struct service *service);
/* NULL where every address of the machine is to be listened on; the address itself where it is a
 * loopback address. */
const char *facts_bind_address(const struct facts *facts, const struct node *node);

#endif
