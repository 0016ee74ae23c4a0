/*
 * What the node that holds the address does at the clouds, from time to time and when it has become
 * the holder: the reserved IP is assigned to it, and the records are those of the merged services.
 */
#ifndef BOOTSTRAP_HOLDER_H
#define BOOTSTRAP_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "spec/model.h"

/* The secrets that hold the tokens, on the nodes. */
#define HOLDER_DIGITALOCEAN_SECRET "digitalocean-token"
#define HOLDER_CLOUDFLARE_SECRET "cloudflare-token"

struct holder_tokens {
	const char *digitalocean; /* NULL: not on this node */
	const char *cloudflare;
};

struct holder_result {
	bool moved;     /* the reserved IP has come here */
	size_t records; /* that were changed */
};

/* Has the cluster anything for its holder to do? */
bool holder_has_work(const struct cluster *cluster);
/* Is it this node's? Where there is no address that moves, it is the one with the highest priority.
 */
bool holder_is(const struct cluster *cluster, const struct node *node, bool is_master);
/* Does it: bounded by a few tries and seconds, not by minutes, for there is another look. Records are
 * kept where the cluster names Cloudflare and the token is there. A node whose address is not known
 * keeps its record. The first failure is the error; the rest is done all the same. */
int holder_keep(const struct cluster *cluster, const struct node *node,
		const struct holder_tokens *tokens, struct holder_result *ret, struct err *err);

#endif
