#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/unit/group.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define RESULT(name)                                                                               \
	CLEANUP(process_result_release) struct process_result name = PROCESS_RESULT_INIT

#define SHELL(script)                                                                              \
	((struct process_spec) {                                                                   \
		.argv = ARGV("sh", "-c", script),                                                  \
		.timeout_ms = 10000,                                                               \
		.capture_limit = 1 << 20,                                                          \
	})

static void run(const struct process_spec *spec, struct process_result *res)
{
	struct err err = {0};

	if (process_run(spec, res, &err) < 0)
		fail_msg("%s", err.msg);
}

static int count_open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_output_and_status(void **state)
{
	struct process_spec spec = SHELL("echo out; echo err >&2; exit 3");
	int before = count_open_fds();
	RESULT(res);

	(void)state;
	run(&spec, &res);
	assert_int_equal(res.status, 3);
	assert_string_equal(res.out.buf, "out\n");
	assert_string_equal(res.errout.buf, "err\n");
	assert_int_equal(count_open_fds(), before);
}

static void test_signal_status(void **state)
{
	struct process_spec spec = SHELL("kill -9 $$");
	RESULT(res);

	(void)state;
	run(&spec, &res);
	assert_int_equal(res.status, 128 + SIGKILL);
}

static void test_input(void **state)
{
	AUTO_FREE char *large = xcalloc(1, 300000);
	struct process_spec spec = SHELL("cat");
	RESULT(res);

	(void)state;
	memset(large, 'x', 300000);
	spec.stdin_data = large;
	spec.stdin_len = 300000;
	run(&spec, &res);
	assert_int_equal(res.out.len, 300000);
	assert_memory_equal(res.out.buf, large, 300000);
}

static void test_input_that_nobody_reads(void **state)
{
	AUTO_FREE char *large = xcalloc(1, 300000);
	struct process_spec spec = SHELL("exit 0");
	RESULT(res);

	(void)state;
	spec.stdin_data = large;
	spec.stdin_len = 300000;
	run(&spec, &res);
	assert_int_equal(res.status, 0);
}

static void test_no_input_is_dev_null(void **state)
{
	struct process_spec spec = SHELL("readlink /proc/self/fd/0; cat");
	RESULT(res);

	(void)state;
	run(&spec, &res);
	assert_string_equal(res.out.buf, "/dev/null\n");
}

static void test_capture_limit(void **state)
{
	struct process_spec spec = SHELL("head -c 500000 /dev/zero; echo 12345678901 >&2");
	RESULT(res);
	RESULT(nothing);

	(void)state;
	spec.capture_limit = 10;
	run(&spec, &res);
	assert_int_equal(res.out.len, 10);
	assert_true(res.out.overflow);
	assert_string_equal(res.errout.buf, "1234567890");
	spec.capture_limit = 0;
	run(&spec, &nothing);
	assert_int_equal(nothing.status, 0);
	assert_int_equal(nothing.out.len, 0);
}

static void test_environment(void **state)
{
	struct process_spec spec = SHELL("echo \"$SECRET:$HOME:$GIVEN\"");
	RESULT(by_default);
	RESULT(given);

	(void)state;
	setenv("SECRET", "leaked", 1);
	setenv("HOME", "/somewhere", 1);
	run(&spec, &by_default);
	assert_string_equal(by_default.out.buf, ":/somewhere:\n");
	spec.env = ARGV("GIVEN=x");
	run(&spec, &given);
	assert_string_equal(given.out.buf, "::x\n");
	unsetenv("SECRET");
}

static void test_folder(void **state)
{
	struct process_spec spec = SHELL("pwd");
	struct err err = {0};
	RESULT(res);

	(void)state;
	spec.cwd = "/proc";
	run(&spec, &res);
	assert_string_equal(res.out.buf, "/proc\n");
	spec.cwd = "/does/not/exist";
	assert_int_equal(process_run(&spec, &res, &err), -1);
	assert_string_equal(err.msg, "run 'sh': enter its folder: No such file or directory");
}

static void test_cannot_be_started(void **state)
{
	struct process_spec spec = SHELL("");
	int before = count_open_fds();
	struct err err = {0};
	RESULT(res);

	(void)state;
	spec.argv = ARGV("no-such-program");
	assert_int_equal(process_run(&spec, &res, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_string_equal(err.msg, "run 'no-such-program': No such file or directory");
	spec.argv = ARGV("/etc/passwd");
	assert_int_equal(process_run(&spec, &res, &err), -1);
	assert_string_equal(err.msg, "run '/etc/passwd': Permission denied");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(count_open_fds(), before);
}

static void test_no_descriptors_left(void **state)
{
	struct process_spec spec = SHELL("exit 0");
	struct rlimit before;
	struct rlimit few;
	struct err err = {0};
	RESULT(res);

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	for (rlim_t n = 3; n < 9; n++) {
		few = (struct rlimit) {n, before.rlim_max};
		setrlimit(RLIMIT_NOFILE, &few);
		assert_int_equal(process_run(&spec, &res, &err), -1);
		setrlimit(RLIMIT_NOFILE, &before);
		assert_non_null(strstr(err.msg, "Too many open files"));
	}
}

static void test_inherits_nothing(void **state)
{
	struct process_spec spec = SHELL("ls /proc/self/fd; cat /proc/self/status");
	const char *ignored;
	int leaky[2];
	sigset_t usr1;
	RESULT(res);

	(void)state;
	assert_int_equal(pipe(leaky), 0); /* without O_CLOEXEC */
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	signal(SIGPIPE, SIG_IGN);
	run(&spec, &res);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(leaky[0]);
	close(leaky[1]);
	assert_memory_equal(res.out.buf, "0\n1\n2\n3\nName:", 13); /* 3 is of ls itself */
	assert_non_null(strstr(res.out.buf, "SigBlk:\t0000000000000000\n"));
	ignored = strstr(res.out.buf, "SigIgn:\t");
	assert_non_null(ignored);
	/* 32 and 33 are the C library's own: sigaction(2) of glibc does not touch them, and whoever
	 * started these tests may have left them ignored. */
	assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & ~(3ULL << 31), 0);
}

/* A program may close its standard descriptors, ours may be closed: 0 to 2 are then pipes of ours.
 */
static void test_without_standard_descriptors(void **state)
{
	struct process_spec spec = SHELL("cat; echo err >&2");
	int saved[3];
	struct err err = {0};
	RESULT(res);
	int rc;

	(void)state;
	spec.stdin_data = "in";
	spec.stdin_len = 2;
	for (int fd = 0; fd < 3; fd++) {
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
	}
	rc = process_run(&spec, &res, &err);
	for (int fd = 0; fd < 3; fd++) {
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
	assert_int_equal(rc, 0);
	assert_string_equal(res.out.buf, "in");
	assert_string_equal(res.errout.buf, "err\n");
}

static void test_deadline(void **state)
{
	struct process_spec spec = SHELL("echo $$; sleep 30");
	int64_t before = clock_ms();
	struct err err = {0};
	RESULT(res);

	(void)state;
	spec.timeout_ms = 150;
	assert_int_equal(process_run(&spec, &res, &err), -1);
	assert_in_range(clock_ms() - before, 150, 1500);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_string_equal(err.msg, "run 'sh': did not finish in 0.15 s");
	assert_true(group_is_gone((pid_t)strtol(res.out.buf, NULL, 10)));
}

static void test_deadline_of_one_that_ignores_term(void **state)
{
	struct process_spec spec = SHELL("trap '' TERM; echo $$; sleep 30; sleep 30");
	int64_t before = clock_ms();
	struct err err = {0};
	RESULT(res);

	(void)state;
	spec.timeout_ms = 100;
	assert_int_equal(process_run(&spec, &res, &err), -1);
	assert_in_range(clock_ms() - before, 2000, 4000);
	assert_true(group_is_gone((pid_t)strtol(res.out.buf, NULL, 10)));
}

/* Output without end does not keep the deadline from passing. */
static void test_deadline_of_a_chatterer(void **state)
{
	struct process_spec spec = SHELL("cat /dev/zero");
	int64_t before = clock_ms();
	struct err err = {0};
	RESULT(res);

	(void)state;
	spec.timeout_ms = 150;
	assert_int_equal(process_run(&spec, &res, &err), -1);
	assert_in_range(clock_ms() - before, 150, 1500);
	assert_true(res.out.overflow);
}

static void test_grandchild_that_keeps_the_pipe(void **state)
{
	struct process_spec spec = SHELL("sleep 30 & echo $$; exit 5");
	int64_t before = clock_ms();
	RESULT(res);

	(void)state;
	run(&spec, &res);
	assert_true(clock_ms() - before < 2000);
	assert_int_equal(res.status, 5);
	assert_true(group_is_gone((pid_t)strtol(res.out.buf, NULL, 10)));
}

/* As `keepalived -t` does it: the program sends itself TERM, and goes on. */
static void test_no_kill(void **state)
{
	struct process_spec spec = SHELL("kill -TERM $$ && echo on");
	RESULT(before);
	RESULT(res);

	(void)state;
	run(&spec, &before);
	assert_int_equal(before.status, 128 + SIGTERM);
	spec.no_kill = true;
	run(&spec, &res);
	assert_int_equal(res.status, 0);
	assert_string_equal(res.out.buf, "on\n");
}

/* The deadline's signals come from outside, and arrive. */
static void test_no_kill_deadline(void **state)
{
	struct process_spec spec = SHELL("sleep 30; sleep 30");
	struct err err = {0};
	RESULT(res);

	(void)state;
	spec.no_kill = true;
	spec.timeout_ms = 100;
	assert_int_equal(process_run(&spec, &res, &err), -1);
	assert_non_null(strstr(err.msg, "did not finish"));
}

/* A caller that is killed takes with it what it has run. */
static void test_dies_with_the_caller(void **state)
{
	/* Its own descriptors are closed in the program. */
	struct process_spec spec = SHELL("echo $$ >/proc/$PPID/fd/9; exec sleep 60");
	char line[32] = "";
	int fds[2];
	pid_t caller;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	caller = fork();
	if (caller == 0) {
		struct process_result res = PROCESS_RESULT_INIT;
		struct err err = {0};

		dup2(fds[1], 9);
		process_run(&spec, &res, &err);
		_exit(0);
	}
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	kill(caller, SIGKILL);
	waitpid(caller, NULL, 0);
	for (int i = 0; i < 12000 && process_start_time((pid_t)strtol(line, NULL, 10)); i++)
		clock_sleep_ms(5);
	assert_int_equal(process_start_time((pid_t)strtol(line, NULL, 10)), 0);
	close(fds[0]);
	close(fds[1]);
}

static void test_failed(void **state)
{
	static const struct {
		const char *script;
		const char *want;
	} cases[] = {
		{"echo a; printf 'b\\n\\n  last \\n \\n' >&2; exit 1", "sh: exit status 1: last"},
		{"echo only; exit 2", "sh: exit status 2: only"},
		{"exit 7", "sh: exit status 7: it said nothing"},
		{"echo no >&2; kill -TERM $$", "sh: ended by signal 15: no"},
		{"printf '\\033[2Jx' >&2; exit 1", "sh: exit status 1: ?[2Jx"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct process_spec spec = SHELL(cases[i].script);
		struct err err = {0};
		RESULT(res);

		spec.argv = ARGV("/bin/sh", "-c", cases[i].script);
		run(&spec, &res);
		assert_int_equal(process_failed(&spec, &res, &err), -1);
		assert_int_equal(err.code, ERR_CHECK);
		assert_string_equal(err.msg, cases[i].want);
	}
}

static int call_echo(void *arg, int out_fd, struct err *err)
{
	const char *text = arg;

	if (write(out_fd, text, strlen(text)) < 0)
		return err_errno(err, "write");
	return 0;
}

static int call_fail(void *arg, int out_fd, struct err *err)
{
	(void)arg;
	(void)out_fd;
	return err_set(err, ERR_GIT, "no such ref");
}

static int call_hang(void *arg, int out_fd, struct err *err)
{
	(void)arg;
	(void)out_fd;
	(void)err;
	clock_sleep_ms(30000);
	return 0;
}

static int call_crash(void *arg, int out_fd, struct err *err)
{
	(void)arg;
	(void)out_fd;
	(void)err;
	raise(SIGKILL);
	return 0;
}

static int call_exit(void *arg, int out_fd, struct err *err)
{
	(void)arg;
	(void)out_fd;
	(void)err;
	_exit(1);
}

static void test_call(void **state)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf limited = STRBUF_LIMITED(3);
	int before = count_open_fds();
	char hello[] = "hello";
	struct err err = {0};

	(void)state;
	assert_int_equal(process_call(call_echo, hello, 5000, &out, &err), 0);
	assert_string_equal(out.buf, "hello");
	assert_int_equal(process_call(call_echo, hello, 5000, &limited, &err), 0);
	assert_string_equal(limited.buf, "hel");
	assert_true(limited.overflow);
	assert_int_equal(count_open_fds(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_call_fails(void **state)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
	int64_t before = clock_ms();
	struct err err = {0};

	(void)state;
	assert_int_equal(process_call(call_fail, NULL, 5000, &out, &err), -1);
	assert_int_equal(err.code, ERR_GIT);
	assert_string_equal(err.msg, "no such ref");
	assert_int_equal(process_call(call_crash, NULL, 5000, &out, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_string_equal(err.msg, "a worker process ended early, with status 137");
	assert_int_equal(process_call(call_exit, NULL, 5000, &out, &err), -1);
	assert_string_equal(err.msg, "a worker process ended early, with status 1");
	assert_int_equal(process_call(call_hang, NULL, 100, &out, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_string_equal(err.msg, "did not answer within 0.1 s");
	assert_true(clock_ms() - before < 3000);
}

/* --- several at the same time --- */

static struct process_job *begin(const struct process_spec *spec)
{
	struct err err = {0};
	struct process_job *job = process_begin(spec, &err);

	if (!job)
		fail_msg("%s", err.msg);
	return job;
}

static void wait_for_both(struct process_job *const jobs[2])
{
	struct err err = {0};

	while (!process_has_ended(jobs[0]) || !process_has_ended(jobs[1]))
		if (process_wait(jobs, 2, -1, &err) < 0)
			fail_msg("%s", err.msg);
}

/* Each waits for the other one: neither would end before the other began. */
static void test_at_the_same_time(void **state)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct process_spec first = SHELL("cat; echo x >there; read y <back; echo $y; exit 3");
	struct process_spec second = SHELL("read x <there; echo $x >&2; echo y >back");
	struct process_job *jobs[2];
	struct err err = {0};
	int before = count_open_fds();
	RESULT(res);

	(void)state;
	first.cwd = second.cwd = dir.path;
	assert_int_equal(mkfifoat(dir.fd, "there", 0600), 0);
	assert_int_equal(mkfifoat(dir.fd, "back", 0600), 0);
	first.stdin_data = "in ";
	first.stdin_len = 3;
	jobs[0] = begin(&first);
	jobs[1] = begin(&second);
	first.argv = second.argv = NULL;
	wait_for_both(jobs);
	assert_int_equal(process_end(&jobs[0], &res, &err), 0);
	assert_null(jobs[0]);
	assert_int_equal(res.status, 3);
	assert_string_equal(res.out.buf, "in y\n");
	assert_int_equal(process_end(&jobs[1], &res, &err), 0);
	assert_int_equal(res.status, 0);
	assert_string_equal(res.out.buf, "");
	assert_string_equal(res.errout.buf, "x\n");
	assert_int_equal(count_open_fds(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* The deadline is each one's own, and so is the cap. */
static void test_at_the_same_time_with_limits(void **state)
{
	struct process_spec late = SHELL("echo so far; exec sleep 300");
	struct process_spec large = SHELL("head -c 500000 /dev/zero");
	struct process_job *jobs[2];
	struct err err = {0};
	RESULT(res);

	(void)state;
	late.timeout_ms = 100;
	large.capture_limit = 10;
	jobs[0] = begin(&late);
	jobs[1] = begin(&large);
	wait_for_both(jobs);
	assert_int_equal(process_end(&jobs[0], &res, &err), 1);
	assert_int_equal(res.status, 128 + SIGTERM);
	assert_string_equal(res.out.buf, "so far\n");
	assert_int_equal(process_end(&jobs[1], &res, &err), 0);
	assert_int_equal(res.status, 0);
	assert_int_equal(res.out.len, 10);
	assert_true(res.out.overflow);
}

/* One that has not ended, and what it has begun: the pipe has no writer any more. */
static void test_ended_before_its_end(void **state)
{
	struct process_spec spec = SHELL("trap '' TERM; echo ready; sleep 300 & wait");
	struct process_job *job = begin(&spec);
	struct process_spec none = {.argv = ARGV("/does/not/exist"), .timeout_ms = 1000};
	struct err err = {0};
	int ends[2];
	char byte;

	(void)state;
	process_job_freep(&job);
	assert_null(job);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(pipe(ends), 0);
	spec = SHELL("sleep 300 & echo; exec sleep 300");
	spec.keep_fd = ends[1];
	job = begin(&spec);
	close(ends[1]);
	process_job_freep(&job);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	process_job_freep(&job);
	assert_null(process_begin(&none, &err));
	assert_non_null(strstr(err.msg, "/does/not/exist"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_the_same_time),
		cmocka_unit_test(test_at_the_same_time_with_limits),
		cmocka_unit_test(test_ended_before_its_end),
		cmocka_unit_test(test_output_and_status),
		cmocka_unit_test(test_signal_status),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_input_that_nobody_reads),
		cmocka_unit_test(test_no_input_is_dev_null),
		cmocka_unit_test(test_capture_limit),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_cannot_be_started),
		cmocka_unit_test(test_no_descriptors_left),
		cmocka_unit_test(test_inherits_nothing),
		cmocka_unit_test(test_without_standard_descriptors),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_deadline_of_one_that_ignores_term),
		cmocka_unit_test(test_deadline_of_a_chatterer),
		cmocka_unit_test(test_grandchild_that_keeps_the_pipe),
		cmocka_unit_test(test_no_kill),
		cmocka_unit_test(test_no_kill_deadline),
		cmocka_unit_test(test_dies_with_the_caller),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
