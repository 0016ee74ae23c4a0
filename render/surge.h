/* The compose file of a container that shows that it works beside the one it is to replace: as the
 * service's own, in a folder of its own, published where Docker finds a free port. */
#ifndef RENDER_SURGE_H
#define RENDER_SURGE_H

#include "base/err.h"
#include "render/facts.h"
#include "render/fileset.h"

/* `folder` is where its files go, without the root. */
int render_surge(const struct cluster *cluster, const struct node *node, const struct facts *facts,
		 const struct service *service, const char *folder, struct fileset *set,
		 struct err *err);

#endif
