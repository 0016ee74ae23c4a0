/*
 * Waits for a child in its own process group, with a deadline, and collects what it writes; for one, or
 * for several at the same time. What process_run(), process_call() and process_begin() share. Not for
 * others.
 */
#ifndef BASE_SUPERVISE_H
#define BASE_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

enum supervised_stage {
	SUPERVISED_RUNS,
	SUPERVISED_TERMINATED, /* the deadline passed, TERM was sent */
	SUPERVISED_KILLED, /* KILL was sent: the end is near and not waited for with a deadline */
	SUPERVISED_DRAINS, /* it ended, and somebody still holds its pipes */
	SUPERVISED_ENDED,
};

struct supervised {
	pid_t pid; /* also its process group */
	struct {
		int fd;            /* read end; closed at the end, whatever happened */
		struct strbuf *to; /* NULL: read and dropped */
	} pipes[2];
	int read_error; /* errno of a pipe that could not be read: what it wrote is not all there */
	bool timed_out; /* result: the deadline passed */
	int status;     /* result: exit status, or 128 + signal */
	enum supervised_stage stage;
	int64_t until_ms; /* clock_ms(): when the stage is over */
	int pidfd;
};

/*
 * Returns once the child was reaped. At the deadline the group gets TERM and 2 s later KILL. A
 * descendant that keeps a pipe open after the child's end is killed 200 ms later.
 */
int supervise(struct supervised *child, int timeout_ms, struct err *err);

/* The same in parts. -1 from the first: it was ended and reaped. */
int supervise_begin(struct supervised *child, int timeout_ms, struct err *err);
/* Waits until something happens to one of them, at most wait_ms (-1: for ever), and sees to it. Those
 * whose stage is SUPERVISED_ENDED then are for supervise_end(). */
int supervise_turn(struct supervised *const *children, size_t n, int64_t wait_ms, struct err *err);
/* Reaps it; one that has not ended is killed. */
int supervise_end(struct supervised *child, struct err *err);

#endif
