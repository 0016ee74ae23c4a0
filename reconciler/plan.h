/*
 * What has to be done to come from what is there to what is wanted, each action with its causes.
 * The same code makes the plan of a pass (from the index and the disk) and that of `dynia plan`
 * (from one revision to another).
 */
#ifndef RECONCILER_PLAN_H
#define RECONCILER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/pool.h"
#include "base/strbuf.h"
#include "reconciler/causes.h"
#include "reconciler/index.h"
#include "reconciler/runtime.h"
#include "render/fileset.h"

/* What a cause begins with that was seen on the node. */
#define DRIFT_MARK "drift: "

/* In the order in which a plan carries them out. */
enum action_kind {
	ACTION_CREATE,
	ACTION_UPDATE,
	ACTION_RESTORE, /* the repository did not change, the file did */
	ACTION_REMOVE,
	ACTION_START,
	ACTION_RELOAD,
	ACTION_STOP,
	/* On containers; program is PROGRAM_COMPOSE, and what is the service, or SERVICE/PART. */
	ACTION_RUN,
	ACTION_RECREATE,
	ACTION_RESUME,
	ACTION_DELETE,
};

struct action {
	enum action_kind kind;
	enum program program;
	const char *what;            /* a file's path, or a program's name */
	const char *service;         /* or NULL */
	const struct out_file *file; /* create, update, restore */
	const char **because;
	size_t n_because;
	const struct runtime_ops *ops; /* start, reload, stop: who does it */
	const struct endpoints *at;    /* and where the program is met */
};

struct plan {
	struct pool *pool;
	struct action *v;
	size_t n;
	size_t alloc;
};

#define PLAN_INIT(p)                                                                               \
	{                                                                                          \
		.pool = (p)                                                                        \
	}

void plan_release(struct plan *plan);
/* Its names are copied: the index that they come from does not outlive an apply. */
void plan_add(struct plan *plan, const struct action *action);
/* The files: `now` with the drift that index_verify() found (none for a plan between revisions),
 * `want` with its index `want_index`. Where the file differs and the index does not, the cause is
 * `unfinished` (an apply that did not get to its end), or with NULL the drift. */
void plan_files(struct plan *plan, const struct index *now, const struct fileset *want,
		const struct index *want_index, const struct causes *causes,
		const char *unfinished);
/* Was it done because the node had changed, and not the repository? */
bool action_is_drift(const struct action *action);
/* The first action on a file of this program, or NULL. */
const struct action *plan_touches(const struct plan *plan, enum program program);
/* "create", "update", … */
const char *action_verb(enum action_kind kind);
/* "clusters/…:4 image 1.4.1 → 1.4.2 (and 3 more)", in the pool. */
const char *action_because(struct pool *pool, const struct action *action);

#endif
