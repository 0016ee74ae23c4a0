/* From the branch to the node's disk and programs: which revision, prepare, apply, fall back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "reconciler/apply.h"
#include "reconciler/checker.h"
#include "reconciler/plan_programs.h"
#include "reconciler/rollback.h"
#include "reconciler/steps.h"
#include "reconciler/suspend.h"

/* --- the node's own inputs, and what is on its disk ---------------------------------- */

int step_gather(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;

	node_facts_release(&p->facts);
	p->has_facts = node_facts_gather(&agent->root, agent->mirror, agent->cluster, agent->node,
					 agent->state.needs_peers, p->pool, &p->facts, err) == 0;
	return p->has_facts ? 0 : -1;
}

/* What may be there, and the index does not know: its content is anybody's guess. */
static int claim(struct agent *agent, const struct index *from, struct err *err)
{
	const size_t n_known = agent->index.n;

	for (size_t i = 0; i < from->n; i++) {
		struct index_entry entry = from->v[i];
		const struct index known = {.v = agent->index.v, .n = n_known};

		if (index_find(&known, entry.path))
			continue;
		switch (file_stat_in(agent->root.fd, entry.path, NULL, err)) {
		case 1:
			entry.sha256[0] = '\0';
			entry.inode = 0;
			index_add(&agent->index, &entry);
			break;
		case -1:
			/* A link in the way that leads round in a circle: the file is not there. */
			if (errno != ELOOP)
				return -1;
		}
	}
	index_sort(&agent->index);
	return 0;
}

/* The index is lost: what is there is what the applied revision renders to, or what the next one no longer names would stay
 * for ever. Where that cannot be had either, all that the next one names is written again, and what else there was is
 * forgotten. */
static int recall_index(struct pass *p, struct err *err)
{
	CLEANUP(candidate_release) struct candidate applied;
	struct agent *agent = p->agent;
	struct err why = {0};

	candidate_init(&applied);
	if (!agent->state.revision[0])
		return 0;
	if (candidate_load(&applied, agent, agent->state.revision, &why) < 0 ||
	    candidate_render(&applied, &p->facts, &why) < 0) {
		secrets_mask(&p->facts.secrets, &why);
		log_warn("what %.7s had put on this node is not known: %s", agent->state.revision,
			 why.msg);
		return 0;
	}
	return claim(agent, &applied.want, err);
}

/* What a cut-off apply may have written. */
static int merge_journal(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	CLEANUP(index_release) struct index journal;
	struct err damaged;
	int there;

	index_init(&journal);
	there = index_read(&agent->root, PATH_JOURNAL, &journal, &damaged);
	/* Written whole or not at all; damaged means that a disk is failing, and all is looked at
	 * anyway. */
	p->unfinished = NULL;
	if (there != 0)
		p->unfinished = journal.revision[0]
					? pool_printf(p->pool, "the apply of %.7s was cut off",
						      journal.revision)
					: "an apply was cut off";
	return claim(agent, &journal, err);
}

/* It only saves the next pass a second look: a disk that takes no writes must not keep this one
 * from its repairs. */
static void save_refreshed_index(const struct agent *agent)
{
	struct err err = {0};

	if (index_write(&agent->root, PATH_INDEX, &agent->index, &err) < 0)
		log_warn("%s", err.msg);
}

int step_look_at_disk(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	bool refreshed = false;

	if ((agent->index_lost && recall_index(p, err) < 0) || merge_journal(p, err) < 0 ||
	    index_verify(&agent->root, &agent->index, &refreshed, err) < 0)
		return -1;
	p->drifted = false;
	for (size_t i = 0; i < agent->index.n; i++)
		p->drifted |= agent->index.v[i].drift != DRIFT_NONE;
	if (refreshed && !p->unfinished && !p->drifted && !agent->dry_run)
		save_refreshed_index(agent);
	return 0;
}

/* --- which revision ------------------------------------------------------------------ */

/* What a refusal holds for. That a commit was tried and did not work is not for another version of the program to find out
 * again: an upgrade changes nothing on the node. What could not be read or checked may be what the upgrade is for. */
static void refusal_key(const struct pass *p, const struct rejection *r, char ret[SHA256_HEX_SIZE])
{
	json_t *inputs = json_copy(p->facts.inputs);

	if (rejection_was_tried(r)) {
		json_object_del(inputs, INPUT_VERSION);
		json_object_del(inputs, INPUT_PROGRAM);
	}
	state_key(r->revision, inputs, ret);
	json_decref(inputs);
}

static bool is_refused(const struct pass *p, const char *revision)
{
	const struct rejection *r = &p->agent->state.rejected;
	char key[SHA256_HEX_SIZE];

	if (strcmp(r->revision, revision) != 0)
		return false;
	/* Remembered by the status ref alone, without what it was tried with. */
	if (!r->key[0])
		return true;
	refusal_key(p, r, key);
	return strcmp(r->key, key) == 0;
}

/* Is the revision there already, with these inputs, and nothing on the node amiss? */
static bool is_there(const struct pass *p, const char *revision)
{
	const struct state *state = &p->agent->state;
	char key[SHA256_HEX_SIZE];

	if (!state->has_watch || p->unfinished || p->drifted ||
	    strcmp(state->revision, revision) != 0)
		return false;
	state_key(revision, p->facts.inputs, key);
	return strcmp(state->key, key) == 0 && programs_are_right(&p->agent->root, &state->watch) &&
	       services_are_right(p->agent->services, &p->agent->root, &state->containers);
}

/* --- prepare, apply ------------------------------------------------------------------ */

/* Inputs that turn out to be needed, or not, once the cluster is known. While a commit is refused,
 * they stay: the refusal holds for the inputs that it was made with. */
static int settle_peers(struct pass *p, const struct candidate *c, struct err *err)
{
	bool needs = candidate_needs_peers(c);

	if (p->has_facts && (needs == p->agent->state.needs_peers ||
			     (!needs && p->agent->state.rejected.revision[0])))
		return 0;
	p->agent->state.needs_peers = needs;
	return step_gather(p, err);
}

static int prepare(struct pass *p, const char *revision, struct candidate *c, struct err *err)
{
	struct agent *agent = p->agent;
	struct ground ground = {
		.now = &agent->index,
		.unfinished = p->unfinished,
	};

	if (candidate_load(c, agent, revision, err) < 0 || settle_peers(p, c, err) < 0 ||
	    candidate_render(c, &p->facts, err) < 0 ||
	    candidate_plan(c, agent, &ground, &p->facts, err) < 0)
		return -1;
	took_end_part(&agent->timer, TOOK_RENDER);
	if (check_plan(&agent->root, &c->plan, c->cluster, c->node, &p->facts.facts, err) < 0)
		return -1;
	took_end_part(&agent->timer, TOOK_VALIDATE);
	return 0;
}

static void log_action(const struct action *action)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	log_info("%s %s because %s", action_verb(action->kind), action->what,
		 action_because(pool, action));
}

static bool makes_generation(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].kind <= ACTION_REMOVE && plan->v[i].kind != ACTION_RESTORE)
			return true;
	return false;
}

/* The agent's memory of the new state; on disk with step_report(). */
static void remember(struct pass *p, struct candidate *c)
{
	struct agent *agent = p->agent;
	struct index old = agent->index;

	agent->index = c->want;
	agent->index_lost = false;
	index_init(&c->want);
	index_release(&old);
	memcpy(agent->state.revision, c->revision, GIT_OID_HEX);
	state_key(c->revision, p->facts.inputs, agent->state.key);
	json_decref(agent->state.inputs);
	agent->state.inputs = json_incref(p->facts.inputs);
	agent->state.watch = c->watch;
	agent->state.containers = c->containers;
	agent->state.has_watch = true;
	free(agent->probes);
	agent->probes = xcalloc(c->watch.n_services + 1, sizeof(*agent->probes));
	p->applied = c;
	p->dirty = true;
}

static int apply(struct pass *p, struct candidate *c, const struct service_work *work,
		 struct err *err)
{
	struct agent *agent = p->agent;
	bool new_generation = makes_generation(&c->plan);
	char before[GIT_OID_HEX];
	const struct apply how = {
		.root = &agent->root,
		.plan = &c->plan,
		.now = &agent->index,
		.want = &c->want,
		.watch = &c->watch,
		.unfinished = p->unfinished != NULL,
		.services = work,
		.progress = log_action,
	};

	memcpy(c->want.revision, c->revision, GIT_OID_HEX);
	c->want.generation = agent->index.generation + new_generation;
	if (c->plan.n || p->unfinished) {
		if (apply_plan(&how, err) < 0)
			return -1;
		p->outcome->changed = true;
	} else {
		/* The same files from another commit: what stat says of them still holds. */
		index_carry_over(&c->want, &agent->index);
		if (services_apply(work, err) < 0)
			return -1;
	}
	memcpy(before, agent->state.revision, GIT_OID_HEX);
	remember(p, c);
	if (strcmp(before, c->revision) != 0)
		trial_begin(p, c);
	if (!new_generation)
		return 0;
	return generation_record(&agent->root, agent->index.generation, c->revision, clock_wall_s(),
				 &c->plan, agent->state.good_generation, err);
}

/* What is to be done with containers, and from what. */
static struct service_work containers_of(struct pass *p, struct candidate *c)
{
	return (struct service_work) {
		.services = p->agent->services,
		.root = &p->agent->root,
		.cluster = c->cluster,
		.node = c->node,
		.facts = &p->facts.facts,
		.files = &c->files,
		.before = &p->agent->state.containers,
		.want = &c->containers,
		.pool = c->pool,
		.watch = &c->watch,
		.plan = &c->plan,
		.revision = c->revision,
		.key = c->key,
		.may_prove = !p->unfinished && !p->falls_back && !p->pinned[0],
		.progress = log_action,
	};
}

static int prepare_and_apply(struct pass *p, const char *revision, struct candidate *c,
			     struct err *err)
{
	if (prepare(p, revision, c, err) < 0)
		return -1;
	if (p->agent->dry_run) {
		p->outcome->changed = c->plan.n > 0;
		if (p->outcome->show)
			p->outcome->show(&c->plan, revision, p->outcome->show_arg);
		return 0;
	}
	state_key(revision, p->facts.inputs, c->key);
	const struct service_work work = containers_of(p, c);

	if (services_prepare(&work, &p->waits, err) < 0)
		return -1;
	if (p->waits) {
		/* The new containers run beside the old ones; nothing else has been touched. */
		p->outcome->on_trial = true;
		p->outcome->starting = true;
		return 0;
	}
	if (apply(p, c, &work, err) < 0)
		return -1;
	took_end_part(&p->agent->timer, TOOK_APPLY);
	return 0;
}

static int take(struct pass *p, const char *revision, struct candidate *c, struct err *err)
{
	int failed = prepare_and_apply(p, revision, c, err);

	if (failed && p->has_facts)
		secrets_mask(&p->facts.secrets, err);
	return failed;
}

/* A commit that cannot be had is remembered; what another try may mend (a full disk) is not held
 * against it. Nor is anything against the one that is applied, or it would never be repaired again;
 * and before the first one there is nothing better to be at than the next try. */
static bool is_commits_fault(const struct pass *p, const struct err *err)
{
	const char *applied = p->agent->state.revision;

	if (strcmp(applied, p->tip) == 0)
		return false;
	return err->code == ERR_CONFIG || err->code == ERR_UNNAMED || err->code == ERR_CHECK ||
	       err->code == ERR_LIMIT ||
	       ((err->code == ERR_APPLY || err->code == ERR_HEALTH) && applied[0]);
}

void reject(struct pass *p, const char *revision, const struct err *why)
{
	struct rejection *r = &p->agent->state.rejected;

	memcpy(r->revision, revision, GIT_OID_HEX);
	r->code = why->code;
	refusal_key(p, r, r->key);
	r->message = pool_strdup(p->agent->state.pool, why->msg);
	p->dirty = true;
}

/* Back to what was there before: its files, where the failed try got so far as to replace some, and
 * its repairs. */
int fall_back(struct pass *p, const char *to, struct candidate *c, struct err *err)
{
	struct agent *agent = p->agent;
	const char *why = agent->state.rejected.message;
	char revision[GIT_OID_HEX];

	memcpy(revision, to, GIT_OID_HEX);
	if (step_look_at_disk(p, err) < 0)
		return -1;
	if (p->unfinished)
		p->unfinished = pool_printf(p->pool, "%.7s is taken back: %s", p->tip,
					    why && *why ? why : "it could not be applied");
	if (is_there(p, revision))
		return 0;
	p->applied = NULL;
	candidate_release(c);
	candidate_init(c);
	p->falls_back = true;
	return take(p, revision, c, err);
}

static int try_tip(struct pass *p, struct candidate *c, struct err *err)
{
	if (is_there(p, p->tip))
		return 0;
	if (take(p, p->tip, c, err) == 0) {
		if (!p->agent->dry_run && !p->waits)
			memset(&p->agent->state.rejected, 0, sizeof(p->agent->state.rejected));
		return 0;
	}
	if (is_commits_fault(p, err) && !p->agent->dry_run)
		reject(p, p->tip, err);
	return -1;
}

static int refused_before(const struct pass *p, struct err *err)
{
	const struct rejection *r = &p->agent->state.rejected;

	return err_set(err, r->code, "%s", r->message);
}

int step_read_orders(struct pass *p, struct err *err)
{
	const struct root *root = &p->agent->root;
	const char *reason;
	int suspended = suspend_read(root, p->pool, &reason, err);

	if (suspended < 0)
		return -1;
	/* An order that holds for a tip outlives another tip that is refused. */
	if (!p->refused.err.code && rollback_read(root, p->tip, p->pinned, err) < 0)
		return -1;
	p->suspended = suspended > 0;
	if (p->suspended)
		p->held = pool_printf(p->pool, "suspended: %s", reason);
	else if (p->pinned[0])
		p->held =
			pool_printf(p->pool, "rolled back to %.7s by hand, until the branch moves",
				    p->pinned);
	return 0;
}

/* A person chose the revision: there is no trial that could take it back. */
static int go_to_pinned(struct pass *p, struct candidate *c, struct err *err)
{
	int failed = is_there(p, p->pinned) ? 0 : take(p, p->pinned, c, err);

	memset(&p->agent->state.trial, 0, sizeof(p->agent->state.trial));
	p->agent->trial_until_ms = 0;
	return failed;
}

/* What to be at while the tip cannot be had: what is applied; on a new disk, what worked on the old one. */
static const char *what_is_good(const struct pass *p)
{
	const struct state *state = &p->agent->state;
	const char *last_good = state->status.last_good;
	struct err ignored;

	if (state->revision[0])
		return pool_strdup(p->pool, state->revision);
	/* It is the status ref's word: only a commit that the tip contains, and where the tip itself may be taken. */
	if (!last_good || p->refused.err.code || strlen(last_good) != GIT_OID_HEX - 1 ||
	    strcmp(last_good, p->tip) == 0 ||
	    mirror_is_ancestor(p->agent->mirror, last_good, p->tip, &ignored) != 1)
		return NULL;
	return pool_strdup(p->pool, last_good);
}

int step_converge(struct pass *p, struct candidate *c, struct err *err)
{
	const struct state *state = &p->agent->state;
	struct err fallback = {0};
	const char *good = what_is_good(p);

	if (p->unfinished)
		log_warn("%s: what it left is looked at, all of it", p->unfinished);
	if (!p->tip[0])
		return err_set(err, p->synced.code, "%s", p->synced.msg);
	if (p->pinned[0])
		return go_to_pinned(p, c, err);
	if (p->refused.err.code)
		*err = p->refused.err;
	else if ((is_refused(p, p->tip) ? refused_before(p, err) : try_tip(p, c, err)) == 0)
		return admit_applied(p, err);
	if (p->agent->dry_run || !good)
		return -1;
	/* Its repairs were tried already. */
	if (!p->refused.err.code && strcmp(state->revision, p->tip) == 0)
		return -1;
	if (fall_back(p, good, c, &fallback) < 0)
		log_error("back to %.7s: %s", good, fallback.msg);
	return -1;
}
