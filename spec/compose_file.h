/*
 * A user's own compose file: what of it Dynia has to understand. It is used as it is; but what a
 * node cannot do (build an image), or what would leave the service's folder, is refused here with
 * its place.
 *
 * A merge key ("<<") is followed; what is set by a variable ("${...}") is known to compose alone.
 */
#ifndef SPEC_COMPOSE_FILE_H
#define SPEC_COMPOSE_FILE_H

#include "base/diag.h"
#include "base/hash.h"
#include "spec/model.h"

/* The value of a key of one of its services, also where a merge key brings it; or NULL. */
const struct yaml_node *compose_get(const struct yaml_node *map, const char *key);
/* Is the service left out of `up`? It has profiles. */
bool compose_is_optional(const struct yaml_node *part);
/* Does it end when its work is done? It has no restart policy. */
bool compose_runs_once(const struct yaml_node *part);
void compose_check(const struct service *service, struct pool *pool, struct diags *diags);
/* Adds all that a container of that part is made from: its own keys, those of the file that concern
 * every part, and the contents of the service's files that it mounts or reads. True where there are
 * such files; their state alone goes to ret_files. */
bool compose_digest(const struct service *service, const struct yaml_node *part,
		    struct sha256 *state, char ret_files[SHA256_HEX_SIZE]);

#endif
