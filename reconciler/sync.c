/* The first and the last step of a pass: what the server has, and this node's status to it. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gitsync/status_ref.h"
#include "reconciler/steps.h"

static const char *branch_ref(const struct pass *p)
{
	return pool_printf(p->pool, "refs/heads/%s", p->agent->config->branch);
}

static const char *own_ref(const struct pass *p)
{
	return status_ref_name(p->pool, p->agent->cluster, p->agent->node);
}

/* The mirror's id of a ref, or "". */
static void mirror_has(const struct pass *p, const char *ref, char ret[GIT_OID_HEX])
{
	struct err ignored;

	if (mirror_resolve(p->agent->mirror, ref, ret, &ignored) < 0)
		ret[0] = '\0';
}

/* Does the mirror have the ref where the remote has it? */
static bool is_current(const struct pass *p, const struct remote_ref *ref)
{
	char here[GIT_OID_HEX];

	mirror_has(p, ref->name, here);
	return strcmp(here, ref->oid) == 0;
}

/* Is `old` behind `oid`? What is not known is not. */
static bool is_behind(const struct pass *p, const char *old, const char *oid)
{
	struct err ignored;

	return strcmp(old, oid) != 0 &&
	       mirror_is_ancestor(p->agent->mirror, old, oid, &ignored) == 1;
}

/* --- the own status ref, where somebody else wrote it -------------------------------- */

/* The server's own status ref: neither what was pushed last (with or without hearing of it), nor what is about to be. */
static bool is_foreign(const struct pass *p, const char *there)
{
	const struct agent *agent = p->agent;
	char here[GIT_OID_HEX], pushed[GIT_OID_HEX];

	mirror_has(p, own_ref(p), here);
	status_ref_pushed(agent->mirror, agent->cluster, agent->node, pushed);
	return there && here[0] && strcmp(there, here) != 0 && strcmp(there, pushed) != 0 &&
	       strcmp(there, agent->push.oid) != 0 && !is_behind(p, there, here);
}

/* How far the node had come by the word of a commit of its status ref. */
static void learn_high_water(struct pass *p, const char *oid)
{
	struct agent *agent = p->agent;
	struct node_status status;
	struct err err = {0};
	const char *json;
	size_t len;

	if (status_ref_read(agent->mirror, oid, p->pool, &json, &len, &err) < 0 ||
	    status_from_json(json, len, p->pool, &status, &err) < 0) {
		log_warn("the status at %.7s cannot be read: %s", oid, err.msg);
		return;
	}
	if (!status.high_water || strcmp(status.cluster, agent->cluster) != 0 ||
	    strcmp(status.node, agent->node) != 0)
		return;
	/* What this disk already knows to be passed is no news. */
	if (agent->high_water.marks.n &&
	    (strcmp(status.high_water, agent->high_water.marks.v[0]) == 0 ||
	     is_behind(p, status.high_water, agent->high_water.marks.v[0])))
		return;
	if (high_water_learn(&agent->high_water, status.high_water) && !agent->dry_run &&
	    high_water_write(&agent->root, &agent->high_water, &err) < 0)
		log_warn("%s", err.msg);
}

/* A disk that was restored from a backup finds a newer history of its own on the server, and goes on from there. Anything
 * else is replaced, and told. */
static void settle_own_ref(struct pass *p, const char *there)
{
	struct agent *agent = p->agent;
	char here[GIT_OID_HEX];
	struct err err = {0};

	learn_high_water(p, there);
	mirror_has(p, own_ref(p), here);
	if (is_behind(p, here, there)) {
		log_warn("the status ref goes on from %.7s, which is on the server: was this disk "
			 "restored from a "
			 "backup?",
			 there);
		if (!agent->dry_run &&
		    status_ref_adopt(agent->mirror, agent->cluster, agent->node, there, &err) < 0)
			log_warn("%s", err.msg);
		return;
	}
	p->foreign = pool_printf(p->pool, "%s, which somebody else set to %.7s", own_ref(p), there);
	log_warn("%s: it is replaced; only this node writes it", p->foreign);
}

/* --- fetching ------------------------------------------------------------------------ */

/* The others' status refs matter only where their addresses come from there; the own one where the
 * mirror lost it, or somebody else wrote it. */
static bool needs_fetch(const struct pass *p)
{
	const char *branch = branch_ref(p);
	const char *own = own_ref(p);
	char here[GIT_OID_HEX];

	if (!remote_refs_find(&p->refs, branch))
		return true; /* fetching says what is wrong */
	mirror_has(p, own, here);
	for (size_t i = 0; i < p->refs.n; i++) {
		const struct remote_ref *ref = &p->refs.v[i];
		bool matters = strcmp(ref->name, branch) == 0 ||
			       (strcmp(ref->name, own) == 0 ? !here[0] || is_foreign(p, ref->oid)
							    : p->agent->state.needs_peers);

		if (matters && !is_current(p, ref))
			return true;
	}
	return false;
}

/* Has the remote's branch been left behind by what was applied here? */
static bool remote_is_behind(const struct pass *p)
{
	const struct commit_list *marks = &p->agent->high_water.marks;
	const char *there = remote_refs_find(&p->refs, branch_ref(p));

	return there && marks->n && is_behind(p, there, marks->v[0]);
}

static int sync_with(struct pass *p, const char *url, struct err *err)
{
	struct agent *agent = p->agent;
	const char *there;
	char here[GIT_OID_HEX];

	p->remote = push_remote(agent, url, own_ref(p));
	p->refs = (struct remote_refs) {.pool = p->pool};
	if (remote_poll(agent->mirror, &p->remote, &p->refs, err) < 0)
		return -1;
	if (remote_is_behind(p))
		return 0;
	mirror_has(p, own_ref(p), here);
	there = remote_refs_find(&p->refs, own_ref(p));
	if (needs_fetch(p) && remote_fetch(agent->mirror, &p->remote, own_ref(p), err) < 0)
		return -1;
	if (!agent->config->status.repository && there && !here[0])
		learn_high_water(p, there);
	else if (!agent->config->status.repository && is_foreign(p, there))
		settle_own_ref(p, there);
	return 0;
}

/* Said once for each repository that is found behind. */
static void pass_over(struct pass *p, size_t i)
{
	const struct agent *agent = p->agent;

	p->behind = pool_printf(p->pool, "repository %zu of %zu is behind: its '%s' is at %.7s",
				i + 1, agent->config->repository.n, agent->config->branch,
				remote_refs_find(&p->refs, branch_ref(p)));
	if (agent->behind != i + 1)
		log_warn("%s; trying the next one", p->behind);
	p->agent->behind = i + 1;
}

/* The first repository that answers and is not behind; where all that answer are behind, the first of them, which the
 * next step refuses. */
static bool sync_in_order(struct pass *p)
{
	const struct spec_strings *urls = &p->agent->config->repository;
	struct remote behind_remote = {0};
	struct remote_refs behind_refs = {0};

	for (size_t i = 0; i < urls->n; i++) {
		err_clear(&p->synced);
		if (sync_with(p, urls->v[i], &p->synced) == 0) {
			if (!remote_is_behind(p))
				return true;
			if (!behind_remote.url) {
				behind_remote = p->remote;
				behind_refs = p->refs;
			}
			if (i + 1 < urls->n)
				pass_over(p, i);
		} else if (i + 1 < urls->n) {
			log_warn("%s; trying the next repository", p->synced.msg);
		}
	}
	if (!behind_remote.url)
		return false;
	err_clear(&p->synced);
	p->behind = NULL;
	p->remote = behind_remote;
	p->refs = behind_refs;
	memcpy(p->tip, remote_refs_find(&p->refs, branch_ref(p)), GIT_OID_HEX);
	return true;
}

/* While a new revision is on trial it is looked at every second: a remote that does not answer must not
 * keep the node from going back in time, so it is asked as often as ever. */
static bool is_waiting(struct pass *p)
{
	const struct agent *agent = p->agent;

	if (!agent->state.trial.revision[0] || !agent->sync_failure.code ||
	    clock_ms() >= agent->sync_again_ms)
		return false;
	p->synced = agent->sync_failure;
	return true;
}

static void remember_failure(struct pass *p)
{
	struct agent *agent = p->agent;

	if (p->synced.code && clock_ms() >= agent->sync_again_ms)
		agent->sync_again_ms = clock_ms() + agent->config->interval_ms;
	agent->sync_failure = p->synced;
}

void step_sync(struct pass *p)
{
	char own[GIT_OID_HEX];

	mirror_has(p, own_ref(p), own);
	if (own[0] && !p->agent->high_water.marks.n)
		learn_high_water(p, own);
	if (is_waiting(p) || !sync_in_order(p)) {
		p->refs.n = 0;
		p->outcome->unsynced = true;
	}
	remember_failure(p);
	if (!p->behind)
		p->agent->behind = 0;
	if (!p->tip[0])
		mirror_has(p, branch_ref(p), p->tip);
}

/* Nothing is waited for here: what is under way is taken up by the next pass, and told until then. */
int push_status(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	struct push *push = &agent->push;
	const char *own = own_ref(p);
	const char *there = remote_refs_find(&p->refs, own);
	struct remote remote = p->remote;
	char here[GIT_OID_HEX], known[GIT_OID_HEX];
	bool pushed = push_take(agent);

	mirror_has(p, own, here);
	if (!here[0] || (pushed && strcmp(push->oid, here) == 0))
		return 0;
	if (agent->config->status.repository) {
		/* It is not asked: a server that is away or slow would hold up the pass. */
		remote = push_remote(agent, agent->config->status.repository, own);
		status_ref_pushed(agent->mirror, agent->cluster, agent->node, known);
		there = known;
	} else if (p->outcome->unsynced) {
		return 0;
	}
	if (there && strcmp(there, here) == 0 && push->fd < 0) {
		err_clear(&push->why);
		return 0;
	}
	if (push_is_due(agent) && push_begin(agent, &remote, here, err) < 0)
		return -1;
	/* It failed, and until it has succeeded it is not well again. */
	*err = push->why;
	return err->code ? -1 : 0;
}
