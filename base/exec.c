#include "base/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* What crosses the pipe; small enough for one atomic write(2). */
struct report {
	int error;
	char what[256];
};

void exec_default_env(struct strvec *env)
{
	static const char *const names[] = {"PATH", "HOME", "LANG", "TMPDIR"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value)
			strvec_pushf(env, "%s=%s", names[i], value);
	}
}

void exec_block_signals(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, before);
}

void exec_reset_signals(void)
{
	const struct sigaction fallback = {.sa_handler = SIG_DFL};
	sigset_t none;

	/* Fails for KILL, STOP and the C library's own, which are what they should be. */
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &fallback, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void exec_report_failure(int report_fd, const char *what)
{
	struct report report = {.error = errno};

	snprintf(report.what, sizeof(report.what), "%s", what);
	if (write(report_fd, &report, sizeof(report)) < 0)
		_exit(126);
	_exit(127);
}

/* Moves a descriptor above those that the program is given, so that dup2(2) of another does not
 * close it. */
static int move_up(int fd)
{
	return fd > EXEC_KEPT_FD ? fd : fcntl(fd, F_DUPFD_CLOEXEC, EXEC_KEPT_FD + 1);
}

/* 0 stays 0: not wanted. */
static int move_up_wanted(int fd)
{
	return fd ? move_up(fd) : 0;
}

_Noreturn void exec_become(const struct exec_plan *plan)
{
	int report_fd = move_up(plan->report_fd);
	int in = move_up(plan->in);
	int out = move_up(plan->out);
	int errout = move_up(plan->errout);
	int program = move_up_wanted(plan->program_fd);
	int cwd = move_up_wanted(plan->cwd_fd);
	int keep = move_up_wanted(plan->keep_fd);

	exec_reset_signals();
	if (report_fd < 0)
		_exit(126);
	if (in < 0 || out < 0 || errout < 0 || program < 0 || cwd < 0 || keep < 0 ||
	    dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(errout, STDERR_FILENO) < 0)
		exec_report_failure(report_fd, "give it its descriptors");
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		exec_report_failure(report_fd, "close its other descriptors");
	if (keep && dup2(keep, EXEC_KEPT_FD) < 0)
		exec_report_failure(report_fd, "give it its descriptors");
	if ((plan->cwd && chdir(plan->cwd) < 0) || (cwd && fchdir(cwd) < 0))
		exec_report_failure(report_fd, "enter its folder");
	if (plan->rights && rights_give_up(plan->rights) < 0)
		exec_report_failure(report_fd, "give up its rights");
	if (program)
		syscall(SYS_execveat, program, "", plan->argv, plan->env, AT_EMPTY_PATH);
	else
		execvpe(plan->argv[0], plan->argv, plan->env);
	exec_report_failure(report_fd, "");
}

int exec_wait_report(int report_fd, const char *name, struct err *err)
{
	struct report report;
	ssize_t n;

	do {
		n = read(report_fd, &report, sizeof(report));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n < 0)
		return err_errno(err, "run '%s': hear whether it began", name);
	if (n != sizeof(report))
		return err_set(err, ERR_SYSTEM, "run '%s': the child died before it began", name);
	errno = report.error;
	if (!report.what[0])
		return err_errno(err, "run '%s'", name);
	return err_errno(err, "run '%s': %s", name, report.what);
}
