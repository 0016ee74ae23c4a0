#include "reconciler/push.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/exec.h"
#include "base/log.h"
#include "base/notify.h"
#include "gitsync/status_ref.h"
#include "reconciler/agent.h"

/* The wait after a failure: an interval, doubled with each further one up to so many. */
#define BACKOFF_MAX 32
/* The worker has a deadline of its own; this one is for the child that waits for it. */
#define GRACE_MS 10000
/* For what is under way when the agent ends. */
#define END_MS 2000

struct remote push_remote(const struct agent *agent, const char *url, const char *own_ref)
{
	return (struct remote) {
		.url = url,
		.branch = agent->config->branch,
		.cluster = agent->cluster,
		.own_ref = own_ref,
		.peers = agent->state.needs_peers,
		.deadline_ms = (int)agent->config->deadline_ms,
		.credentials = agent->config->credentials,
		.ca_file = agent->config->ca_file,
		.proxy = agent->config->proxy,
		.root_fd = agent->root.fd,
		.poller = agent->poller,
	};
}

/* Between half of the wait and all of it: nodes that failed together do not come back together. */
static void back_off(struct agent *agent)
{
	struct push *push = &agent->push;
	int64_t wait, factor = 1;
	uint16_t dice = 0;

	for (unsigned i = 0; i < push->failures && factor < BACKOFF_MAX; i++)
		factor *= 2;
	wait = agent->config->interval_ms * factor;
	if (getrandom(&dice, sizeof(dice), 0) < 0)
		dice = UINT16_MAX / 2;
	push->failures++;
	push->not_before_ms = clock_ms() + wait / 2 + wait / 2 * dice / UINT16_MAX;
}

/* Keeps how it went. */
static bool note(struct agent *agent, const struct err *said)
{
	struct push *push = &agent->push;
	struct err err = {0};

	push->why = *said;
	if (said->code) {
		back_off(agent);
		return false;
	}
	push->failures = 0;
	push->not_before_ms = 0;
	/* A mirror that was made anew meanwhile does not have the commit: nothing is remembered then. */
	if (status_ref_set_pushed(agent->mirror, agent->cluster, agent->node, push->oid, &err) < 0)
		log_warn("%s", err.msg);
	return true;
}

/* --- in the child -------------------------------------------------------------------- */

static _Noreturn void push_in_child(struct agent *agent, const struct remote *remote, int report_fd,
				    pid_t parent)
{
	struct err err = {0};

	/* The second look is for a parent that died in between. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(2);
	exec_reset_signals();
	notify_release();
	/* The agent that comes next must not find it held by what this one left. */
	close(agent->lock_fd);
	remote_push(agent->mirror, remote, remote->own_ref, &err);
	_exit(write(report_fd, &err, sizeof(err)) == sizeof(err) ? 0 : 1);
}

static int start(struct agent *agent, const struct remote *remote, struct err *err)
{
	struct push *push = &agent->push;
	pid_t parent = getpid();
	sigset_t before;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, "make a pipe");
	exec_block_signals(&before);
	push->pid = fork();
	if (push->pid == 0)
		push_in_child(agent, remote, fds[1], parent);
	if (push->pid < 0)
		err_errno(err, "start to push");
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	if (push->pid < 0) {
		close(fds[0]);
		return -1;
	}
	push->fd = fds[0];
	push->until_ms = clock_ms() + remote->deadline_ms + GRACE_MS;
	return 0;
}

/* --- around it ----------------------------------------------------------------------- */

static bool finish(struct agent *agent)
{
	struct push *push = &agent->push;
	struct err said = {0};

	if (read(push->fd, &said, sizeof(said)) != sizeof(said)) {
		err_clear(&said);
		err_set(&said, ERR_SYSTEM, "it ended early");
	}
	cleanup_close(&push->fd);
	push->fd = -1;
	/* Where the loop has not reaped it already. */
	waitpid(push->pid, NULL, WNOHANG);
	said.msg[sizeof(said.msg) - 1] = '\0';
	return note(agent, &said);
}

static bool is_readable(const struct push *push, int wait_ms)
{
	struct pollfd fd = {.fd = push->fd, .events = POLLIN};

	return poll(&fd, 1, wait_ms) > 0;
}

bool push_take(struct agent *agent)
{
	struct push *push = &agent->push;

	if (push->fd < 0)
		return false;
	/* Then it is readable, by its end. */
	if (!is_readable(push, 0) && clock_ms() >= push->until_ms)
		kill(push->pid, SIGKILL);
	else if (!is_readable(push, 0))
		return false;
	return finish(agent);
}

bool push_is_due(const struct agent *agent)
{
	return agent->push.fd < 0 && clock_ms() >= agent->push.not_before_ms;
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
	if (push->apart && start(agent, remote, &said) == 0)
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

	while (push->fd >= 0) {
		int64_t left = push->until_ms - clock_ms();

		is_readable(push, notify_wait_ms(left > 0 ? left : 0));
		push_take(agent);
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
	struct push *push = &agent->push;

	if (push->fd < 0)
		return;
	if (!is_readable(push, END_MS))
		kill(push->pid, SIGKILL);
	finish(agent);
}
