#include "reconciler/plan_programs.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "reconciler/runtime.h"
#include "spec/model.h"

/*
 * In the order in which they are changed. Units are read before they are started; a firewall lets in
 * what the others will listen for; Caddy knows a new service before HAProxy sends anybody there; and
 * keepalived takes the address when there is somebody to answer.
 */
static const enum program managed[] = {
	PROGRAM_SYSTEMD, PROGRAM_FIREWALL, PROGRAM_CADDY, PROGRAM_HAPROXY, PROGRAM_KEEPALIVED,
};

/* Which of them may run in more than one way, so that a change of runtime moves them. */
static const enum program moving[] = {PROGRAM_CADDY, PROGRAM_HAPROXY};

static bool is_wanted(const struct watch *watch, enum program program)
{
	return watch && watch_config(watch, program)[0] != '\0';
}

/* Units are files: they have no configuration that could be asked for. */
static bool is_asked(enum program program)
{
	return program != PROGRAM_SYSTEMD;
}

/* --- is it right? -------------------------------------------------------------------- */

static bool is_right(const struct runtime_context *rt, const struct watch *watch,
		     enum program program)
{
	const struct runtime_ops *ops = runtime_ops_of(rt->root, watch->at.runtime, program);
	bool wanted = is_wanted(watch, program);
	struct program_state state;
	struct err ignored;

	if (!ops && program == PROGRAM_FIREWALL)
		return true;
	/* What nobody wants was seen to when the wish changed; only what was left by an agent that
	 * was killed is news. */
	if (!wanted && (!ops || !ops->owns_all))
		return true;
	return ops && ops->observe(rt, program, &state, &ignored) == 0 && !state.amiss &&
	       state.running == wanted && strcmp(state.config, watch_config(watch, program)) == 0;
}

bool programs_are_right(const struct root *root, const struct watch *watch)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct runtime_context rt = {.root = root, .pool = pool, .at = &watch->at};

	for (size_t i = 0; i < ARRAY_SIZE(managed); i++)
		if (is_asked(managed[i]) && !is_right(&rt, watch, managed[i]))
			return false;
	return true;
}

/* --- the plan ------------------------------------------------------------------------ */

struct row {
	struct plan *plan;
	const struct program_ground *ground;
	enum program program;
	const struct runtime_ops *ops;
	const struct endpoints *at;
	struct program_state state;
};

static bool was_here_before(const struct row *row)
{
	const struct watch *before = row->ground->before;

	return is_wanted(before, row->program) && before->at.runtime == row->at->runtime;
}

static bool is_ours(const struct row *row)
{
	return row->state.running &&
	       (row->ops->owns_all || row->state.config[0] || was_here_before(row));
}

/* By where it will be, and where it was before: its port may be what changes. */
static int observe(struct row *row, struct err *err)
{
	const struct watch *before = row->ground->before;
	struct runtime_context rt = {.root = row->ground->root,
				     .pool = row->plan->pool,
				     .at = row->at};

	if (row->ops->observe(&rt, row->program, &row->state, err) < 0)
		return -1;
	if (!row->state.running || row->state.answers || !before ||
	    before->at.runtime != row->at->runtime)
		return 0;
	rt.at = &before->at;
	return row->ops->observe(&rt, row->program, &row->state, err);
}

static void add(const struct row *row, enum action_kind kind, const char **because,
		size_t n_because)
{
	const struct action action = {
		.kind = kind,
		.program = row->program,
		.what = program_name(row->program),
		.because = because,
		.n_because = n_because,
		.ops = row->ops,
		.at = row->at,
	};

	plan_add(row->plan, &action);
}

static void add_alone(const struct row *row, enum action_kind kind, const char *because)
{
	const char **one = pool_alloc(row->plan->pool, sizeof(*one));

	one[0] = because;
	add(row, kind, one, 1);
}

static void add_for_change(const struct row *row, enum action_kind kind)
{
	size_t n;
	const char **because = causes_for(row->ground->causes, NULL, &n);

	add(row, kind, because, n);
}

/* A reload for the sake of files has their causes; else what was seen of the program is the cause.
 */
static void plan_running(const struct row *row)
{
	const struct program_state *state = &row->state;
	const struct action *file = plan_touches(row->plan, row->program);
	const struct action *restart =
		row->ops->restart_for ? plan_touches(row->plan, row->ops->restart_for) : NULL;
	const char *want = watch_config(row->ground->want, row->program);

	if (!state->answers && !was_here_before(row))
		add_for_change(row, ACTION_START);
	else if (!state->answers)
		add_alone(row, ACTION_START, DRIFT_MARK "it does not answer");
	else if (restart)
		add(row, ACTION_START, restart->because, restart->n_because);
	else if (file)
		add(row, ACTION_RELOAD, file->because, file->n_because);
	else if (row->ground->unfinished)
		add_alone(row, ACTION_RELOAD, row->ground->unfinished);
	else if (strcmp(state->config, want) != 0)
		add_alone(row, ACTION_RELOAD, DRIFT_MARK "it runs another configuration");
	else if (state->amiss)
		add_alone(row, ACTION_RELOAD,
			  pool_printf(row->plan->pool, DRIFT_MARK "%s", state->amiss));
}

static void plan_wanted(const struct row *row)
{
	if (row->state.running)
		plan_running(row);
	else if (was_here_before(row))
		add_alone(row, ACTION_START, DRIFT_MARK "it was not running");
	else
		add_for_change(row, ACTION_START);
}

/* Units are read anew where a file of theirs changes, and where it is not known whether they were. */
static void plan_units(const struct row *row)
{
	const struct action *file = plan_touches(row->plan, PROGRAM_SYSTEMD);

	if (file)
		add(row, ACTION_RELOAD, file->because, file->n_because);
	else if (row->ground->unfinished)
		add_alone(row, ACTION_RELOAD, row->ground->unfinished);
}

/* The machine's, and not of a folder: what is below --root has rules to be read, and nobody applies
 * them. */
static bool is_only_rendered(const struct row *row)
{
	if (row->program != PROGRAM_FIREWALL || row->ops)
		return false;
	if (plan_touches(row->plan, PROGRAM_FIREWALL))
		log_info("the rules of the firewall are written and, below --root, not applied");
	return true;
}

static struct row row_of(struct plan *plan, const struct program_ground *ground,
			 enum program program, const struct endpoints *at)
{
	return (struct row) {
		.plan = plan,
		.ground = ground,
		.program = program,
		.ops = runtime_ops_of(ground->root, at->runtime, program),
		.at = at,
	};
}

/* What no longer runs gives its port away first: Caddy may want it. */
static int plan_stops(struct plan *plan, const struct program_ground *ground, struct err *err)
{
	for (size_t i = ARRAY_SIZE(managed); i-- > 0;) {
		struct row row = row_of(plan, ground, managed[i], &ground->want->at);

		if (!is_asked(row.program) || is_wanted(ground->want, row.program) || !row.ops ||
		    !row.ops->stop)
			continue;
		if (observe(&row, err) < 0)
			return -1;
		if (is_ours(&row))
			add_for_change(&row, ACTION_STOP);
	}
	return 0;
}

/* The same program under another runtime makes room: both want one port. */
static int plan_leftovers(struct plan *plan, const struct program_ground *ground,
			  enum program program, struct err *err)
{
	for (int runtime = 0; runtime <= RUNTIME_PROCESS; runtime++) {
		struct endpoints *at;
		struct row row;

		if (runtime == ground->want->at.runtime)
			continue;
		at = pool_alloc(plan->pool, sizeof(*at));
		*at = endpoints_under(&ground->want->at, ground->root, runtime, plan->pool);
		row = row_of(plan, ground, program, at);
		if (!row.ops)
			continue;
		if (observe(&row, err) < 0)
			return -1;
		if (was_here_before(&row) && (row.state.running || row.state.boots))
			add_for_change(&row, ACTION_STOP);
		else if (is_ours(&row))
			add_alone(&row, ACTION_STOP,
				  ground->unfinished ? ground->unfinished
						     : DRIFT_MARK "another runtime's runs, too");
	}
	return 0;
}

static bool is_moving(enum program program)
{
	for (size_t i = 0; i < ARRAY_SIZE(moving); i++)
		if (moving[i] == program)
			return true;
	return false;
}

int plan_programs(struct plan *plan, const struct program_ground *ground, struct err *err)
{
	if (plan_stops(plan, ground, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(managed); i++) {
		struct row row = row_of(plan, ground, managed[i], &ground->want->at);

		if (is_moving(row.program) && plan_leftovers(plan, ground, row.program, err) < 0)
			return -1;
		if (row.program == PROGRAM_SYSTEMD && row.ops)
			plan_units(&row);
		if (!is_wanted(ground->want, row.program) || is_only_rendered(&row))
			continue;
		if (!row.ops)
			return err_set(err, ERR_CONFIG, "nothing here runs %s",
				       program_name(row.program));
		if (observe(&row, err) < 0)
			return -1;
		plan_wanted(&row);
	}
	return 0;
}
