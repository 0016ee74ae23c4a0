/* The part of base/process.h that is about programs that outlive us. */
#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/unit/group.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

struct daemon_fixture {
	struct scratch dir;
	int log_fd;
};

static struct daemon_fixture daemon_fixture_make(void)
{
	struct daemon_fixture fixture = {.dir = scratch_make()};

	fixture.log_fd =
		openat(fixture.dir.fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fixture;
}

static void daemon_fixture_release(struct daemon_fixture *fixture)
{
	close(fixture->log_fd);
	scratch_release(&fixture->dir);
}

#define DAEMON_FIXTURE(name)                                                                       \
	CLEANUP(daemon_fixture_release) struct daemon_fixture name = daemon_fixture_make()

static pid_t start_shell_daemon(struct daemon_fixture *fixture, const char *script)
{
	struct process_daemon_spec spec = {
		.argv = ARGV("sh", "-c", script),
		.log_fd = fixture->log_fd,
		.pid_dirfd = fixture->dir.fd,
		.pid_path = "x.pid",
	};
	struct err err = {0};
	pid_t pid = 0;

	if (process_start_daemon(&spec, &pid, &err) < 0)
		fail_msg("%s", err.msg);
	return pid;
}

/* Waits until the log holds the text. */
static void wait_for_log(struct daemon_fixture *fixture, const char *text, struct strbuf *log)
{
	struct err err = {0};

	for (int i = 0; i < 250; i++) {
		assert_int_equal(file_read_in(fixture->dir.fd, "log", 1 << 20, log, &err), 0);
		if (strstr(log->buf, text))
			return;
		clock_sleep_ms(20);
	}
	fail_msg("the log has no '%s' but: %s", text, log->buf);
}

static void test_daemon(void **state)
{
	CLEANUP(strbuf_release) struct strbuf log = STRBUF_INIT;
	DAEMON_FIXTURE(fixture);
	struct err err = {0};
	int leaky[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(leaky), 0);
	pid = start_shell_daemon(&fixture, "pwd; readlink /proc/$$/fd/0; ls /proc/$$/fd; "
					   "ulimit -n; ulimit -Hn; cut -d' ' -f6 /proc/$$/stat; "
					   "echo done >&2; exec sleep 30");
	close(leaky[0]);
	close(leaky[1]);
	wait_for_log(&fixture, "done\n", &log);
	assert_memory_equal(log.buf, "/\n/dev/null\n0\n1\n2\n", 18);
	{
		char *at = log.buf + 18;
		long soft = strtol(at, &at, 10);
		long hard = strtol(at, &at, 10);

		assert_int_equal(soft, hard);
		assert_int_equal(strtol(at, NULL, 10), pid); /* leads a session of its own */
	}
	assert_int_equal(process_find_daemon(fixture.dir.fd, "x.pid"), pid);
	assert_int_equal(process_stop(pid, SIGTERM, 5000, &err), 0);
	assert_int_equal(process_find_daemon(fixture.dir.fd, "x.pid"), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(process_stop(pid, SIGTERM, 5000, &err), 0);
}

static void test_daemon_that_ignores_term(void **state)
{
	CLEANUP(strbuf_release) struct strbuf log = STRBUF_INIT;
	DAEMON_FIXTURE(fixture);
	struct err err = {0};
	pid_t pid = start_shell_daemon(&fixture, "trap '' TERM; sleep 30 & echo done; "
						 "sleep 30; sleep 30");

	(void)state;
	wait_for_log(&fixture, "done\n", &log);
	assert_int_equal(process_stop(pid, SIGTERM, 100, &err), 0);
	assert_int_equal(process_start_time(pid), 0);
	assert_true(group_is_gone(pid));
}

static void test_daemon_cannot_be_started(void **state)
{
	DAEMON_FIXTURE(fixture);
	struct process_daemon_spec spec = {
		.argv = ARGV("no-such-program"),
		.log_fd = fixture.log_fd,
		.pid_dirfd = fixture.dir.fd,
		.pid_path = "x.pid",
	};
	struct err err = {0};
	pid_t pid = 0;

	(void)state;
	assert_int_equal(process_start_daemon(&spec, &pid, &err), -1);
	assert_string_equal(err.msg, "run 'no-such-program': No such file or directory");
	assert_int_equal(file_stat_in(fixture.dir.fd, "x.pid", NULL, &err), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	/* It fails before it has written its own: what is there is another's, and stays. */
	assert_int_equal(mkdirat(fixture.dir.fd, ".x.pid.dynia-tmp", 0755), 0);
	assert_int_equal(file_replace_in(fixture.dir.fd, "y", "", 0, 0644, &err), 0);
	assert_int_equal(linkat(fixture.dir.fd, "y", fixture.dir.fd, "x.pid", 0), 0);
	assert_int_equal(process_start_daemon(&spec, &pid, &err), -1);
	assert_non_null(strstr(err.msg, "write its pid file"));
	assert_int_equal(file_stat_in(fixture.dir.fd, "x.pid", NULL, &err), 1);
	spec.pid_path = "none/x.pid";
	assert_int_equal(process_start_daemon(&spec, &pid, &err), -1);
	assert_string_equal(err.msg,
			    "start 'no-such-program': open 'none/': No such file or directory");
	spec.pid_path = "z.pid";
	spec.cwd = "/does/not/exist";
	assert_int_equal(process_start_daemon(&spec, &pid, &err), -1);
	assert_non_null(strstr(err.msg, "enter its folder"));
	assert_int_equal(pid, 0);
}

static void write_pid_file(const struct scratch *dir, const char *text)
{
	struct err err = {0};

	assert_int_equal(file_replace_in(dir->fd, "x.pid", text, strlen(text), 0644, &err), 0);
}

/* A pid that was given to another process since is not the daemon. */
static void test_find_daemon_by_its_start(void **state)
{
	static const char *const wrong[] = {"",       "x",     "1",           "0 1\n",
					    "-1 1\n", "1 0\n", "99999999 7\n"};
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	unsigned long long start = process_start_time(getpid());
	AUTO_FREE char *ours = xasprintf("%d %llu\n", getpid(), start);
	AUTO_FREE char *another = xasprintf("%d %llu\n", getpid(), start - 1);

	(void)state;
	assert_true(start > 0);
	assert_int_equal(process_find_daemon(dir.fd, "x.pid"), 0);
	write_pid_file(&dir, ours);
	assert_int_equal(process_find_daemon(dir.fd, "x.pid"), getpid());
	write_pid_file(&dir, another);
	assert_int_equal(process_find_daemon(dir.fd, "x.pid"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		write_pid_file(&dir, wrong[i]);
		assert_int_equal(process_find_daemon(dir.fd, "x.pid"), 0);
	}
}

static void test_start_time_of_a_zombie(void **state)
{
	struct err err = {0};
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_start_time(pid), 0);
	assert_int_equal(process_stop(pid, SIGTERM, 1000, &err), 0); /* reaps it */
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

static void test_stop_of_nonsense(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(process_stop(-5, SIGTERM, 100, &err), -1);
	assert_string_equal(err.msg, "stop process -5: Invalid argument");
	assert_int_equal(process_stop(getpid(), 9999, 100, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_daemon_that_ignores_term),
		cmocka_unit_test(test_daemon_cannot_be_started),
		cmocka_unit_test(test_find_daemon_by_its_start),
		cmocka_unit_test(test_start_time_of_a_zombie),
		cmocka_unit_test(test_stop_of_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
