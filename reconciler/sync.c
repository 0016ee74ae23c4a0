/* The first and the last step of a pass: what the server has, and this node's status to it. */
#include <string.h>

#include "base/log.h"
#include "gitsync/status_ref.h"
#include "reconciler/steps.h"

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

/* Tries the repositories in order. */
void step_sync(struct pass *p)
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

/* A failed push is tried again by the next pass. */
int push_status(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	const char *own = status_ref_name(p->pool, agent->cluster, agent->node);
	const char *there = remote_refs_find(&p->refs, own);
	struct remote remote = p->remote;
	char here[GIT_OID_HEX];
	struct err ignored;

	if (mirror_resolve(agent->mirror, own, here, &ignored) < 0)
		return 0;
	if (agent->config->status.repository) {
		struct remote_refs refs = {.pool = p->pool};

		remote.url = agent->config->status.repository;
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
