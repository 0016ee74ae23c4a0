/*
 * Running other programs: an argument vector, never a shell; an explicit environment; its own
 * process group; a deadline, after which the group gets TERM and 2 s later KILL; captured output
 * with a cap.
 *
 *	struct process_spec spec = {.argv = argv.v, .timeout_ms = 10000, .capture_limit = 64 << 10};
 *	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
 *	if (process_run(&spec, &res, err) < 0)      could not be started, or ran out of time
 *		return -1;
 *	if (res.status != 0)
 *		return process_failed(&spec, &res, err);   "haproxy -c: <the last line that it
 * said>"
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/rights.h"
#include "base/strbuf.h"

struct process_spec {
	char *const *argv; /* argv[0] is looked up in PATH */
	char *const *env;  /* NULL: PATH, HOME, LANG and TMPDIR of this process and nothing else */
	const char *cwd;   /* NULL: this process's */
	const char *stdin_data; /* NULL: /dev/null */
	size_t stdin_len;
	int timeout_ms;       /* > 0 */
	size_t capture_limit; /* most bytes kept of stdout and of stderr, each; the rest is read and
				 dropped */
	bool no_kill; /* its kill(2) does nothing and says that it did: `keepalived -t` 2.2.7 would
			 end itself before it has checked anything (see rendering) */
	bool try_pid_namespace; /* PID 1 of a pid namespace of its own where the kernel lets us, so
				   that nothing of it outlives it */
	/* Descriptors; 0: not wanted. */
	int program_fd;                      /* executed instead of argv[0] */
	int cwd_fd;                          /* its folder, instead of cwd */
	int keep_fd;                         /* it finds this one as descriptor 3 */
	const struct process_rights *rights; /* what it gives up first; NULL: nothing */
};

struct process_result {
	int status;           /* exit status, or 128 + signal */
	struct strbuf out;    /* standard output */
	struct strbuf errout; /* standard error */
};

#define PROCESS_RESULT_INIT                                                                        \
	{                                                                                          \
		.out = STRBUF_INIT, .errout = STRBUF_INIT                                          \
	}

void process_result_release(struct process_result *res);
/* Runs it to its end; it gets TERM where this process ends before. 0 where it ran, whatever its status; -1 where it did not start (ERR_SYSTEM)
 * or was killed at the deadline (ERR_SYSTEM, "did not finish in N s"). */
int process_run(const struct process_spec *spec, struct process_result *res, struct err *err);
/* The same, but 1 where it was killed at the deadline, which is no error then. */
int process_run_until(const struct process_spec *spec, struct process_result *res, struct err *err);

/* One that runs while this process does other things, or waits for several:
 *
 *	struct process_job *job = process_begin(&spec, err);
 *	while (!process_has_ended(job))
 *		process_wait(&job, 1, -1, err);
 *	late = process_end(&job, &res, err);
 */
struct process_job;
/* NULL where it did not start. The spec is not needed any more then. */
struct process_job *process_begin(const struct process_spec *spec, struct err *err);
/* Until something happens to one of them, at most wait_ms (-1: for ever): what they write is read, and their
 * deadlines are kept, only here. With no job it is a pause. */
int process_wait(struct process_job *const *jobs, size_t n, int64_t wait_ms, struct err *err);
bool process_has_ended(const struct process_job *job);
/* Takes the job; as process_run_until() where it has ended. One that has not is killed, with its group. */
int process_end(struct process_job **job, struct process_result *res, struct err *err);
void process_job_freep(struct process_job **job);

/* Sets ERR_CHECK with the program's name, its status and the last non-empty line that it said.
 * Always returns -1. */
int process_failed(const struct process_spec *spec, const struct process_result *res,
		   struct err *err);

/* A program that outlives us: own session, standard input /dev/null, standard output and error
 * appended to a file. */
struct process_daemon_spec {
	char *const *argv;
	char *const *env; /* as above */
	const char *cwd;  /* NULL: "/" */
	int log_fd;       /* becomes standard output and error */
	int pid_dirfd; /* the child writes "PID STARTTIME\n" to pid_path below this folder before it
			  is executed, so that a kill -9 of the caller at any moment leaves nothing
			  running that cannot be found */
	const char *pid_path;
};

/* Returns 0 and the pid once execve(2) succeeded; -1 with the child's reason where not. */
int process_start_daemon(const struct process_daemon_spec *spec, pid_t *ret_pid, struct err *err);
/* Reads such a file: the pid where that very process (same start time) still runs and is no zombie,
 * 0 where not. */
pid_t process_find_daemon(int dirfd, const char *pid_path);
/* Field 22 of /proc/PID/stat (clock ticks since boot), 0 where there is no such process or it is a
 * zombie. */
unsigned long long process_start_time(pid_t pid);
/* Does the process run, and is that its name (proc(5), comm; 15 bytes)? */
bool process_is(pid_t pid, const char *name);
/* A process of that name with that word among its arguments, and no such process for a parent; 0 where there is none. */
pid_t process_find_command(const char *name, const char *argument);
/* The pid that a daemon's own pid file names, where a process of that name has it; 0 where not. */
pid_t process_read_pid(const char *path, const char *name);
/* Room for a process's name (proc(5), comm). */
#define PROCESS_NAME_SIZE 16
/* The name of the first of its children whose name begins with prefix; false where it has none. */
bool process_child_named(pid_t pid, const char *prefix, char ret[PROCESS_NAME_SIZE]);
/* Its parent's pid; 0 where there is no such process. */
pid_t process_parent(pid_t pid);
/* Sends sig, waits until it is gone (reaps it where it is a child); KILL after timeout_ms. */
int process_stop(pid_t pid, int sig, int timeout_ms, struct err *err);

/* Runs fn in a forked child with a deadline and gives back what it wrote to the descriptor: for
 * library calls that cannot be interrupted. The child's error crosses over. -1 with ERR_NETWORK
 * where the deadline passed. */
int process_call(int (*fn)(void *arg, int out_fd, struct err *err), void *arg, int timeout_ms,
		 struct strbuf *ret_out, struct err *err);

#endif
