/*
 * What a node finds out about itself, and what the other nodes published: the facts that rendering
 * takes besides the commit. inputs_ are the same facts as labelled texts, so that a change of one
 * can be named as a cause, and all of them together be compared with what was applied last.
 */
#ifndef RECONCILER_NODE_FACTS_H
#define RECONCILER_NODE_FACTS_H

#include <ifaddrs.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/pool.h"
#include "gitsync/mirror.h"
#include "reconciler/causes.h"
#include "reconciler/certificate.h"
#include "reconciler/root.h"
#include "reconciler/secrets.h"
#include "render/facts.h"

/* Which machine this is; for the status. */
struct machine {
	const char *arch;
	const char *os;
	int64_t memory_bytes;
	const char *address; /* see machine_address() */
};

void machine_look(struct pool *pool, struct machine *ret);
/* Among a machine's addresses, as getifaddrs(3) lists them, the one on the nodes' own network: the
 * first private one, rather of an interface that has no public one. DigitalOcean puts an "anchor"
 * beside the public address, at which no other node is heard. NULL where there is none. */
const char *machine_address(const struct ifaddrs *list, struct pool *pool);

/* The addresses in the status refs of the cluster. A status that cannot be read counts as none. */
int peers_read(struct mirror *m, const char *cluster, struct pool *pool, struct peer_fact **ret,
	       size_t *ret_n, struct err *err);

/* Labels of the inputs that another version of the program has another value of. */
#define INPUT_VERSION "dynia"
#define INPUT_PROGRAM "program"

struct node_facts {
	struct facts facts;
	struct secrets secrets;
	struct certificates certificates;        /* of runtimes `container` and `process` */
	struct certificates system_certificates; /* of runtime `system` */
	struct machine machine;
	struct peer_fact *peers;
	size_t n_peers;
	json_t *inputs; /* {"label": "value"} */
};

void node_facts_release(struct node_facts *nf);
/* Everything; m NULL or !with_peers leaves the others' addresses out. `ret` must not move
 * afterwards. */
int node_facts_gather(const struct root *root, struct mirror *m, const char *cluster,
		      const char *node, bool with_peers, struct pool *pool, struct node_facts *ret,
		      struct err *err);
/* Which of the certificate folders counts: known once the cluster is. */
const struct certificates *node_certificates(const struct node_facts *nf, int runtime);
/* Names what differs between two inputs, as causes of the node's; `from` NULL: nothing. Values of
 * secrets are never in inputs. */
void inputs_causes(const json_t *from, const json_t *to, struct causes *ret);

#endif
