#include "reconciler/look.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "gitsync/status_ref.h"
#include "reconciler/agent.h"

#define WAIT_MS 10000
#define INTERVALS 10

/* In the child; `arg` is the remote. */
static void fetch(struct agent *agent, const void *arg, struct apart_word *word)
{
	remote_fetch_status(agent->mirror, arg, &word->found, &word->err);
}

static bool note(struct agent *agent, const struct apart_word *word)
{
	struct look *look = &agent->look;
	int64_t now = clock_ms();
	bool news =
		!look->answered || word->found.moved || strcmp(word->found.own, look->there) != 0;

	look->why = word->err;
	if (word->err.code) {
		err_wrap(&look->why, "the status repository");
		look->not_before_ms =
			now + apart_back_off_ms(agent->config->interval_ms, look->failures++);
		return false;
	}
	look->failures = 0;
	look->not_before_ms = 0;
	look->again_ms = now + (look->with_peers ? agent->config->interval_ms * INTERVALS
						 : agent->config->status.heartbeat_ms);
	look->answered = true;
	look->is_fresh = true;
	look->has_news = look->has_news || news;
	memcpy(look->there, word->found.own, GIT_OID_HEX);
	/* What waits to be pushed goes on, too. */
	return news || push_is_behind(agent);
}

bool look_take(struct agent *agent)
{
	struct apart_word word;

	return apart_take(&agent->look.job, &word) && note(agent, &word);
}

static bool needs_peers(const struct agent *agent)
{
	/* A node that knows nothing yet may turn out to need them. */
	return state_heeds_peers(&agent->state) || !agent->state.status.node;
}

/* Is there something to push, which has to wait for a look? */
static bool holds_a_push(const struct agent *agent)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	char here[GIT_OID_HEX];
	struct err ignored;

	return !agent->look.is_fresh && push_is_due(agent) &&
	       mirror_resolve(agent->mirror, status_ref_name(pool, agent->cluster, agent->node),
			      here, &ignored) == 0 &&
	       strcmp(here, agent->look.there) != 0;
}

static bool is_due(const struct agent *agent, bool moved)
{
	const struct look *look = &agent->look;
	int64_t now = clock_ms();

	if (apart_is_under_way(&look->job) || apart_is_under_way(&agent->push.job) ||
	    now < look->not_before_ms)
		return false;
	return !look->answered || moved || now >= look->again_ms ||
	       (needs_peers(agent) && !look->with_peers) || holds_a_push(agent);
}

void look_begin(struct agent *agent, bool moved)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct look *look = &agent->look;
	struct apart_word word = {0};
	struct remote remote;

	if (!is_due(agent, moved))
		return;
	remote = push_remote(agent, agent->config->status.repository,
			     status_ref_name(pool, agent->cluster, agent->node));
	look->with_peers = remote.peers = needs_peers(agent);
	if (!agent->push.apart)
		fetch(agent, &remote, &word);
	else if (apart_start(agent, &look->job, remote.deadline_ms, fetch, &remote, &word.err) == 0)
		return;
	note(agent, &word);
}

void look_wait(struct agent *agent)
{
	struct look *look = &agent->look;
	struct apart_word word;

	if (look->answered || look->failures || !apart_is_under_way(&look->job) ||
	    (!look->wait && agent->state.status.node))
		return;
	if (apart_wait(&look->job, WAIT_MS, &word))
		note(agent, &word);
	else
		log_warn("the status repository does not answer: going on without what it knows of "
			 "this node");
}

void look_pushed(struct agent *agent, bool succeeded)
{
	struct look *look = &agent->look;

	if (agent->push.url != agent->config->status.repository)
		return;
	if (succeeded)
		memcpy(look->there, agent->push.oid, GIT_OID_HEX);
	look->is_fresh = false;
}

static int wait_for_end(struct agent *agent, struct err *err)
{
	struct look *look = &agent->look;
	struct apart_word word;

	while (apart_is_under_way(&look->job)) {
		if (apart_wait(&look->job, agent->config->deadline_ms, &word))
			note(agent, &word);
	}
	*err = look->why;
	return err->code ? -1 : 0;
}

int look_settle(struct agent *agent, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *own = status_ref_name(pool, agent->cluster, agent->node);
	char here[GIT_OID_HEX];
	struct remote remote;

	if (wait_for_end(agent, err) < 0)
		return -1;
	if (mirror_resolve(agent->mirror, own, here, err) < 0) {
		err_clear(err);
		return 0;
	}
	if (strcmp(here, agent->look.there) == 0 || agent->push.why.code)
		return 0;
	remote = push_remote(agent, agent->config->status.repository, own);
	return push_begin(agent, &remote, here, err) < 0 ? err_wrap(err, "push the status") : 0;
}
