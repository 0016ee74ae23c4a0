/* The first and the last step of a pass: what the server has, and this node's status to it. */
#include <stdio.h>
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

/* What a repository was last known to have of it, or "". */
static void pushed_to(const struct pass *p, const char *url, char ret[GIT_OID_HEX])
{
	status_ref_pushed(p->agent->mirror, url, p->agent->cluster, p->agent->node, ret);
}

/* Is what a repository has of the own status ref neither what was pushed last (with or without hearing of it), nor what is
 * about to be? "": it has none, and had one. */
static bool is_foreign(const struct pass *p, const char *url, const char *there)
{
	char here[GIT_OID_HEX], pushed[GIT_OID_HEX];

	mirror_has(p, own_ref(p), here);
	pushed_to(p, url, pushed);
	if (!there[0])
		return here[0] && pushed[0];
	return here[0] && strcmp(there, here) != 0 && strcmp(there, pushed) != 0 &&
	       strcmp(there, p->agent->push.oid) != 0 && !is_behind(p, there, here);
}

/* The status that a commit of the own ref holds: 1, 0 where it is none of this node's. */
static int read_own(struct pass *p, const char *oid, struct node_status *ret)
{
	struct agent *agent = p->agent;
	struct err err = {0};
	const char *json;
	size_t len;

	if (status_ref_read(agent->mirror, oid, p->pool, &json, &len, &err) < 0 ||
	    status_from_json(json, len, p->pool, ret, &err) < 0) {
		log_warn("the status at %.7s cannot be read: %s", oid, err.msg);
		return 0;
	}
	return strcmp(ret->cluster, agent->cluster) == 0 && strcmp(ret->node, agent->node) == 0;
}

/* How far the node had come by the word of a commit of its status ref. */
static void learn_high_water(struct pass *p, const char *oid)
{
	struct agent *agent = p->agent;
	struct node_status status;
	struct err err = {0};

	if (!read_own(p, oid, &status) || !status.high_water)
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

static void adopt(struct pass *p, const char *there)
{
	struct agent *agent = p->agent;
	struct err err = {0};

	if (!agent->dry_run &&
	    status_ref_adopt(agent->mirror, agent->cluster, agent->node, there, &err) < 0)
		log_warn("%s", err.msg);
}

/* This disk has never pushed there, so what is there is from the one before it: what was committed here meanwhile goes on top. */
static bool is_earlier_history(struct pass *p, const char *url, const char *there)
{
	char pushed[GIT_OID_HEX];
	struct node_status status;

	pushed_to(p, url, pushed);
	return !pushed[0] && !p->agent->push.oid[0] && read_own(p, there, &status);
}

static void go_on_from(struct pass *p, const char *there)
{
	struct agent *agent = p->agent;
	const struct status_signer signer = own_signer(p);
	struct err err = {0};

	log_info("the status ref goes on from %.7s, which this node wrote before its disk was lost",
		 there);
	p->late_history = there;
	if (!agent->dry_run &&
	    status_ref_rebase(agent->mirror, agent->cluster, agent->node, there,
			      agent->config->status.keep, signer.sign ? &signer : NULL, &err) < 0)
		log_warn("%s", err.msg);
}

static void tell_trouble(struct pass *p, const char *what)
{
	p->foreign = what;
	snprintf(p->agent->ref_trouble, sizeof(p->agent->ref_trouble), "%s: it was put right",
		 what);
}

/* A disk that was restored from a backup finds a newer history of its own on the server, and goes on from there; one that was
 * lost, its earlier one. Anything else is replaced, and told. */
static void settle_foreign(struct pass *p, const char *url, const char *there)
{
	struct agent *agent = p->agent;
	char here[GIT_OID_HEX];
	struct err err = {0};

	if (!there[0]) {
		tell_trouble(p,
			     pool_printf(p->pool, "%s, which somebody else deleted", own_ref(p)));
		log_warn("%s: it is pushed again", p->foreign);
		if (!agent->dry_run && status_ref_set_pushed(agent->mirror, url, agent->cluster,
							     agent->node, "", &err) < 0)
			log_warn("%s", err.msg);
		return;
	}
	learn_high_water(p, there);
	mirror_has(p, own_ref(p), here);
	if (is_behind(p, here, there)) {
		log_warn("the status ref goes on from %.7s, which is on the server: was this disk "
			 "restored from a backup?",
			 there);
		adopt(p, there);
		return;
	}
	if (is_earlier_history(p, url, there)) {
		go_on_from(p, there);
		return;
	}
	tell_trouble(p, pool_printf(p->pool, "%s, which somebody else set to %.7s", own_ref(p),
				    there));
	log_warn("%s: it is replaced; only this node writes it", p->foreign);
}

/* `here` is what the mirror had before this repository was asked, `there` what the repository has; "": none. */
static void settle_own_ref(struct pass *p, const char *url, const char *here, const char *there)
{
	if (!here[0] && there[0])
		learn_high_water(p, there);
	else if (is_foreign(p, url, there))
		settle_foreign(p, url, there);
}

/* The second repository, as the last look found it. */
static void sync_status(struct pass *p)
{
	struct agent *agent = p->agent;
	struct look *look = &agent->look;
	const char *url = agent->config->status.repository;
	char here[GIT_OID_HEX];

	if (!url)
		return;
	look_take(agent);
	look_begin(agent, p->moved);
	look_wait(agent);
	if (!look->has_news)
		return;
	look->has_news = false;
	mirror_has(p, own_ref(p), here);
	if (!here[0] && look->there[0])
		adopt(p, look->there);
	settle_own_ref(p, url, here, look->there);
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
			       (strcmp(ref->name, own) == 0
					? !here[0] || is_foreign(p, p->remote.url, ref->oid)
					: state_heeds_peers(&p->agent->state));

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
	p->moved = needs_fetch(p);
	if (p->moved && remote_fetch(agent->mirror, &p->remote, own_ref(p), err) < 0)
		return -1;
	if (!agent->config->status.repository)
		settle_own_ref(p, url, here, there ? there : "");
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

/* Of the mirror, where the remote's is not one that is refused. */
static void read_tip(struct pass *p)
{
	struct err err;

	if (p->tip[0] || mirror_resolve(p->agent->mirror, branch_ref(p), p->tip, &err) == 0)
		return;
	p->tip[0] = '\0';
	if (!p->synced.code) {
		p->synced = err;
		p->outcome->unsynced = true;
	}
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
	sync_status(p);
	read_tip(p);
	remember_failure(p);
	if (!p->behind)
		p->agent->behind = 0;
}

/* Where to, and what is there: false where nothing may be pushed now. */
static bool choose_repository(struct pass *p, const char *own, struct remote *ret,
			      const char **ret_there)
{
	struct agent *agent = p->agent;

	if (!agent->config->status.repository) {
		*ret = p->remote;
		*ret_there = remote_refs_find(&p->refs, own);
		return !p->outcome->unsynced;
	}
	*ret = push_remote(agent, agent->config->status.repository, own);
	*ret_there = agent->look.answered ? agent->look.there : NULL;
	return true;
}

/* Nothing is waited for here: what is under way is taken up by the next pass, and told until then. */
int push_status(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	struct push *push = &agent->push;
	const bool has_second = agent->config->status.repository != NULL;
	const char *own = own_ref(p), *there;
	struct remote remote;
	char here[GIT_OID_HEX];
	bool pushed = push_take(agent);

	mirror_has(p, own, here);
	if (!here[0] || (pushed && strcmp(push->oid, here) == 0) ||
	    !choose_repository(p, own, &remote, &there))
		return 0;
	if (there && strcmp(there, here) == 0 && !apart_is_under_way(&push->job)) {
		err_clear(&push->why);
	} else {
		if (has_second)
			look_begin(agent, false);
		if ((!has_second || agent->look.is_fresh) &&
		    !apart_is_under_way(&agent->look.job) && push_is_due(agent) &&
		    push_begin(agent, &remote, here, err) < 0)
			return -1;
	}
	/* It failed, and until it has succeeded it is not well again. */
	*err = push->why.code || !has_second ? push->why : agent->look.why;
	return err->code ? -1 : 0;
}
