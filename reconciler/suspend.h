/*
 * A node that a person has told to stay as it is: PATH_SUSPENDED holds the reason. The agent goes on looking and reporting; it
 * changes nothing until the file is gone.
 */
#ifndef RECONCILER_SUSPEND_H
#define RECONCILER_SUSPEND_H

#include "base/err.h"
#include "base/pool.h"
#include "reconciler/root.h"

#define SUSPEND_REASON_MAX 200

int suspend_node(const struct root *root, const char *reason, struct err *err);
/* That it was not suspended is no error. */
int suspend_resume(const struct root *root, struct err *err);
/* 1 and the reason, in the pool; 0: not suspended; -1: it cannot be told. */
int suspend_read(const struct root *root, struct pool *pool, const char **ret_reason,
		 struct err *err);

#endif
