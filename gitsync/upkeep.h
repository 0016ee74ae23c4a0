/*
 * The upkeep of the agent's mirror: each fetch adds a pack, each status commit a few loose objects, and a node runs for years.
 * All loose objects and all packs but large ones become one pack. No object is dropped: what a rollback, `dynia history` or a
 * pinned revision may ask for stays, wherever it is written down. It is libgit2's packbuilder, for a node need not have git.
 *
 *	if (mirror_is_cluttered(m))
 *		mirror_pack(m, name, err);        long: in a process of its own
 *	mirror_prune(m, name, err);               short: here, when nobody else has the mirror open
 *
 * Killed or out of power at any moment, every object is still there: what a pack covers is only removed once that is durable,
 * and what came in meanwhile is not covered.
 */
#ifndef GITSYNC_UPKEEP_H
#define GITSYNC_UPKEEP_H

#include <stdbool.h>

#include "base/err.h"
#include "gitsync/mirror.h"

/* Estimated from two folders, as `git gc --auto` does it: more than 40 packs, or about 1,000 loose objects. */
bool mirror_is_cluttered(const struct mirror *m);
/* Writes the pack; ret_name is what its files are called by. Nothing is removed. Needs some 64 MiB of memory, and as much disk
 * as it packs. */
int mirror_pack(struct mirror *m, char ret_name[GIT_OID_HEX], struct err *err);
/* Removes the packs and the loose objects that are wholly in that pack, and opens the mirror anew. No snapshot may be open. */
int mirror_prune(struct mirror *m, const char *name, struct err *err);

#endif
