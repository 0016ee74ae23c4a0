/*
 * From fork(2) to execve(2): what process.c and daemon.c share. Not for others.
 *
 * The child reports through a pipe that closes itself when execve(2) succeeds, so the parent knows
 * at once whether the program runs, and if not, why.
 */
#ifndef BASE_EXEC_H
#define BASE_EXEC_H

#include <signal.h>

#include "base/err.h"
#include "base/rights.h"
#include "base/strvec.h"

/* The descriptor that a child finds process_spec.keep_fd at. */
#define EXEC_KEPT_FD 3

/* What the child shall be. The descriptors may be any, also each other's numbers. */
struct exec_plan {
	char *const *argv;
	char *const *env;
	const char *cwd; /* NULL: the parent's */
	int in;
	int out;
	int errout;
	int report_fd; /* write end of the pipe, O_CLOEXEC */
	/* As in struct process_spec; 0 and NULL: not wanted. */
	int program_fd;
	int cwd_fd;
	int keep_fd;
	const struct process_rights *rights;
};

/* PATH, HOME, LANG and TMPDIR of this process, as far as they are set. */
void exec_default_env(struct strvec *env);
/* Blocks all signals, so that no handler of the parent runs in the child; the mask before goes to
 * *before. */
void exec_block_signals(sigset_t *before);
/* In the child: every signal to its default, and none blocked. */
void exec_reset_signals(void);
/* In the child: reports what failed, with errno, and ends. */
_Noreturn void exec_report_failure(int report_fd, const char *what);
/* In the child: becomes the program, or reports and ends. */
_Noreturn void exec_become(const struct exec_plan *plan);
/* In the parent, with the write end closed: 0 once the program runs, -1 with the child's reason. */
int exec_wait_report(int report_fd, const char *name, struct err *err);

#endif
