/* A revision on its way to the node: loaded, rendered, and compared with what is there. Only pass.c
 * uses this. */
#ifndef RECONCILER_CANDIDATE_H
#define RECONCILER_CANDIDATE_H

#include "reconciler/agent.h"
#include "reconciler/node_facts.h"
#include "reconciler/plan.h"
#include "render/fileset.h"
#include "spec/load.h"

struct candidate {
	struct pool *pool;
	char revision[GIT_OID_HEX];
	char key[SHA256_HEX_SIZE]; /* of the revision with its inputs */
	struct spec *spec;
	const struct cluster *cluster;
	const struct node *node;
	struct fileset files;
	struct index want;
	struct watch watch;
	struct service_records containers;
	struct plan plan;
};

/* What a plan is made against. */
struct ground {
	struct index *now;      /* with drift; what a cut-off apply may have written is in it */
	const char *unfinished; /* the apply that did not get to its end, as a cause; NULL: none */
};

void candidate_init(struct candidate *c);
void candidate_release(struct candidate *c);
/* Loads and renders. ERR_CONFIG: this commit cannot be had here, whoever tries. */
int candidate_load(struct candidate *c, struct agent *agent, const char *revision, struct err *err);
bool candidate_needs_peers(const struct candidate *c);
/* Says in nf which certificates count. */
int candidate_render(struct candidate *c, struct node_facts *nf, struct err *err);
/* Fills the plan: files, then programs. */
int candidate_plan(struct candidate *c, struct agent *agent, const struct ground *ground,
		   const struct node_facts *nf, struct err *err);

#endif
