/*
 * Waits for a child in its own process group, with a deadline, and collects what it writes. What
 * process_run() and process_call() share. Not for others.
 */
#ifndef BASE_SUPERVISE_H
#define BASE_SUPERVISE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

struct supervised {
	pid_t pid; /* also its process group */
	struct {
		int fd;            /* read end; always closed by supervise() */
		struct strbuf *to; /* NULL: read and dropped */
	} pipes[2];
	int read_error; /* errno of a pipe that could not be read: what it wrote is not all there */
	bool timed_out; /* result: the deadline passed */
	int status;     /* result: exit status, or 128 + signal */
};

/*
 * Returns once the child was reaped. At the deadline the group gets TERM and 2 s later KILL. A
 * descendant that keeps a pipe open after the child's end is killed 200 ms later.
 */
int supervise(struct supervised *child, int timeout_ms, struct err *err);

#endif
