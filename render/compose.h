/* What the compose files of services and of the ingress share. Only render/ includes this. */
#ifndef RENDER_COMPOSE_H
#define RENDER_COMPOSE_H

#include "render/target.h"
#include "render/yaml_writer.h"

/* Whether the file's version has the limits beside the image, or (3.x) under `deploy`. */
void compose_limits(struct yaml_writer *y, const struct resources *resources, bool deploy);
/* Where container output goes: rotated by Docker. */
void compose_logging(struct yaml_writer *y);
/* Closes the document, and adds it to the set. */
int compose_add(const struct render_input *in, struct fileset *set, struct yaml_writer *y,
		const struct out_file *file, struct err *err);

#endif
