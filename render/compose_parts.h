/*
 * What tells Dynia's containers apart: the labels that they carry, the names of their projects, and
 * the digest of all that a container is made from. Two containers with one digest need not replace
 * one another; so a comment in a compose file restarts nothing, and a changed file only what mounts
 * it. Only render/compose*.c include this; the labels are read by the reconciler.
 */
#ifndef RENDER_COMPOSE_PARTS_H
#define RENDER_COMPOSE_PARTS_H

#include "base/hash.h"
#include "render/labels.h"
#include "render/target.h"
#include "render/yaml_writer.h"

/* What goes into a part's labels besides the service. */
struct part_labels {
	const char *spec;  /* "" while the digest is made */
	const char *files; /* state of the mounted files; NULL: none are mounted */
	bool surge;
};

void compose_labels(const struct render_input *in, struct yaml_writer *y,
		    const struct service *service, const struct part_labels *labels);
/* The state of the files that an image's volumes show. False where there are none. */
bool compose_mounted_files(const struct service *service, char ret[SHA256_HEX_SIZE]);
/* "dynia-api"; below a root, several nodes share one Docker: "dynia-1a2b3c4d-api". */
const char *compose_project(struct pool *pool, const char *root, const char *service, bool surge);
/* A row for the set: its parts are filled in by the caller. */
struct out_service *compose_add_service(const struct render_input *in, struct fileset *set,
					const struct service *service, size_t n_parts);

#endif
