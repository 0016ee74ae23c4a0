#include "reconciler/apart.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/exec.h"
#include "base/notify.h"
#include "reconciler/agent.h"

#define BACKOFF_MAX 32
/* The worker has a deadline of its own; this one is for the child that waits for it. */
#define GRACE_MS 10000
/* For what is under way when the agent ends. */
#define END_MS 2000

int64_t apart_back_off_ms(int64_t interval_ms, unsigned failures)
{
	int64_t wait, factor = 1;
	uint16_t dice = 0;

	for (unsigned i = 0; i < failures && factor < BACKOFF_MAX; i++)
		factor *= 2;
	wait = interval_ms * factor;
	if (getrandom(&dice, sizeof(dice), 0) < 0)
		dice = UINT16_MAX / 2;
	return wait / 2 + wait / 2 * dice / UINT16_MAX;
}

/* --- in the child -------------------------------------------------------------------- */

static void enter_child(struct agent *agent, pid_t parent)
{
	/* The second look is for a parent that died in between. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(2);
	exec_reset_signals();
	notify_release();
	/* The agent that comes next must not find it held by what this one left. */
	close(agent->lock_fd);
}

int apart_start(struct agent *agent, struct apart *job, int64_t deadline_ms,
		void (*work)(struct agent *agent, const void *arg, struct apart_word *word),
		const void *arg, struct err *err)
{
	struct apart_word word = {0};
	pid_t parent = getpid();
	sigset_t before;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, "make a pipe");
	exec_block_signals(&before);
	job->pid = fork();
	if (job->pid == 0) {
		enter_child(agent, parent);
		work(agent, arg, &word);
		/* Less than a pipe holds: it arrives whole, or not at all. */
		_exit(write(fds[1], &word, sizeof(word)) == sizeof(word) ? 0 : 1);
	}
	if (job->pid < 0)
		err_errno(err, "start a process of its own");
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	if (job->pid < 0) {
		close(fds[0]);
		return -1;
	}
	job->fd = fds[0];
	job->until_ms = clock_ms() + deadline_ms + GRACE_MS;
	return 0;
}

/* --- around it ----------------------------------------------------------------------- */

static void finish(struct apart *job, struct apart_word *ret)
{
	*ret = (struct apart_word) {0};
	if (read(job->fd, ret, sizeof(*ret)) != sizeof(*ret)) {
		*ret = (struct apart_word) {0};
		err_set(&ret->err, ERR_SYSTEM, "it ended early");
	}
	ret->err.msg[sizeof(ret->err.msg) - 1] = '\0';
	cleanup_close(&job->fd);
	job->fd = -1;
	/* Where the loop has not reaped it already. */
	waitpid(job->pid, NULL, WNOHANG);
}

static bool is_readable(const struct apart *job, int wait_ms)
{
	struct pollfd fd = {.fd = job->fd, .events = POLLIN};

	return poll(&fd, 1, wait_ms) > 0;
}

bool apart_is_under_way(const struct apart *job)
{
	return job->fd >= 0;
}

bool apart_take(struct apart *job, struct apart_word *ret)
{
	if (job->fd < 0)
		return false;
	/* Then it is readable, by its end. */
	if (!is_readable(job, 0) && clock_ms() >= job->until_ms)
		kill(job->pid, SIGKILL);
	else if (!is_readable(job, 0))
		return false;
	finish(job, ret);
	return true;
}

bool apart_wait(struct apart *job, int64_t wait_ms, struct apart_word *ret)
{
	int64_t until = clock_ms() + wait_ms;

	if (until > job->until_ms)
		until = job->until_ms;
	while (job->fd >= 0) {
		int64_t left = until - clock_ms();

		is_readable(job, notify_wait_ms(left > 0 ? left : 0));
		if (apart_take(job, ret))
			return true;
		if (left <= 0)
			break;
	}
	return false;
}

void apart_end(struct apart *job)
{
	struct apart_word ignored;

	if (job->fd < 0)
		return;
	if (!is_readable(job, END_MS))
		kill(job->pid, SIGKILL);
	finish(job, &ignored);
}
