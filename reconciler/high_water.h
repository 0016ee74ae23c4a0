/*
 * How far this node has come, so that it only ever goes forward: PATH_HIGH_WATER names the newest commit that was applied
 * here, and a branch that does not contain it is refused. The node's status carries the same commit ("high_water"), so
 * that a disk that was lost, or restored from an old backup, is told by the status ref how far the node had come: such
 * marks are learnt, and the branch must contain each of them.
 *
 * A person on the node may accept another history (PATH_ACCEPTED, an order that the next pass takes): its commit becomes
 * the only mark, and those before are waived, so that a status ref that still names one does not bring it back.
 */
#ifndef RECONCILER_HIGH_WATER_H
#define RECONCILER_HIGH_WATER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "gitsync/mirror.h"
#include "reconciler/root.h"

#define HIGH_WATER_MARKS 8

struct commit_list {
	char v[HIGH_WATER_MARKS][GIT_OID_HEX];
	size_t n;
};

struct high_water {
	struct commit_list marks;  /* the first is what was applied here, or accepted by a person */
	struct commit_list waived; /* newest last */
	char verified
		[GIT_OID_HEX]; /* newest commit whose signature was found good here; "" for none */
};

/* 1 read, 0 there is none, -1 unreadable or damaged (ret is then empty). */
int high_water_read(const struct root *root, struct high_water *ret, struct err *err);
int high_water_write(const struct root *root, const struct high_water *hw, struct err *err);
/* The commit is applied, and contains all the marks: it takes their place. True where that changed something. */
bool high_water_advance(struct high_water *hw, const char *oid);
/* Something else than this disk says that the node had come to this commit. True where that is news; what is no commit's
 * id, or was waived, is none. */
bool high_water_learn(struct high_water *hw, const char *oid);

/* Writes the order to take this commit's history for the right one. */
int accept_history_order(const struct root *root, const char *oid, struct err *err);
/* 1 and the commit that is ordered, 0 for none, -1. */
int accept_history_read(const struct root *root, char ret_oid[GIT_OID_HEX], struct err *err);
/* Carries it out, durably, and removes it. */
int accept_history_take(const struct root *root, struct high_water *hw, const char *oid,
			struct err *err);

#endif
