/*
 * Which program starts, reloads or stops, and why: one row of a table a program, in the order in
 * which they are changed. It looks at each program as its runtime finds it (reconciler/runtime.h),
 * and adds to a plan that has the files already, for a changed file is a reason to reload who reads
 * it.
 *
 *	const struct program_ground ground = {.root = …, .want = &watch, .before = …, .causes = …};
 *	plan_programs(&plan, &ground, err);
 */
#ifndef RECONCILER_PLAN_PROGRAMS_H
#define RECONCILER_PLAN_PROGRAMS_H

#include <stdbool.h>

#include "base/err.h"
#include "reconciler/causes.h"
#include "reconciler/plan.h"
#include "reconciler/root.h"
#include "reconciler/watch.h"

/* What a plan of programs is made against. */
struct program_ground {
	const struct root *root;
	const struct watch *want;
	const struct watch *before;  /* what was applied last; NULL: nothing */
	const char *unfinished;      /* the apply that did not get to its end; NULL: none */
	const struct causes *causes; /* of the change, for what only starts or stops */
};

/* Adds to the plan behind its files. Fails where the node cannot be looked at. */
int plan_programs(struct plan *plan, const struct program_ground *ground, struct err *err);
/* Does each program run with its configuration, and nothing that should not? For a pass that has
 * nothing else to do. */
bool programs_are_right(const struct root *root, const struct watch *watch);

#endif
