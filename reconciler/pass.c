#include "reconciler/pass.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "gitsync/status_ref.h"
#include "reconciler/apply.h"
#include "reconciler/candidate.h"
#include "reconciler/checker.h"
#include "reconciler/node_facts.h"
#include "reconciler/report.h"

/* What the steps of one pass hand to one another. */
struct pass {
	struct agent *agent;
	struct outcome *outcome;
	struct pool *pool;
	struct remote remote;    /* the one that answered */
	struct remote_refs refs; /* what it has; empty where none answered */
	struct err synced;       /* why none did */
	char tip[GIT_OID_HEX];   /* of the branch, "" where none is known */
	struct node_facts facts;
	bool has_facts;
	const char *unfinished; /* the apply whose journal is there, as a cause; NULL: none */
	bool drifted;
	struct candidate *applied; /* what this pass applied */
	struct observation seen;
	bool has_seen;
	bool dirty; /* the state is another one than the file's */
};

static const char *status_repository(const struct agent *agent)
{
	return agent->config->status.repository;
}

/* --- sync: poll, and fetch where there is something new
 * ------------------------------------------------------ */

static const char *branch_ref(const struct pass *p)
{
	return pool_printf(p->pool, "refs/heads/%s", p->agent->config->branch);
}

/* Does the mirror have the ref where the remote has it? */
static bool is_current(const struct pass *p, const struct remote_ref *ref)
{
	char here[GIT_OID_HEX];
	struct err ignored;

	return mirror_resolve(p->agent->mirror, ref->name, here, &ignored) == 0 &&
	       strcmp(here, ref->oid) == 0;
}

/* The others' status refs matter only where their addresses come from there; the own one where the
 * mirror lost it. */
static bool needs_fetch(const struct pass *p)
{
	const char *branch = branch_ref(p);
	const char *own = status_ref_name(p->pool, p->agent->cluster, p->agent->node);
	char here[GIT_OID_HEX];
	struct err ignored;
	bool own_is_here = mirror_resolve(p->agent->mirror, own, here, &ignored) == 0;

	if (!remote_refs_find(&p->refs, branch))
		return true; /* fetching says what is wrong */
	for (size_t i = 0; i < p->refs.n; i++) {
		const struct remote_ref *ref = &p->refs.v[i];
		bool matters =
			strcmp(ref->name, branch) == 0 ||
			(strcmp(ref->name, own) == 0 ? !own_is_here : p->agent->state.needs_peers);

		if (matters && !is_current(p, ref))
			return true;
	}
	return false;
}

static int sync_with(struct pass *p, const char *url, struct err *err)
{
	struct agent *agent = p->agent;
	const char *own = status_ref_name(p->pool, agent->cluster, agent->node);

	p->remote = (struct remote) {
		.url = url,
		.branch = agent->config->branch,
		.cluster = agent->cluster,
		.deadline_ms = (int)agent->config->deadline_ms,
	};
	p->refs = (struct remote_refs) {.pool = p->pool};
	if (remote_poll(agent->mirror, &p->remote, &p->refs, err) < 0)
		return -1;
	return needs_fetch(p) ? remote_fetch(agent->mirror, &p->remote, own, err) : 0;
}

/* Tries the repositories in order. None answering is no reason to stop: the node goes on with what
 * it has. */
static void step_sync(struct pass *p)
{
	const struct spec_strings *urls = &p->agent->config->repository;
	struct err ignored;
	bool done = false;

	for (size_t i = 0; i < urls->n && !done; i++) {
		err_clear(&p->synced);
		done = sync_with(p, urls->v[i], &p->synced) == 0;
		if (!done && i + 1 < urls->n)
			log_warn("%s; trying the next repository", p->synced.msg);
	}
	if (!done) {
		p->refs.n = 0;
		p->outcome->unsynced = true;
	}
	if (mirror_resolve(p->agent->mirror, branch_ref(p), p->tip, &ignored) < 0)
		p->tip[0] = '\0';
}

/* --- the node's own inputs, and what is on its disk
 * ---------------------------------------------------------- */

static int gather_facts(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;

	node_facts_release(&p->facts);
	p->has_facts = node_facts_gather(&agent->root, agent->mirror, agent->cluster, agent->node,
					 agent->state.needs_peers, p->pool, &p->facts, err) == 0;
	return p->has_facts ? 0 : -1;
}

/* What a cut-off apply may have written, and the index does not know. */
static int merge_journal(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	const size_t n_known = agent->index.n;
	struct index journal;
	int there;

	index_init(&journal);
	there = index_read(&agent->root, PATH_JOURNAL, &journal, err);
	/* Written whole or not at all; damaged means that a disk is failing, and all is looked at
	 * anyway. */
	p->unfinished = NULL;
	if (there != 0)
		p->unfinished = pool_printf(p->pool, "the apply of %.7s was cut off",
					    journal.revision[0] ? journal.revision : "a commit");
	for (size_t i = 0; i < journal.n; i++) {
		struct index_entry claim = journal.v[i];
		const struct index known = {.v = agent->index.v, .n = n_known};

		if (index_find(&known, claim.path) ||
		    file_stat_in(agent->root.fd, claim.path, NULL, err) <= 0)
			continue;
		claim.sha256[0] = '\0';
		claim.inode = 0;
		index_add(&agent->index, &claim);
	}
	index_release(&journal);
	index_sort(&agent->index);
	return 0;
}

static int step_look_at_disk(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	bool refreshed = false;

	if (merge_journal(p, err) < 0 ||
	    index_verify(&agent->root, &agent->index, &refreshed, err) < 0)
		return -1;
	p->drifted = false;
	for (size_t i = 0; i < agent->index.n; i++)
		p->drifted |= agent->index.v[i].drift != DRIFT_NONE;
	if (refreshed && !p->unfinished && !p->drifted && !agent->dry_run)
		return index_write(&agent->root, PATH_INDEX, &agent->index, err);
	return 0;
}

/* --- which revision
 * ------------------------------------------------------------------------------------------ */

static bool is_refused(const struct pass *p, const char *revision)
{
	const struct rejection *r = &p->agent->state.rejected;
	char key[SHA256_HEX_SIZE];

	if (strcmp(r->revision, revision) != 0)
		return false;
	state_key(revision, p->facts.inputs, key);
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
	return strcmp(state->key, key) == 0 && programs_are_right(&p->agent->root, &state->watch);
}

/* --- prepare, apply
 * ------------------------------------------------------------------------------------------ */

/* Inputs that turn out to be needed, or not, once the cluster is known. While a commit is refused,
 * they stay: the refusal holds for the inputs that it was made with. */
static int settle_peers(struct pass *p, const struct candidate *c, struct err *err)
{
	bool needs = candidate_needs_peers(c);

	if (p->has_facts && (needs == p->agent->state.needs_peers ||
			     (!needs && p->agent->state.rejected.revision[0])))
		return 0;
	p->agent->state.needs_peers = needs;
	return gather_facts(p, err);
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
	return check_plan(&agent->root, &c->plan, c->cluster, c->node, &p->facts.facts, err);
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
	index_init(&c->want);
	index_release(&old);
	memcpy(agent->state.revision, c->revision, GIT_OID_HEX);
	state_key(c->revision, p->facts.inputs, agent->state.key);
	json_decref(agent->state.inputs);
	agent->state.inputs = json_incref(p->facts.inputs);
	agent->state.watch = c->watch;
	agent->state.has_watch = true;
	free(agent->probes);
	agent->probes = xcalloc(c->watch.n_services + 1, sizeof(*agent->probes));
	p->applied = c;
	p->dirty = true;
}

static int apply(struct pass *p, struct candidate *c, struct err *err)
{
	struct agent *agent = p->agent;
	bool new_generation = makes_generation(&c->plan);
	const struct apply how = {
		.root = &agent->root,
		.plan = &c->plan,
		.now = &agent->index,
		.want = &c->want,
		.watch = &c->watch,
		.ops = c->ops,
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
	}
	remember(p, c);
	if (!new_generation)
		return 0;
	return generation_record(&agent->root, agent->index.generation, c->revision, clock_wall_s(),
				 &c->plan, err);
}

static int take(struct pass *p, const char *revision, struct candidate *c, struct err *err)
{
	if (prepare(p, revision, c, err) < 0)
		return -1;
	if (p->agent->dry_run) {
		p->outcome->changed = c->plan.n > 0;
		if (p->outcome->show)
			p->outcome->show(&c->plan, revision, p->outcome->show_arg);
		return 0;
	}
	return apply(p, c, err);
}

/* A commit that cannot be had is remembered; what another try may mend (a full disk) is not held
 * against it. Nor is anything against the one that is applied, or it would never be repaired again;
 * and before the first one there is nothing better to be at than the next try. */
static bool is_commits_fault(const struct pass *p, const struct err *err)
{
	const char *applied = p->agent->state.revision;

	if (strcmp(applied, p->tip) == 0)
		return false;
	return err->code == ERR_CONFIG || err->code == ERR_CHECK || err->code == ERR_LIMIT ||
	       (err->code == ERR_APPLY && applied[0]);
}

static void reject(struct pass *p, const char *revision, const struct err *why)
{
	struct rejection *r = &p->agent->state.rejected;

	memcpy(r->revision, revision, GIT_OID_HEX);
	state_key(revision, p->facts.inputs, r->key);
	r->code = why->code;
	r->message = pool_strdup(p->agent->state.pool, why->msg);
	p->dirty = true;
}

/* Back to what was there before: its files, where the failed try got so far as to replace some, and
 * its repairs. */
static int fall_back(struct pass *p, struct candidate *c, struct err *err)
{
	struct agent *agent = p->agent;
	char revision[GIT_OID_HEX];

	memcpy(revision, agent->state.revision, GIT_OID_HEX);
	if (step_look_at_disk(p, err) < 0)
		return -1;
	if (p->unfinished)
		p->unfinished =
			pool_printf(p->pool, "%.7s is taken back: %s", p->tip,
				    agent->state.rejected.message ? agent->state.rejected.message
								  : "it could not be applied");
	if (is_there(p, revision))
		return 0;
	candidate_release(c);
	candidate_init(c);
	return take(p, revision, c, err);
}

static int try_tip(struct pass *p, struct candidate *c, struct err *err)
{
	if (is_there(p, p->tip))
		return 0;
	if (take(p, p->tip, c, err) == 0) {
		if (!p->agent->dry_run)
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

/* To the branch's tip, or, where that cannot be had, to what was applied last. */
static int step_converge(struct pass *p, struct candidate *c, struct err *err)
{
	const struct state *state = &p->agent->state;
	struct err fallback = {0};

	if (!p->tip[0])
		return err_set(err, p->synced.code, "%s", p->synced.msg);
	if ((is_refused(p, p->tip) ? refused_before(p, err) : try_tip(p, c, err)) == 0)
		return 0;
	if (p->agent->dry_run || !state->revision[0] || strcmp(state->revision, p->tip) == 0)
		return -1;
	if (fall_back(p, c, &fallback) < 0)
		log_error("back to %.7s: %s", state->revision, fallback.msg);
	return -1;
}

/* --- observe, report
 * ----------------------------------------------------------------------------------------- */

static void step_observe(struct pass *p)
{
	struct agent *agent = p->agent;
	const struct state *state = &agent->state;
	struct err err = {0};
	const struct runtime_ops *ops;
	int64_t changed_at_s =
		p->applied && p->outcome->changed ? clock_wall_s() : state->status.changed_at_s;

	if (!state->has_watch)
		return;
	ops = runtime_find(state->watch.at.runtime, &err);
	p->has_seen =
		ops && observe_node(&agent->root, ops, &state->watch, agent->probes,
				    (clock_wall_s() - changed_at_s) * 1000, &p->seen, &err) == 0;
	if (!p->has_seen)
		log_error("look at the node: %s", err.msg);
}

static bool heartbeat_is_due(const struct pass *p, int64_t now_s)
{
	const struct state *state = &p->agent->state;

	return now_s - state->published_at_s >= p->agent->config->status.heartbeat_ms / 1000;
}

static int commit_status(struct pass *p, const struct node_status *status, int64_t now_s,
			 struct err *err)
{
	struct agent *agent = p->agent;
	json_t *object = status_to_json(status);
	char *text = json_dumps(object, JSON_INDENT(1));
	const char *subject = report_subject(status, p->pool);
	int failed =
		status_ref_commit(agent->mirror, agent->cluster, agent->node, text, strlen(text),
				  subject, now_s, agent->config->status.keep, err);

	free(text);
	json_decref(object);
	if (!failed)
		log_info("status: %s", subject);
	return failed;
}

/* Pushes the own ref where the server's is another one; a failed push is tried again by the next
 * pass. */
static int push_status(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	const char *own = status_ref_name(p->pool, agent->cluster, agent->node);
	const char *there = remote_refs_find(&p->refs, own);
	struct remote remote = p->remote;
	char here[GIT_OID_HEX];
	struct err ignored;

	if (mirror_resolve(agent->mirror, own, here, &ignored) < 0)
		return 0;
	if (status_repository(agent)) {
		struct remote_refs refs = {.pool = p->pool};

		remote.url = status_repository(agent);
		if (remote_poll(agent->mirror, &remote, &refs, err) < 0)
			return -1;
		there = remote_refs_find(&refs, own);
	} else if (p->outcome->unsynced) {
		return 0;
	}
	if (there && strcmp(there, here) == 0)
		return 0;
	return remote_push(agent->mirror, &remote, own, err);
}

/* The state's strings move into a pool of their own by way of the disk: what this pass's pool holds
 * goes with it. Where it cannot be written, the agent goes on with what it last wrote, and the next
 * pass looks at everything again. */
static int save_state(struct pass *p, const struct node_status *status, struct err *err)
{
	struct agent *agent = p->agent;
	struct err unreadable = {0};
	struct state fresh;
	int failed;

	agent->state.status = *status;
	failed = state_write(&agent->root, &agent->state, err);
	state_init(&fresh);
	if (state_read(&agent->root, &fresh, &unreadable) < 0 && !failed) {
		*err = unreadable;
		failed = -1;
	}
	if (failed)
		fresh.has_watch = false;
	state_release(&agent->state);
	agent->state = fresh;
	return failed < 0 ? err_wrap(err, "write the state") : 0;
}

/* A transition, or the heartbeat, is a commit. Where it could not be made, it stays due. */
static int publish(struct pass *p, const struct node_status *status, int64_t now_s, struct err *err)
{
	struct state *state = &p->agent->state;
	char digest[SHA256_HEX_SIZE];

	report_digest(status, digest);
	if (strcmp(digest, state->published) == 0 && !heartbeat_is_due(p, now_s))
		return 0;
	p->dirty = true;
	if (commit_status(p, status, now_s, err) < 0)
		return err_wrap(err, "write the status");
	memcpy(state->published, digest, sizeof(digest));
	state->published_at_s = now_s;
	return 0;
}

static int step_report(struct pass *p, const struct err *failed, struct err *err)
{
	struct agent *agent = p->agent;
	const struct findings found = {
		.desired = p->tip[0] ? p->tip : NULL,
		.synced = p->synced.code ? &p->synced : NULL,
		.failed = failed,
		.facts = p->has_facts ? &p->facts : NULL,
		.seen = p->has_seen ? &p->seen : NULL,
		.applied = p->applied,
		.generation = agent->index.generation,
	};
	int64_t now_s = clock_wall_s();
	struct node_status status;
	int published;

	report_status(agent, &found, now_s, p->pool, &status);
	published = publish(p, &status, now_s, err);
	if (p->dirty && save_state(p, &status, err) < 0)
		return -1;
	if (published < 0)
		return -1;
	if (push_status(p, err) < 0)
		return err_wrap(err, "push the status");
	return 0;
}

/* --- the pass
 * ------------------------------------------------------------------------------------------------
 */

static void pass_begin(struct pass *p, struct agent *agent, struct outcome *outcome)
{
	memset(p, 0, sizeof(*p));
	p->agent = agent;
	p->outcome = outcome;
	p->pool = pool_new();
	outcome->changed = false;
	outcome->unsynced = false;
}

static void pass_end(struct pass *p)
{
	node_facts_release(&p->facts);
	pool_free(p->pool);
}

/* What stopped the pass, and that no repository answered, in one message. */
static int unsynced_too(const struct pass *p, int failed, struct err *err)
{
	struct err why = *err;

	if (!p->synced.code)
		return -1;
	if (!failed || strcmp(why.msg, p->synced.msg) == 0)
		return err_set(err, p->synced.code, "%s", p->synced.msg);
	return err_set(err, why.code, "%s; and %.400s", p->synced.msg, why.msg);
}

int reconcile_once(struct agent *agent, struct outcome *outcome, struct err *err)
{
	CLEANUP(candidate_release) struct candidate candidate;
	CLEANUP(pass_end) struct pass pass;
	struct err report = {0};
	int failed = 0;

	candidate_init(&candidate);
	pass_begin(&pass, agent, outcome);
	step_sync(&pass);
	failed = gather_facts(&pass, err);
	if (!failed)
		failed = step_look_at_disk(&pass, err);
	if (!failed)
		failed = step_converge(&pass, &candidate, err);
	if (agent->dry_run)
		return failed;
	step_observe(&pass);
	if (step_report(&pass, failed ? err : NULL, &report) < 0) {
		if (failed)
			log_error("%s", report.msg);
		else
			*err = report;
		return -1;
	}
	return failed || pass.synced.code ? unsynced_too(&pass, failed, err) : 0;
}
