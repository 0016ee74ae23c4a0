#include "reconciler/push.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "gitsync/status_ref.h"
#include "reconciler/agent.h"

/* What proves who this node is goes to no other host than it is meant for. */
static const struct credentials *second_credentials(const struct agent_config *config)
{
	if (config->status.credentials)
		return config->status.credentials;
	for (size_t i = 0; i < config->repository.n; i++)
		if (remote_is_same_host(config->status.repository, config->repository.v[i]))
			return config->credentials;
	return NULL;
}

struct remote push_remote(const struct agent *agent, const char *url, const char *own_ref)
{
	const bool is_second = agent->config->status.repository == url;
	const struct credentials *who = agent->config->credentials;

	if (is_second)
		who = second_credentials(agent->config);
	return (struct remote) {
		.url = url,
		.part = is_second                          ? REMOTE_STATUS
			: agent->config->status.repository ? REMOTE_BRANCH
							   : REMOTE_ALL,
		.branch = agent->config->branch,
		.cluster = agent->cluster,
		.own_ref = own_ref,
		.peers = state_heeds_peers(&agent->state),
		.deadline_ms = (int)agent->config->deadline_ms,
		.credentials = who,
		.credentials_at = is_second ? "status.credentials" : NULL,
		.ca_file = agent->config->ca_file,
		.proxy = agent->config->proxy,
		.root_fd = agent->root.fd,
		.poller = agent->poller,
	};
}

/* Keeps how it went. */
static bool note(struct agent *agent, const struct err *said)
{
	struct push *push = &agent->push;
	struct err err = {0};

	push->why = *said;
	look_pushed(agent, !said->code);
	if (said->code) {
		push->not_before_ms = clock_ms() + apart_back_off_ms(agent->config->interval_ms,
								     push->failures++);
		return false;
	}
	push->failures = 0;
	push->not_before_ms = 0;
	/* A mirror that was made anew meanwhile does not have the commit: nothing is remembered then. */
	if (status_ref_set_pushed(agent->mirror, push->url, agent->cluster, agent->node, push->oid,
				  &err) < 0)
		log_warn("%s", err.msg);
	return true;
}

/* --- around it ----------------------------------------------------------------------- */

/* In the child; `arg` is the remote. */
static void send(struct agent *agent, const void *arg, struct apart_word *word)
{
	const struct remote *remote = arg;

	remote_push(agent->mirror, remote, remote->own_ref, &word->err);
}

bool push_take(struct agent *agent)
{
	struct apart_word word;

	return apart_take(&agent->push.job, &word) && note(agent, &word.err);
}

bool push_is_due(const struct agent *agent)
{
	return !apart_is_under_way(&agent->push.job) && clock_ms() >= agent->push.not_before_ms;
}

bool push_is_behind(const struct agent *agent)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	char here[GIT_OID_HEX];
	struct err ignored;

	return mirror_resolve(agent->mirror, status_ref_name(pool, agent->cluster, agent->node),
			      here, &ignored) == 0 &&
	       strcmp(here, agent->push.oid) != 0;
}

int push_begin(struct agent *agent, const struct remote *remote, const char *oid, struct err *err)
{
	struct push *push = &agent->push;
	struct err said = {0};

	memcpy(push->oid, oid, GIT_OID_HEX);
	push->url = remote->url;
	if (push->apart &&
	    apart_start(agent, &push->job, remote->deadline_ms, send, remote, &said) == 0)
		return 0;
	if (!push->apart)
		remote_push(agent->mirror, remote, remote->own_ref, &said);
	if (note(agent, &said))
		return 0;
	*err = said;
	return -1;
}

/* Waits for what is under way; -1 where the last one failed. */
static int wait_for_end(struct agent *agent, struct err *err)
{
	struct push *push = &agent->push;
	struct apart_word word;

	while (apart_is_under_way(&push->job)) {
		if (apart_wait(&push->job, agent->config->deadline_ms, &word))
			note(agent, &word.err);
	}
	if (!push->why.code)
		return 0;
	*err = push->why;
	return err_wrap(err, "push the status");
}

int push_settle(struct agent *agent, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *own = status_ref_name(pool, agent->cluster, agent->node);
	char oid[GIT_OID_HEX];
	struct remote remote;
	int failed = wait_for_end(agent, err);

	if (agent->config->status.repository && look_settle(agent, err) < 0)
		return -1;
	if (!agent->push.oid[0] || !push_is_behind(agent))
		return failed;
	err_clear(err);
	if (mirror_resolve(agent->mirror, own, oid, err) < 0)
		return -1;
	remote = push_remote(agent, agent->push.url, own);
	if (push_begin(agent, &remote, oid, err) < 0)
		return err_wrap(err, "push the status");
	return wait_for_end(agent, err);
}

void push_end(struct agent *agent)
{
	apart_end(&agent->push.job);
}
