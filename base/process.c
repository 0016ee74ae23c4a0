#include "base/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/exec.h"
#include "base/strvec.h"
#include "base/supervise.h"

struct pipe_ends {
	int read;
	int write;
};

#define PIPE_ENDS_INIT                                                                             \
	{                                                                                          \
		-1, -1                                                                             \
	}

static void pipe_ends_release(struct pipe_ends *ends)
{
	cleanup_close(&ends->read);
	cleanup_close(&ends->write);
}

static int pipe_ends_open(struct pipe_ends *ends, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, "make a pipe");
	*ends = (struct pipe_ends) {fds[0], fds[1]};
	return 0;
}

static void close_write_end(struct pipe_ends *ends)
{
	cleanup_close(&ends->write);
	ends->write = -1;
}

void process_result_release(struct process_result *res)
{
	strbuf_release(&res->out);
	strbuf_release(&res->errout);
}

/*
 * The input is a file in memory and not a pipe: nothing has to be fed while the program runs, and
 * one that does not read it cannot send us SIGPIPE.
 */
static int open_input(const struct process_spec *spec, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (!spec->stdin_data) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return fd < 0 ? err_errno(err, "open '/dev/null'") : STEAL_FD(fd);
	}
	fd = memfd_create("stdin", MFD_CLOEXEC);
	for (size_t done = 0; fd >= 0 && done < spec->stdin_len;) {
		ssize_t n = write(fd, spec->stdin_data + done, spec->stdin_len - done);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "prepare the input");
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "prepare the input");
	return STEAL_FD(fd);
}

/* A filter that answers kill(2) with success and lets everything else through. It needs no right, and
 * no namespace, but that the program and its children gain no rights by being executed. */
static int make_kill_deaf(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static _Noreturn void become_child(const struct exec_plan *plan, bool no_kill, pid_t parent)
{
	setpgid(0, 0);
	/* What it does is the parent's: an agent that was killed shall not be followed by one that meets
	 * it still at work. The second look is for a parent that died in between. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		exec_report_failure(plan->report_fd, "tie it to its parent");
	if (no_kill && make_kill_deaf() < 0)
		exec_report_failure(plan->report_fd, "filter its calls");
	exec_become(plan);
}

/* clone(2) with these arguments is fork(2) with flags; the C library has no call for that. */
static pid_t fork_with(unsigned long flags)
{
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

/* Returns the pid of a child that is its own group and becomes the program. */
static pid_t spawn(const struct exec_plan *plan, const struct process_spec *spec, struct err *err)
{
	pid_t parent = getpid();
	sigset_t before;
	pid_t pid = -1;

	exec_block_signals(&before);
	if (spec->try_pid_namespace) {
		pid = fork_with(CLONE_NEWPID);
		/* A parent outside of its namespace has no number there. */
		if (pid == 0)
			become_child(plan, spec->no_kill, 0);
	}
	if (pid < 0)
		pid = fork();
	if (pid == 0)
		become_child(plan, spec->no_kill, parent);
	if (pid > 0)
		setpgid(pid, pid); /* here too: whoever is first, the group is there from now on */
	else
		err_errno(err, "run '%s'", plan->argv[0]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* Starts the program and hands the read ends of its output to `child`. */
static int start(const struct process_spec *spec, struct supervised *child, struct err *err)
{
	CLEANUP(pipe_ends_release) struct pipe_ends out = PIPE_ENDS_INIT;
	CLEANUP(pipe_ends_release) struct pipe_ends errout = PIPE_ENDS_INIT;
	CLEANUP(pipe_ends_release) struct pipe_ends report = PIPE_ENDS_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	AUTO_CLOSE int in = open_input(spec, err);
	struct exec_plan plan;

	if (in < 0 || pipe_ends_open(&out, err) < 0 || pipe_ends_open(&errout, err) < 0 ||
	    pipe_ends_open(&report, err) < 0)
		return err_wrap(err, "run '%s'", spec->argv[0]);
	exec_default_env(&env);
	plan = (struct exec_plan) {
		.argv = spec->argv,
		.env = spec->env ? spec->env : env.v,
		.cwd = spec->cwd,
		.in = in,
		.out = out.write,
		.errout = errout.write,
		.report_fd = report.write,
		.program_fd = spec->program_fd,
		.cwd_fd = spec->cwd_fd,
		.keep_fd = spec->keep_fd,
		.rights = spec->rights,
	};
	child->pid = spawn(&plan, spec, err);
	if (child->pid < 0)
		return -1;
	close_write_end(&report);
	if (exec_wait_report(report.read, spec->argv[0], err) < 0) {
		waitpid(child->pid, NULL, 0);
		return -1;
	}
	child->pipes[0].fd = STEAL_FD(out.read);
	child->pipes[1].fd = STEAL_FD(errout.read);
	return 0;
}

/* A limit of 0 is no limit for a strbuf, and nothing at all here. */
static void capture(const struct process_spec *spec, struct supervised *child,
		    struct process_result *res)
{
	res->out.limit = spec->capture_limit;
	res->errout.limit = spec->capture_limit;
	child->pipes[0].to = spec->capture_limit ? &res->out : NULL;
	child->pipes[1].to = spec->capture_limit ? &res->errout : NULL;
}

int process_run_until(const struct process_spec *spec, struct process_result *res, struct err *err)
{
	struct supervised child = {0};

	if (start(spec, &child, err) < 0)
		return -1;
	capture(spec, &child, res);
	if (supervise(&child, spec->timeout_ms, err) < 0)
		return err_wrap(err, "run '%s'", spec->argv[0]);
	res->status = child.status;
	return child.timed_out ? 1 : 0;
}

int process_run(const struct process_spec *spec, struct process_result *res, struct err *err)
{
	int rc = process_run_until(spec, res, err);

	if (rc > 0)
		return err_set(err, ERR_SYSTEM, "run '%s': did not finish in %g s", spec->argv[0],
			       spec->timeout_ms / 1000.0);
	return rc;
}

/* --- several at the same time ------------------------------------------------------------------ */

struct process_job {
	struct supervised child;
	struct process_result res;
};

struct process_job *process_begin(const struct process_spec *spec, struct err *err)
{
	struct process_job *job;
	struct supervised child = {0};

	if (start(spec, &child, err) < 0)
		return NULL;
	if (supervise_begin(&child, spec->timeout_ms, err) < 0) {
		err_wrap(err, "run '%s'", spec->argv[0]);
		return NULL;
	}
	job = xcalloc(1, sizeof(*job));
	*job = (struct process_job) {.child = child, .res = PROCESS_RESULT_INIT};
	capture(spec, &job->child, &job->res);
	return job;
}

int process_wait(struct process_job *const *jobs, size_t n, int64_t wait_ms, struct err *err)
{
	AUTO_FREE struct supervised **children = xcalloc(n, sizeof(struct supervised *));

	for (size_t i = 0; i < n; i++)
		children[i] = &jobs[i]->child;
	return supervise_turn(children, n, wait_ms, err);
}

bool process_has_ended(const struct process_job *job)
{
	return job->child.stage == SUPERVISED_ENDED;
}

int process_end(struct process_job **job, struct process_result *res, struct err *err)
{
	struct process_job *ended = STEAL(*job);
	bool late;
	int rc = supervise_end(&ended->child, err);

	late = ended->child.timed_out;
	process_result_release(res);
	*res = ended->res;
	res->status = ended->child.status;
	free(ended);
	return rc < 0 ? -1 : late;
}

void process_job_freep(struct process_job **job)
{
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	struct err ignored = {0};

	if (*job)
		process_end(job, &res, &ignored);
}

/* Adds the last line of text that is not blank. */
static void add_last_line(struct strbuf *to, const struct strbuf *text)
{
	const char *end = text->buf + text->len;
	const char *start;

	while (end > text->buf && isspace((unsigned char)end[-1]))
		end--;
	start = end;
	while (start > text->buf && start[-1] != '\n')
		start--;
	while (start < end && isspace((unsigned char)*start))
		start++;
	strbuf_add(to, start, (size_t)(end - start));
}

int process_failed(const struct process_spec *spec, const struct process_result *res,
		   struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	const char *slash = strrchr(spec->argv[0], '/');
	const char *name = slash ? slash + 1 : spec->argv[0];

	add_last_line(&line, &res->errout);
	if (line.len == 0)
		add_last_line(&line, &res->out);
	err_set(err, ERR_CHECK, "%s", line.len ? line.buf : "it said nothing");
	if (res->status > 128)
		return err_wrap(err, "%s: ended by signal %d", name, res->status - 128);
	return err_wrap(err, "%s: exit status %d", name, res->status);
}

/* The child of process_call(). */
static _Noreturn void call_and_exit(int (*fn)(void *arg, int out_fd, struct err *err), void *arg,
				    int out_fd, int report_fd, pid_t parent)
{
	struct err err = {0};

	setpgid(0, 0);
	/* It works for the parent alone. The second look is for a parent that died in between. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(2);
	exec_reset_signals();
	if (fn(arg, out_fd, &err) == 0)
		_exit(0);
	_exit(write(report_fd, &err, sizeof(err)) == sizeof(err) ? 1 : 2);
}

/* Takes over the error that the child sent; what came through a pipe is not trusted to be a string.
 */
static int receive_err(const struct strbuf *report, int status, struct err *err)
{
	struct err received;

	if (status != 1 || report->len != sizeof(received))
		return err_set(err, ERR_SYSTEM, "a worker process ended early, with status %d",
			       status);
	memcpy(&received, report->buf, sizeof(received));
	received.msg[sizeof(received.msg) - 1] = '\0';
	return err_set(err, received.code, "%s", received.msg);
}

int process_call(int (*fn)(void *arg, int out_fd, struct err *err), void *arg, int timeout_ms,
		 struct strbuf *ret_out, struct err *err)
{
	CLEANUP(pipe_ends_release) struct pipe_ends out = PIPE_ENDS_INIT;
	CLEANUP(pipe_ends_release) struct pipe_ends report_ends = PIPE_ENDS_INIT;
	CLEANUP(strbuf_release) struct strbuf report = STRBUF_LIMITED(sizeof(struct err));
	struct supervised child = {0};
	pid_t parent = getpid();
	sigset_t before;

	if (pipe_ends_open(&out, err) < 0 || pipe_ends_open(&report_ends, err) < 0)
		return -1;
	exec_block_signals(&before);
	child.pid = fork();
	if (child.pid == 0)
		call_and_exit(fn, arg, out.write, report_ends.write, parent);
	if (child.pid > 0)
		setpgid(child.pid, child.pid);
	else
		err_errno(err, "start a worker process");
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (child.pid < 0)
		return -1;
	close_write_end(&out);
	close_write_end(&report_ends);
	child.pipes[0].fd = STEAL_FD(out.read);
	child.pipes[0].to = ret_out;
	child.pipes[1].fd = STEAL_FD(report_ends.read);
	child.pipes[1].to = &report;
	if (supervise(&child, timeout_ms, err) < 0)
		return -1;
	if (child.timed_out)
		return err_set(err, ERR_NETWORK, "did not answer within %g s", timeout_ms / 1000.0);
	return child.status == 0 ? 0 : receive_err(&report, child.status, err);
}
