/*
 * Back to an earlier generation by hand, until the branch moves: PATH_ROLLBACK holds the tip that a person does not want, and the
 * commit to be at instead. It counts only as long as the branch's tip is that one.
 */
#ifndef RECONCILER_ROLLBACK_H
#define RECONCILER_ROLLBACK_H

#include <stdint.h>

#include "base/err.h"
#include "gitsync/mirror.h"
#include "reconciler/root.h"

/* generation 0: the newest one of another commit than the one that is applied. ERR_USAGE where there is no such
 * generation, or the node has not seen a branch yet. */
int rollback_order(const struct root *root, int64_t generation, char ret_revision[GIT_OID_HEX],
		   struct err *err);
/* 1 and the commit to be at; 0 where nothing is ordered for this tip (an order for another one is removed); -1 error. */
int rollback_read(const struct root *root, const char *tip, char ret_revision[GIT_OID_HEX],
		  struct err *err);

#endif
