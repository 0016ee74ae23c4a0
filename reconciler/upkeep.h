/*
 * The mirror's upkeep (gitsync/upkeep.h) between passes: packing goes on in a child of its own, and what it made superfluous is
 * removed here when no child has the mirror open. Looked at once an hour, and at the end of a `reconcile --once`.
 */
#ifndef RECONCILER_UPKEEP_H
#define RECONCILER_UPKEEP_H

#include <stdint.h>

#include "gitsync/mirror.h"
#include "reconciler/apart.h"

struct agent;

struct upkeep {
	struct apart job;
	int64_t again_ms;         /* clock_ms() */
	char packed[GIT_OID_HEX]; /* a pack that is done, and not pruned by yet */
};

#define UPKEEP_INIT                                                                                \
	{                                                                                          \
		.job = APART_INIT                                                                  \
	}

/* One step of it, where one is due. What goes wrong is logged: nothing but space depends on it. */
void upkeep_tend(struct agent *agent);
/* All of it, where it is due. */
void upkeep_settle(struct agent *agent);

#endif
