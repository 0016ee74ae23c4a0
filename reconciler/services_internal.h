/* What the files of services share. Only reconciler/services*.c, surge.c include this. */
#ifndef RECONCILER_SERVICES_INTERNAL_H
#define RECONCILER_SERVICES_INTERNAL_H

#include "gitsync/mirror.h"
#include "reconciler/services.h"

#define LOOKS_MAX 4096

/* What a container said when it was asked for itself. */
struct look {
	char id[65];
	int64_t restarts;
	int64_t at_ms;
	bool running;
};

/* services_apply.c: what surge.c needs, too. */
struct service_work;
struct compose;
const struct out_service *service_row(const struct service_work *w, const char *name);
/* Does it make a container? */
bool action_makes(const struct action *action);
/* How compose is run for the service; `before` stands before its folder. */
struct compose service_compose(const struct service_work *w, const struct out_service *row,
			       const char *before);
/* Has compose make it. ERR_DOCKER where Docker went away meanwhile, ERR_APPLY where it is the service's fault. */
int service_up(const struct service_work *w, const struct compose *compose, struct err *err);

struct services {
	struct docker docker;
	struct pool *pool; /* of what was seen */
	struct container_list seen;
	bool has_seen;
	struct err blind; /* why nothing could be seen in this pass */
	struct look *looks;
	size_t n_looks;
	size_t looks_alloc;
	bool plugin; /* `docker compose` is there */
	bool plugin_known;
	/* What could not be prepared: not tried again before a time that grows. */
	char tried[SHA256_HEX_SIZE]; /* the state that it was for */
	unsigned failures;
	int64_t again_at_ms;
	struct err failure;
	/* New containers that run beside the old ones. */
	char proving[SHA256_HEX_SIZE]; /* for which state; "": none */
	int64_t until_ms;
};

#endif
