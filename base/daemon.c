/* The part of base/process.h that is about programs that outlive us. */
#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/exec.h"
#include "base/file.h"
#include "base/file_internal.h"
#include "base/log.h"
#include "base/strvec.h"

/* A stat file and a pid file are one line. */
#define LINE_LIMIT 4096
/* After KILL, the kernel needs only so long, unless the process hangs in it. */
#define KILL_WAIT_MS 5000

/* Field 22 of a stat line, counted from behind the program's name, which may hold blanks and
 * brackets. */
static unsigned long long parse_start_time(const char *stat)
{
	const char *after_name = strrchr(stat, ')');
	unsigned long long start;
	char state;

	if (!after_name || sscanf(after_name + 1,
				  " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
				  "%*d %*d %*d %llu",
				  &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}

#define CMDLINE_LIMIT (1 << 20)

/* A file of a process below /proc. One that is there and cannot be read is told, for the process counts as ended. */
static int read_proc(const char *path, size_t limit, struct strbuf *ret)
{
	struct err err;

	if (file_read(path, limit, ret, &err) == 0)
		return 0;
	if (errno != ENOENT && errno != ESRCH)
		log_warn("%s", err.msg);
	return -1;
}

static int read_stat(pid_t pid, struct strbuf *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	return read_proc(path, LINE_LIMIT, ret);
}

static bool read_name(pid_t pid, struct strbuf *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	if (pid <= 0 || !process_start_time(pid) || read_proc(path, LINE_LIMIT, ret) < 0)
		return false;
	strbuf_trim(ret);
	return true;
}

bool process_is(pid_t pid, const char *name)
{
	CLEANUP(strbuf_release) struct strbuf comm = STRBUF_INIT;

	return read_name(pid, &comm) && strcmp(comm.buf, name) == 0;
}

pid_t process_read_pid(const char *path, const char *name)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err ignored;
	pid_t pid;

	if (file_read(path, LINE_LIMIT, &text, &ignored) < 0)
		return 0;
	pid = (pid_t)strtol(text.buf, NULL, 10);
	return process_is(pid, name) ? pid : 0;
}

bool process_child_named(pid_t pid, const char *prefix, char ret[PROCESS_NAME_SIZE])
{
	CLEANUP(strbuf_release) struct strbuf children = STRBUF_INIT;
	char path[64], *rest, *word;

	ret[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
	if (pid <= 0 || read_proc(path, CMDLINE_LIMIT, &children) < 0)
		return false;
	for (word = strtok_r(children.buf, " \n", &rest); word;
	     word = strtok_r(NULL, " \n", &rest)) {
		CLEANUP(strbuf_release) struct strbuf comm = STRBUF_INIT;

		if (!read_name((pid_t)strtol(word, NULL, 10), &comm) ||
		    strncmp(comm.buf, prefix, strlen(prefix)) != 0 || comm.len >= PROCESS_NAME_SIZE)
			continue;
		memcpy(ret, comm.buf, comm.len + 1);
		return true;
	}
	return false;
}

/* /proc/PID/cmdline: the arguments, each with a NUL behind it. */
static bool has_argument(pid_t pid, const char *argument)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
	if (read_proc(path, CMDLINE_LIMIT, &line) < 0)
		return false;
	for (size_t at = 0; at < line.len; at += strlen(line.buf + at) + 1)
		if (strcmp(line.buf + at, argument) == 0)
			return true;
	return false;
}

static bool is_command(pid_t pid, const char *name, const char *argument)
{
	return process_is(pid, name) && has_argument(pid, argument);
}

pid_t process_find_command(const char *name, const char *argument)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t found = 0;

	while (proc && !found && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && is_command(pid, name, argument) &&
		    !is_command(process_parent(pid), name, argument))
			found = pid;
	}
	if (proc)
		closedir(proc);
	return found;
}

pid_t process_parent(pid_t pid)
{
	CLEANUP(strbuf_release) struct strbuf stat = STRBUF_INIT;
	const char *after_name;
	int parent;

	if (pid <= 0 || read_stat(pid, &stat) < 0)
		return 0;
	after_name = strrchr(stat.buf, ')');
	return after_name && sscanf(after_name + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : 0;
}

unsigned long long process_start_time(pid_t pid)
{
	CLEANUP(strbuf_release) struct strbuf stat = STRBUF_INIT;

	return read_stat(pid, &stat) < 0 ? 0 : parse_start_time(stat.buf);
}

/*
 * Not file_replace_in(): after a power cut nothing runs that the file could name, so it is not
 * synced. The caller may be killed at any moment, this child goes on.
 */
static int write_pid_file(int dirfd, const char *name)
{
	AUTO_FREE char *tmp = file_tmp_name(name);
	AUTO_FREE char *line =
		xasprintf("%ld %llu\n", (long)getpid(), process_start_time(getpid()));
	struct err ignored;
	AUTO_CLOSE int fd = file_write_new(dirfd, tmp, line, strlen(line), 0644, &ignored);

	return fd < 0 ? -1 : renameat(dirfd, tmp, dirfd, name);
}

/* A server wants as many descriptors as it may have; the soft limit is for programs that use
 * select(2). */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static _Noreturn void become_daemon(const struct exec_plan *plan, int pid_dirfd,
				    const char *pid_name)
{
	if (setsid() < 0)
		exec_report_failure(plan->report_fd, "start a session");
	umask(022);
	raise_file_limit();
	if (write_pid_file(pid_dirfd, pid_name) < 0)
		exec_report_failure(plan->report_fd, "write its pid file");
	exec_become(plan);
}

static pid_t fork_daemon(const struct exec_plan *plan, int pid_dirfd, const char *pid_name,
			 struct err *err)
{
	sigset_t before;
	pid_t pid;

	exec_block_signals(&before);
	pid = fork();
	if (pid == 0)
		become_daemon(plan, pid_dirfd, pid_name);
	if (pid < 0)
		err_errno(err, "start '%s'", plan->argv[0]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* Reads a pid file. Returns 0 where there is none. */
static pid_t read_pid_file(int dirfd, const char *path, unsigned long long *ret_start)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	struct err ignored;
	long pid;

	if (file_read_in(dirfd, path, LINE_LIMIT, &line, &ignored) < 0 ||
	    sscanf(line.buf, "%ld %llu", &pid, ret_start) != 2 || pid <= 0)
		return 0;
	return (pid_t)pid;
}

/* Only the child's own: where it failed before it wrote one, there may be that of another. */
static void remove_pid_file(int dirfd, const char *name, pid_t pid)
{
	unsigned long long start;

	if (read_pid_file(dirfd, name, &start) == pid)
		unlinkat(dirfd, name, 0);
}

int process_start_daemon(const struct process_daemon_spec *spec, pid_t *ret_pid, struct err *err)
{
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	AUTO_CLOSE int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int pid_dirfd = -1;
	AUTO_CLOSE int report_read = -1;
	AUTO_CLOSE int report_write = -1;
	const char *pid_name;
	int fds[2];
	pid_t pid;

	if (in < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, "start '%s'", spec->argv[0]);
	report_read = fds[0];
	report_write = fds[1];
	pid_dirfd = file_open_parent(spec->pid_dirfd, spec->pid_path, &pid_name, err);
	if (pid_dirfd < 0)
		return err_wrap(err, "start '%s'", spec->argv[0]);
	exec_default_env(&env);
	pid = fork_daemon(
		&(struct exec_plan) {
			.argv = spec->argv,
			.env = spec->env ? spec->env : env.v,
			.cwd = spec->cwd ? spec->cwd : "/",
			.in = in,
			.out = spec->log_fd,
			.errout = spec->log_fd,
			.report_fd = report_write,
		},
		pid_dirfd, pid_name, err);
	if (pid < 0)
		return -1;
	cleanup_close(&report_write);
	report_write = -1;
	if (exec_wait_report(report_read, spec->argv[0], err) < 0) {
		waitpid(pid, NULL, 0);
		remove_pid_file(pid_dirfd, pid_name, pid);
		return -1;
	}
	*ret_pid = pid;
	return 0;
}

pid_t process_find_daemon(int dirfd, const char *pid_path)
{
	unsigned long long start;
	pid_t pid = read_pid_file(dirfd, pid_path, &start);

	return pid && start && process_start_time(pid) == start ? pid : 0;
}

/* Waits until the process has ended. True where it has. */
static bool wait_gone(int pidfd, int timeout_ms)
{
	int64_t until = clock_ms() + timeout_ms;
	int64_t left = timeout_ms;

	do {
		struct pollfd fds = {.fd = pidfd, .events = POLLIN};
		int n = poll(&fds, 1, (int)left);

		if (n > 0)
			return true;
		left = until - clock_ms();
	} while (left > 0);
	return false;
}

/* A daemon leads its group: what it has started there goes with it. */
static void kill_hard(pid_t pid, int pidfd)
{
	if (getpgid(pid) == pid)
		kill(-pid, SIGKILL);
	else
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

int process_stop(pid_t pid, int sig, int timeout_ms, struct err *err)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0 && errno == ESRCH)
		return 0;
	if (pidfd < 0)
		return err_errno(err, "stop process %ld", (long)pid);
	if (syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
		return err_errno(err, "stop process %ld", (long)pid);
	if (!wait_gone(pidfd, timeout_ms)) {
		kill_hard(pid, pidfd);
		if (!wait_gone(pidfd, KILL_WAIT_MS))
			return err_set(err, ERR_SYSTEM, "process %ld does not end, even by KILL",
				       (long)pid);
	}
	/* Where it is not our child, whoever is its parent does this. */
	waitpid(pid, NULL, WNOHANG);
	return 0;
}
