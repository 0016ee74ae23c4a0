#include "reconciler/candidate.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "reconciler/runtime.h"
#include "render/render.h"

#define DIAGS_LOGGED_MAX 20

void candidate_init(struct candidate *c)
{
	memset(c, 0, sizeof(*c));
	c->pool = pool_new();
	c->plan.pool = c->pool;
	fileset_init(&c->files, c->pool);
	index_init(&c->want);
}

void candidate_release(struct candidate *c)
{
	plan_release(&c->plan);
	fileset_release(&c->files);
	index_release(&c->want);
	spec_free(c->spec);
	pool_free(c->pool);
	memset(c, 0, sizeof(*c));
}

/* --- load ---------------------------------------------------------------------------- */

static int load_spec(struct agent *agent, const char *revision, struct spec **ret,
		     struct diags *diags, struct err *err)
{
	CLEANUP(source_freep) struct source *src = NULL;

	if (snapshot_open(agent->mirror, revision, &src, err) < 0)
		return -1;
	return spec_load(src, agent->cluster, ret, diags, err);
}

/* All of them go to the log; the first stands for them in the status. */
static int refuse(struct diags *diags, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT;

	diags_sort(diags);
	for (size_t i = 0; i < diags->n && i < DIAGS_LOGGED_MAX; i++) {
		CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

		diag_text(&diags->v[i], &line);
		log_error("%s", line.buf);
	}
	diag_text(&diags->v[0], &first);
	if (diags->n == 1)
		return err_set(err, ERR_CONFIG, "%s", first.buf);
	return err_set(err, ERR_CONFIG, "%s (and %zu more: run dynia validate)", first.buf,
		       diags->n - 1);
}

/* What this version renders, plans and checks, but does not run. */
static int check_supported(const struct candidate *c, struct err *err)
{
	for (size_t i = 0; i < c->cluster->n_services; i++) {
		const struct service *s = &c->cluster->services[i];

		if ((s->kind == SERVICE_IMAGE || s->kind == SERVICE_COMPOSE) &&
		    service_on_node(s, c->node))
			return err_set(
				err, ERR_CONFIG,
				"%s: this version of dynia cannot run containers yet: keep the "
				"service off this node with 'nodes:'",
				s->path);
	}
	return 0;
}

int candidate_load(struct candidate *c, struct agent *agent, const char *revision, struct err *err)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;

	memcpy(c->revision, revision, GIT_OID_HEX);
	if (load_spec(agent, revision, &c->spec, &diags, err) < 0)
		return -1;
	if (diags.n)
		return refuse(&diags, err);
	c->cluster = spec_cluster(c->spec, agent->cluster);
	if (!c->cluster)
		return err_set(err, ERR_CONFIG, "the repository has no cluster '%s': see clusters/",
			       agent->cluster);
	c->node = cluster_find_node(c->cluster, agent->node);
	if (!c->node)
		return err_set(err, ERR_CONFIG, "%s has no node '%s': add it to 'nodes:'",
			       c->cluster->path, agent->node);
	c->ops = runtime_find(c->cluster->ingress.runtime, err);
	return c->ops ? check_supported(c, err) : -1;
}

bool candidate_needs_peers(const struct candidate *c)
{
	for (size_t i = 0; i < c->cluster->node_map.n; i++)
		if (!cluster_node(c->cluster, i)->address)
			return true;
	return false;
}

int candidate_render(struct candidate *c, const struct node_facts *nf, struct err *err)
{
	if (render_node(c->cluster, c->node, &nf->facts, &c->files, err) < 0)
		return -1;
	index_from_fileset(&c->want, &c->files);
	watch_from_cluster(c->cluster, c->node, &nf->facts, &c->files, c->pool, &c->watch);
	return 0;
}

/* --- causes -------------------------------------------------------------------------- */

/* The older revision may be gone from the mirror, or have been written for another version: then
 * nothing of it is known, and the change is called a first one. */
static void spec_causes(const struct candidate *c, struct agent *agent, struct causes *ret)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(spec_freep) struct spec *old = NULL;
	struct err ignored;

	if (strcmp(agent->state.revision, c->revision) == 0)
		return;
	if (agent->state.revision[0] &&
	    load_spec(agent, agent->state.revision, &old, &diags, &ignored) == 0 && !diags.n)
		causes_between(spec_cluster(old, agent->cluster), c->cluster, ret);
	else
		causes_between(NULL, c->cluster, ret);
}

static void collect_causes(const struct candidate *c, struct agent *agent,
			   const struct ground *ground, const struct node_facts *nf,
			   struct causes *ret)
{
	spec_causes(c, agent, ret);
	inputs_causes(agent->state.inputs, nf->inputs, ret);
	if (ground->unfinished)
		causes_add(ret, NULL, false, "%s", ground->unfinished);
	/* The same commit and inputs give the same files: where some are news, the memory of them
	 * is gone. */
	if (!ret->n)
		causes_add(ret, NULL, false, "node: its record of what it had applied was lost");
}

/* --- programs ------------------------------------------------------------------------ */

/* In the order in which they are changed: Caddy knows a new service before HAProxy sends anybody
 * there. */
static const enum program ingress_programs[] = {PROGRAM_CADDY, PROGRAM_HAPROXY};

static const char *wanted_config(const struct watch *watch, enum program program)
{
	return program == PROGRAM_HAPROXY ? watch->haproxy_config : watch->caddy_config;
}

bool programs_are_right(const struct root *root, const struct watch *watch)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct runtime_context rt = {.root = root, .pool = pool, .at = &watch->at};
	struct err ignored;
	const struct runtime_ops *ops = runtime_find(watch->at.runtime, &ignored);

	for (size_t i = 0; ops && i < ARRAY_SIZE(ingress_programs); i++) {
		const char *want = wanted_config(watch, ingress_programs[i]);
		struct program_state state;

		if (ops->observe(&rt, ingress_programs[i], &state, &ignored) < 0 ||
		    state.running != (want[0] != '\0') || strcmp(state.config, want) != 0)
			return false;
	}
	return ops != NULL;
}

/* By where it will be, and where it was before: its port may be what changes. */
static int observe_program(const struct candidate *c, const struct agent *agent,
			   enum program program, struct program_state *ret, struct err *err)
{
	struct runtime_context rt = {.root = &agent->root, .pool = c->pool, .at = &c->watch.at};

	if (c->ops->observe(&rt, program, ret, err) < 0)
		return -1;
	if (!ret->running || ret->answers || !agent->state.has_watch)
		return 0;
	rt.at = &agent->state.watch.at;
	return c->ops->observe(&rt, program, ret, err);
}

static void add_program(struct candidate *c, enum action_kind kind, enum program program,
			const char **because, size_t n_because)
{
	struct action action = {
		.kind = kind,
		.program = program,
		.what = program_name(program),
		.because = because,
		.n_because = n_because,
	};

	plan_add(&c->plan, &action);
}

static void add_program_alone(struct candidate *c, enum action_kind kind, enum program program,
			      const char *because)
{
	const char **one = pool_alloc(c->pool, sizeof(*one));

	one[0] = because;
	add_program(c, kind, program, one, 1);
}

/* A reload for the sake of files has their causes; else what was seen of the program is the cause.
 */
static void plan_running(struct candidate *c, const struct ground *ground, enum program program,
			 const struct program_state *state)
{
	const struct action *file = plan_touches(&c->plan, program);
	bool right = strcmp(state->config, wanted_config(&c->watch, program)) == 0;

	if (!state->answers)
		add_program_alone(c, ACTION_START, program, DRIFT_MARK "it does not answer");
	else if (file)
		add_program(c, ACTION_RELOAD, program, file->because, file->n_because);
	else if (ground->unfinished)
		add_program_alone(c, ACTION_RELOAD, program, ground->unfinished);
	else if (!right)
		add_program_alone(c, ACTION_RELOAD, program,
				  DRIFT_MARK "it runs another configuration");
}

static void plan_program(struct candidate *c, const struct agent *agent,
			 const struct ground *ground, const struct causes *causes,
			 enum program program, const struct program_state *state)
{
	bool was_wanted =
		agent->state.has_watch && wanted_config(&agent->state.watch, program)[0] != '\0';
	bool wanted = wanted_config(&c->watch, program)[0] != '\0';
	const char **because;
	size_t n;

	if (wanted && state->running) {
		plan_running(c, ground, program, state);
	} else if (wanted && was_wanted) {
		add_program_alone(c, ACTION_START, program, DRIFT_MARK "it was not running");
	} else if (wanted || state->running) {
		because = causes_for(causes, NULL, &n);
		add_program(c, wanted ? ACTION_START : ACTION_STOP, program, because, n);
	}
}

int candidate_plan(struct candidate *c, struct agent *agent, const struct ground *ground,
		   const struct node_facts *nf, struct err *err)
{
	CLEANUP(causes_release) struct causes causes = CAUSES_INIT(c->pool);

	collect_causes(c, agent, ground, nf, &causes);
	plan_files(&c->plan, ground->now, &c->files, &c->want, &causes, ground->unfinished);
	for (size_t i = 0; i < ARRAY_SIZE(ingress_programs); i++) {
		struct program_state state;

		if (observe_program(c, agent, ingress_programs[i], &state, err) < 0)
			return -1;
		plan_program(c, agent, ground, &causes, ingress_programs[i], &state);
	}
	return 0;
}
