/* From what was seen of the programs and services to the levels of health (reconciler/health.h). */
#ifndef RECONCILER_LEVELS_H
#define RECONCILER_LEVELS_H

#include "reconciler/health.h"
#include "reconciler/observe.h"

/* seen NULL: nothing could be looked at. Fills all but the infrastructure's. */
void levels_judge(const struct observation *seen, const struct watch *watch,
		  const struct probe *probes, struct pool *pool,
		  struct level_health levels[LEVEL_COUNT]);
/* The first level that a commit may have made ill; NULL where all are well. */
const struct level_health *levels_worst(const struct level_health levels[LEVEL_COUNT]);

#endif
