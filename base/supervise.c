#include "base/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/notify.h"

#define TERM_GRACE_MS 2000
#define DRAIN_GRACE_MS 200
/* At most so much is read from a pipe before the deadline is looked at again. */
#define READ_ROUNDS 16

static void close_pipe(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

static void read_pipe(int *fd, struct strbuf *to, int *ret_error)
{
	char chunk[16384];

	for (int i = 0; i < READ_ROUNDS; i++) {
		ssize_t n = read(*fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			*ret_error = errno;
		if (n <= 0) {
			close_pipe(fd);
			return;
		}
		if (to)
			strbuf_add(to, chunk, (size_t)n);
	}
}

static bool pipes_are_open(const struct supervised *child)
{
	return child->pipes[0].fd >= 0 || child->pipes[1].fd >= 0;
}

/* What the passing of `until` means in a stage. */
static void time_is_up(struct supervised *child)
{
	switch (child->stage) {
	case SUPERVISED_RUNS:
		child->timed_out = true;
		kill(-child->pid, SIGTERM);
		child->stage = SUPERVISED_TERMINATED;
		child->until_ms = clock_ms() + TERM_GRACE_MS;
		break;
	case SUPERVISED_TERMINATED:
		kill(-child->pid, SIGKILL);
		child->stage = SUPERVISED_KILLED;
		break;
	case SUPERVISED_DRAINS:
		child->stage = SUPERVISED_ENDED;
		break;
	case SUPERVISED_KILLED:
	case SUPERVISED_ENDED:
		break;
	}
}

/* -1: no end. */
static int64_t left_ms(const struct supervised *child)
{
	int64_t left = child->until_ms - clock_ms();

	if (child->stage == SUPERVISED_KILLED || child->stage == SUPERVISED_ENDED)
		return -1;
	return left > 0 ? left : 0;
}

enum { FD_OUT, FD_ERR, FD_PID, FDS_EACH };

static void put(const struct supervised *child, struct pollfd fds[FDS_EACH])
{
	for (size_t i = 0; i < ARRAY_SIZE(child->pipes); i++)
		fds[i] = (struct pollfd) {.fd = child->pipes[i].fd, .events = POLLIN};
	fds[FD_PID] = (struct pollfd) {
		.fd = child->stage >= SUPERVISED_DRAINS ? -1 : child->pidfd,
		.events = POLLIN,
	};
}

static void take(struct supervised *child, const struct pollfd fds[FDS_EACH])
{
	for (size_t i = 0; i < ARRAY_SIZE(child->pipes); i++)
		if (fds[i].revents)
			read_pipe(&child->pipes[i].fd, child->pipes[i].to, &child->read_error);
	if (fds[FD_PID].revents) {
		child->stage = SUPERVISED_DRAINS;
		child->until_ms = clock_ms() + DRAIN_GRACE_MS;
	} else if (left_ms(child) == 0) {
		time_is_up(child);
	}
	if (child->stage == SUPERVISED_DRAINS && !pipes_are_open(child))
		child->stage = SUPERVISED_ENDED;
}

int supervise_turn(struct supervised *const *children, size_t n, int64_t wait_ms, struct err *err)
{
	AUTO_FREE struct pollfd *fds = xcalloc(n * FDS_EACH, sizeof(*fds));

	for (size_t i = 0; i < n; i++) {
		int64_t left = left_ms(children[i]);

		put(children[i], &fds[i * FDS_EACH]);
		if (left >= 0 && (wait_ms < 0 || left < wait_ms))
			wait_ms = left;
	}
	/* A process that even KILL does not end: this wait has no end, and the watchdog may say so. */
	if (poll(fds, n * FDS_EACH, wait_ms < 0 ? -1 : notify_wait_ms(wait_ms)) < 0 &&
	    errno != EINTR)
		return err_errno(err, "wait for a child");
	for (size_t i = 0; i < n; i++)
		take(children[i], &fds[i * FDS_EACH]);
	return 0;
}

static void reap(struct supervised *child)
{
	int status = 0;

	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int supervise_end(struct supervised *child, struct err *err)
{
	/*
	 * As long as the child is not reaped, its group's number is not given to another. What
	 * outlived a deadline, or holds a pipe, ends here.
	 */
	if (child->stage != SUPERVISED_ENDED || child->timed_out || pipes_are_open(child))
		kill(-child->pid, SIGKILL);
	for (size_t i = 0; i < ARRAY_SIZE(child->pipes); i++)
		close_pipe(&child->pipes[i].fd);
	close_pipe(&child->pidfd);
	reap(child);
	if (child->read_error) {
		errno = child->read_error;
		return err_errno(err, "read what a child wrote");
	}
	return 0;
}

int supervise_begin(struct supervised *child, int timeout_ms, struct err *err)
{
	struct err ignored = {0};

	for (size_t i = 0; i < ARRAY_SIZE(child->pipes); i++)
		fcntl(child->pipes[i].fd, F_SETFL, O_NONBLOCK);
	child->stage = SUPERVISED_RUNS;
	child->until_ms = clock_ms() + timeout_ms;
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd >= 0)
		return 0;
	err_errno(err, "watch a child");
	supervise_end(child, &ignored);
	return -1;
}

int supervise(struct supervised *child, int timeout_ms, struct err *err)
{
	struct err ignored = {0};
	int rc = 0;

	if (supervise_begin(child, timeout_ms, err) < 0)
		return -1;
	while (rc == 0 && child->stage != SUPERVISED_ENDED)
		rc = supervise_turn(&child, 1, -1, err);
	/* The first error is the one that counts. */
	return supervise_end(child, rc < 0 ? &ignored : err) < 0 ? -1 : rc;
}
