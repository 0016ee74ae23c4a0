/* What the compose files of services and of the ingress share. Only render/ includes this. */
#ifndef RENDER_COMPOSE_H
#define RENDER_COMPOSE_H

#include "render/target.h"
#include "render/yaml_writer.h"

void compose_limits(struct yaml_writer *y, const struct resources *resources);
/* Where container output goes: rotated by Docker. */
void compose_logging(struct yaml_writer *y);
/* The cluster's network, as a compose file names it. */
#define COMPOSE_EDGE "dynia_edge"
void compose_network(const struct render_input *in, struct yaml_writer *y);
/* `surge`: published where Docker finds a free port. */
void compose_ports(const struct render_input *in, struct yaml_writer *y,
		   const struct service *service, bool surge);
void compose_healthcheck(struct yaml_writer *y, const struct health *health);
/* compose_override.c: beside the user's own file. */
int compose_override(const struct render_input *in, const struct service *service,
		     struct fileset *set, struct err *err);
/* Closes the document, and adds it to the set. */
int compose_add(const struct render_input *in, struct fileset *set, struct yaml_writer *y,
		const struct out_file *file, struct err *err);

/* What the label LABEL_INGRESS says of HAProxy's or Caddy's container (runtime container). */
const char *ingress_label(struct pool *pool, const char *root, const char *program);

#endif
