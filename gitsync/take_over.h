/* The pack of a worker's folder into the mirror, which is the agent's alone. */
#ifndef GITSYNC_TAKE_OVER_H
#define GITSYNC_TAKE_OVER_H

#include "base/err.h"
#include "gitsync/mirror.h"
#include "gitsync/worker.h"

/* Is there a pack in it that a fetch has brought? 1, 0 or -1. */
int worker_folder_has_pack(const struct worker_folder *folder, struct err *err);
/* Copies pack-NAME.pack and .idx into the mirror's folder of objects, durably, and leaves nothing where it fails. NAME is a
 * worker's word: 40 hex digits or an error. The folder is the one that the worker read from: a mirror that was made anew
 * meanwhile gets nothing. */
int take_over_pack(struct mirror *m, int objects_fd, const struct worker_folder *folder,
		   const char *name, struct err *err);

#endif
