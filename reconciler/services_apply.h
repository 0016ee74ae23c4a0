/*
 * Carrying out what the plan says of containers.
 *
 * services_prepare() comes before anything live is touched: compose's own check of the files, the
 * network, the images, and, where a service can have it, a new container beside the old one that
 * has to show that it works. It comes back with *ret_waits set while that takes its time: the pass
 * ends, the old containers serve, and the next pass asks again.
 *
 * services_apply() comes between the files and the programs, services_remove() behind the programs.
 */
#ifndef RECONCILER_SERVICES_APPLY_H
#define RECONCILER_SERVICES_APPLY_H

#include "reconciler/services.h"
#include "reconciler/watch.h"
#include "render/facts.h"

struct service_work {
	struct services *services;
	const struct root *root;
	const struct cluster *cluster;
	const struct node *node;
	const struct facts *facts;
	const struct fileset *files;
	const struct service_records *before;
	struct service_records *want;
	struct pool *pool; /* of want */
	const struct watch *watch;
	const struct plan *plan;
	const char *revision;
	const char *key; /* of the revision with its inputs */
	bool may_prove;  /* there is time for a new container beside the old */
	void (*progress)(const struct action *action);
};

/* ERR_CHECK, ERR_HEALTH: the commit's fault. ERR_IMAGE, ERR_DOCKER: tried again, with back-off. */
int services_prepare(const struct service_work *w, const char **ret_waits, struct err *err);
int services_apply(const struct service_work *w, struct err *err);
int services_remove(const struct service_work *w, struct err *err);

#endif
