#include "base/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/notify.h"

#define TERM_GRACE_MS 2000
#define DRAIN_GRACE_MS 200
/* At most so much is read from a pipe before the deadline is looked at again. */
#define READ_ROUNDS 16

enum stage {
	STAGE_RUNNING,
	STAGE_TERMINATED, /* the deadline passed, TERM was sent */
	STAGE_KILLED,     /* KILL was sent: the end is near and not waited for with a deadline */
	STAGE_DRAINING,   /* it ended, and somebody still holds its pipes */
};

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

/* What the passing of `until` means in a stage. Returns false where nothing is left to be waited
 * for. */
static bool time_is_up(struct supervised *child, enum stage *stage, int64_t *until)
{
	switch (*stage) {
	case STAGE_RUNNING:
		child->timed_out = true;
		kill(-child->pid, SIGTERM);
		*stage = STAGE_TERMINATED;
		*until = clock_ms() + TERM_GRACE_MS;
		return true;
	case STAGE_TERMINATED:
		kill(-child->pid, SIGKILL);
		*stage = STAGE_KILLED;
		return true;
	case STAGE_KILLED:
		return true;
	case STAGE_DRAINING:
		break;
	}
	return false;
}

static int wait_ms(enum stage stage, int64_t until)
{
	int64_t left = until - clock_ms();

	/* A process that even KILL does not end: this wait has no end, and the watchdog may say so. */
	if (stage == STAGE_KILLED)
		return -1;
	return left > 0 ? notify_wait_ms(left) : 0;
}

static int watch(struct supervised *child, int pidfd, int timeout_ms, struct err *err)
{
	enum stage stage = STAGE_RUNNING;
	int64_t until = clock_ms() + timeout_ms;

	while (stage != STAGE_DRAINING || pipes_are_open(child)) {
		struct pollfd fds[] = {
			{.fd = child->pipes[0].fd, .events = POLLIN},
			{.fd = child->pipes[1].fd, .events = POLLIN},
			{.fd = stage == STAGE_DRAINING ? -1 : pidfd, .events = POLLIN},
		};

		if (poll(fds, ARRAY_SIZE(fds), wait_ms(stage, until)) < 0 && errno != EINTR)
			return err_errno(err, "wait for a child");
		for (size_t i = 0; i < ARRAY_SIZE(child->pipes); i++) {
			if (fds[i].revents)
				read_pipe(&child->pipes[i].fd, child->pipes[i].to,
					  &child->read_error);
		}
		if (fds[2].revents) {
			stage = STAGE_DRAINING;
			until = clock_ms() + DRAIN_GRACE_MS;
		} else if (wait_ms(stage, until) == 0 && !time_is_up(child, &stage, &until)) {
			break;
		}
	}
	return 0;
}

static void reap(struct supervised *child)
{
	int status = 0;

	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int supervise(struct supervised *child, int timeout_ms, struct err *err)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(child->pipes); i++)
		fcntl(child->pipes[i].fd, F_SETFL, O_NONBLOCK);
	rc = pidfd < 0 ? err_errno(err, "watch a child") : watch(child, pidfd, timeout_ms, err);
	/*
	 * As long as the child is not reaped, its group's number is not given to another. What
	 * outlived a deadline, or holds a pipe, ends here.
	 */
	if (rc < 0 || child->timed_out || pipes_are_open(child))
		kill(-child->pid, SIGKILL);
	for (size_t i = 0; i < ARRAY_SIZE(child->pipes); i++)
		close_pipe(&child->pipes[i].fd);
	reap(child);
	if (rc == 0 && child->read_error) {
		errno = child->read_error;
		return err_errno(err, "read what a child wrote");
	}
	return rc;
}
