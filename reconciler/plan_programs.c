#include "reconciler/plan_programs.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "reconciler/runtime.h"

/* In the order in which they are changed: Caddy knows a new service before HAProxy sends anybody
 * there. */
static const enum program managed[] = {PROGRAM_CADDY, PROGRAM_HAPROXY};

static bool is_wanted(const struct watch *watch, enum program program)
{
	return watch && watch_config(watch, program)[0] != '\0';
}

/* --- is it right? -------------------------------------------------------------------- */

static bool is_right(const struct runtime_ops *ops, const struct runtime_context *rt,
		     const struct watch *watch, enum program program)
{
	struct program_state state;
	struct err ignored;

	return ops->observe(rt, program, &state, &ignored) == 0 &&
	       state.running == is_wanted(watch, program) &&
	       strcmp(state.config, watch_config(watch, program)) == 0;
}

bool programs_are_right(const struct root *root, const struct watch *watch)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct runtime_context rt = {.root = root, .pool = pool, .at = &watch->at};
	struct err ignored;
	const struct runtime_ops *ops = runtime_find(watch->at.runtime, &ignored);
	bool right = ops != NULL;

	for (size_t i = 0; right && i < ARRAY_SIZE(managed); i++)
		right = is_right(ops, &rt, watch, managed[i]);
	return right;
}

/* --- the plan ------------------------------------------------------------------------ */

/* By where it will be, and where it was before: its port may be what changes. */
static int observe(const struct plan *plan, const struct program_ground *ground,
		   const struct runtime_ops *ops, enum program program, struct program_state *ret,
		   struct err *err)
{
	struct runtime_context rt = {.root = ground->root,
				     .pool = plan->pool,
				     .at = &ground->want->at};

	if (ops->observe(&rt, program, ret, err) < 0)
		return -1;
	if (!ret->running || ret->answers || !ground->before)
		return 0;
	rt.at = &ground->before->at;
	return ops->observe(&rt, program, ret, err);
}

static void add(struct plan *plan, enum action_kind kind, enum program program,
		const char **because, size_t n_because)
{
	const struct action action = {
		.kind = kind,
		.program = program,
		.what = program_name(program),
		.because = because,
		.n_because = n_because,
	};

	plan_add(plan, &action);
}

static void add_alone(struct plan *plan, enum action_kind kind, enum program program,
		      const char *because)
{
	const char **one = pool_alloc(plan->pool, sizeof(*one));

	one[0] = because;
	add(plan, kind, program, one, 1);
}

/* A reload for the sake of files has their causes; else what was seen of the program is the cause.
 */
static void plan_running(struct plan *plan, const struct program_ground *ground,
			 enum program program, const struct program_state *state)
{
	const struct action *file = plan_touches(plan, program);
	bool right = strcmp(state->config, watch_config(ground->want, program)) == 0;

	if (!state->answers)
		add_alone(plan, ACTION_START, program, DRIFT_MARK "it does not answer");
	else if (file)
		add(plan, ACTION_RELOAD, program, file->because, file->n_because);
	else if (ground->unfinished)
		add_alone(plan, ACTION_RELOAD, program, ground->unfinished);
	else if (!right)
		add_alone(plan, ACTION_RELOAD, program, DRIFT_MARK "it runs another configuration");
}

static void plan_program(struct plan *plan, const struct program_ground *ground,
			 enum program program, const struct program_state *state)
{
	bool wanted = is_wanted(ground->want, program);
	const char **because;
	size_t n;

	if (wanted && state->running) {
		plan_running(plan, ground, program, state);
	} else if (wanted && is_wanted(ground->before, program)) {
		add_alone(plan, ACTION_START, program, DRIFT_MARK "it was not running");
	} else if (wanted || state->running) {
		because = causes_for(ground->causes, NULL, &n);
		add(plan, wanted ? ACTION_START : ACTION_STOP, program, because, n);
	}
}

int plan_programs(struct plan *plan, const struct program_ground *ground, struct err *err)
{
	const struct runtime_ops *ops = runtime_find(ground->want->at.runtime, err);

	for (size_t i = 0; ops && i < ARRAY_SIZE(managed); i++) {
		struct program_state state;

		if (observe(plan, ground, ops, managed[i], &state, err) < 0)
			return -1;
		plan_program(plan, ground, managed[i], &state);
	}
	return ops ? 0 : -1;
}
