/*
 * Carries out a plan: journal, files, programs, index. What a kill or a power cut leaves behind at
 * any point is found by the next pass through the journal (reconciler/index.h), and brought to a
 * whole generation.
 */
#ifndef RECONCILER_APPLY_H
#define RECONCILER_APPLY_H

#include <stdbool.h>

#include "base/err.h"
#include "reconciler/index.h"
#include "reconciler/plan.h"
#include "reconciler/root.h"
#include "reconciler/services_apply.h"
#include "reconciler/watch.h"

struct apply {
	const struct root *root;
	const struct plan *plan;
	const struct index *now; /* what is there; with the drift found */
	struct index
		*want; /* what is wanted; gets its stat members, revision and generation are set */
	const struct watch *watch;           /* the configurations to be loaded */
	bool unfinished;                     /* there is a journal of an apply that was cut off */
	const struct service_work *services; /* NULL: there are no containers */
	void (*progress)(
		const struct action *action); /* before each action on a program, after the files */
};

/* ERR_APPLY: a program did not take its configuration. Other codes: the machine failed. Where files
 * were changed already, the journal stays. */
int apply_plan(const struct apply *apply, struct err *err);

/* Writes generations/N.json and removes all but the newest GENERATIONS_KEEP and the last good one. */
#define GENERATIONS_KEEP 10
int generation_record(const struct root *root, int64_t generation, const char *revision,
		      int64_t at_s, const struct plan *plan, int64_t good, struct err *err);

#endif
