/* The part of the loader that looks at one service as a whole, once its file and its folder have
 * been read. */
#ifndef SPEC_LOAD_SERVICE_H
#define SPEC_LOAD_SERVICE_H

#include "base/diag.h"
#include "base/pool.h"
#include "spec/model.h"

/* Finds out the kind, parses volumes and the compose file, fills in what follows from other values,
 * and reports keys that are missing, exclude one another or have no effect, and paths that are not
 * in the folder. */
void service_resolve(struct service *service, struct pool *pool, struct diags *diags);

/* The name under which the override of a compose file is written beside it. */
#define COMPOSE_OVERRIDE "compose.dynia.yaml"
/* Largest YAML file. */
#define YAML_FILE_MAX ((size_t)1 << 20)

#endif
