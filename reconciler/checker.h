/*
 * Each program's own checker, before anything is replaced. The configurations are rendered once
 * more with PATH_CHECK as their root, so that every path in them leads into a copy, and the checker
 * sees what the program will.
 */
#ifndef RECONCILER_CHECKER_H
#define RECONCILER_CHECKER_H

#include "base/err.h"
#include "reconciler/plan.h"
#include "reconciler/root.h"
#include "render/facts.h"
#include "spec/model.h"

/* Checks the programs whose files the plan changes. ERR_CHECK with the program's last words. */
int check_plan(const struct root *root, const struct plan *plan, const struct cluster *cluster,
	       const struct node *node, const struct facts *facts, struct err *err);

#endif
