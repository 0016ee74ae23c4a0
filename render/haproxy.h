/* The parts of haproxy.cfg, one after the other into one writer. Only render/haproxy*.c include
 * this. */
#ifndef RENDER_HAPROXY_H
#define RENDER_HAPROXY_H

#include "render/target.h"
#include "render/writer.h"

/* Services that run on the same nodes, but not on all. */
struct placement {
	const char *backend;
	const char *nodes; /* '1' for each node that has them, '0' for each other */
	const struct service **services;
	size_t n_services;
};

struct haproxy {
	const struct render_input *in;
	struct conf_writer *w;
	const char **addresses; /* of the nodes, NULL where unknown */
	struct placement *placements;
	size_t n_placements;
	const char *default_backend;
};

#define BACKEND_CADDY "be_caddy"
#define BACKEND_ACME "be_acme"

/* A file in HAProxy's folder; the absolute path, with the root, that haproxy.cfg names. */
const char *haproxy_file(const struct render_input *in, const char *name);
void haproxy_add_file(const struct render_input *in, struct fileset *set, const char *name,
		      const char *data, size_t len, bool secret);
/* One prefix a line, as HAProxy reads a list with -f. */
void haproxy_add_list(const struct render_input *in, struct fileset *set, const char *name,
		      const char *const *prefixes, size_t n);

/* haproxy_pages.c: the error pages, and the lines of `defaults` that name them. */
void haproxy_pages(struct haproxy *h, struct fileset *set);
/* haproxy_frontend.c */
void haproxy_local_health(struct haproxy *h);
int haproxy_local_stats(struct haproxy *h, bool *ret_secret, struct err *err);
void haproxy_public(struct haproxy *h, struct fileset *set);
/* haproxy_route.c: from the Host header to the nodes that have the service. */
void haproxy_find_placements(struct haproxy *h);
void haproxy_routes(struct haproxy *h);
void haproxy_backends(struct haproxy *h);

#endif
