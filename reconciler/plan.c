#include "reconciler/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"

static const char *const verbs[] = {
	[ACTION_CREATE] = "create", [ACTION_UPDATE] = "update", [ACTION_RESTORE] = "restore",
	[ACTION_REMOVE] = "remove", [ACTION_START] = "start",   [ACTION_RELOAD] = "reload",
	[ACTION_STOP] = "stop",     [ACTION_RUN] = "create",    [ACTION_RECREATE] = "recreate",
	[ACTION_RESUME] = "start",  [ACTION_DELETE] = "remove",
};

const char *action_verb(enum action_kind kind)
{
	return verbs[kind];
}

void plan_release(struct plan *plan)
{
	free(plan->v);
	plan->v = NULL;
	plan->n = plan->alloc = 0;
}

void plan_add(struct plan *plan, const struct action *action)
{
	struct action *a;

	GROW(plan->v, plan->n, plan->alloc);
	a = &plan->v[plan->n++];
	*a = *action;
	a->what = pool_strdup(plan->pool, action->what);
	a->service = action->service ? pool_strdup(plan->pool, action->service) : NULL;
}

const struct action *plan_touches(const struct plan *plan, enum program program)
{
	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].program == program && plan->v[i].kind <= ACTION_REMOVE)
			return &plan->v[i];
	return NULL;
}

bool action_is_drift(const struct action *action)
{
	return strncmp(action->because[0], DRIFT_MARK, strlen(DRIFT_MARK)) == 0;
}

const char *action_because(struct pool *pool, const struct action *action)
{
	if (action->n_because == 1)
		return action->because[0];
	return pool_printf(pool, "%s (and %zu more)", action->because[0], action->n_because - 1);
}

static void add_file(struct plan *plan, enum action_kind kind, const struct index_entry *entry,
		     const struct out_file *file, const struct causes *causes)
{
	struct action action = {
		.kind = kind,
		.program = entry->program,
		.what = entry->path,
		.service = entry->service,
		.file = file,
	};

	action.because = causes_for(causes, entry->service, &action.n_because);
	plan_add(plan, &action);
}

/* The repository says what it said before, and the file is not as it was left. */
static void add_drift(struct plan *plan, const struct index_entry *was, const struct out_file *file,
		      const char *unfinished)
{
	struct action action = {
		.kind = ACTION_RESTORE,
		.program = was->program,
		.what = was->path,
		.service = was->service,
		.file = file,
		.because = pool_alloc(plan->pool, sizeof(*action.because)),
		.n_because = 1,
	};

	if (unfinished)
		action.because[0] = unfinished;
	else if (was->drift == DRIFT_MISSING)
		action.because[0] = DRIFT_MARK "it was deleted on the node";
	else
		action.because[0] = DRIFT_MARK "it was edited on the node";
	plan_add(plan, &action);
}

static void plan_file(struct plan *plan, const struct index_entry *was,
		      const struct index_entry *want, const struct out_file *file,
		      const struct causes *causes, const char *unfinished)
{
	bool same = was && was->mode == want->mode && strcmp(was->sha256, want->sha256) == 0;

	if (!was)
		add_file(plan, ACTION_CREATE, want, file, causes);
	else if (same && was->drift != DRIFT_NONE)
		add_drift(plan, was, file, unfinished);
	else if (!same)
		add_file(plan, ACTION_UPDATE, want, file, causes);
}

/* Both indexes are sorted by path: one walk over the two. want_index and want hold the same paths
 * in the same order. */
void plan_files(struct plan *plan, const struct index *now, const struct fileset *want,
		const struct index *want_index, const struct causes *causes, const char *unfinished)
{
	size_t i = 0, k = 0;

	while (i < now->n || k < want_index->n) {
		const struct index_entry *was = i < now->n ? &now->v[i] : NULL;
		const struct index_entry *will = k < want_index->n ? &want_index->v[k] : NULL;
		int order = !was ? 1 : !will ? -1 : strcmp(was->path, will->path);

		if (order < 0)
			add_file(plan, ACTION_REMOVE, was, NULL, causes);
		else
			plan_file(plan, order == 0 ? was : NULL, will, &want->v[k], causes,
				  unfinished);
		i += order <= 0;
		k += order >= 0;
	}
}
