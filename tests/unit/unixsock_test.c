#include "base/unixsock.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

static int listen_at(const char *path, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* A child that accepts once, reads a line, writes `times` times the reply, and then waits before it
 * closes. */
static pid_t serve(int listener, const char *reply, int times, int wait_ms)
{
	char line[64];
	size_t n = 0;
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	fd = accept(listener, NULL, NULL);
	while (n < sizeof(line) && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	if (n > 0 && write(fd, line, n) < 0)
		_exit(1);
	for (int i = 0; i < times; i++) {
		if (write(fd, reply, strlen(reply)) < 0)
			_exit(1);
	}
	clock_sleep_ms(wait_ms);
	_exit(0);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct fixture {
	struct scratch dir;
	char *path;
	int listener;
};

static struct fixture fixture_make(void)
{
	struct fixture fixture = {.dir = scratch_make()};

	fixture.path = xasprintf("%s/sock", fixture.dir.path);
	fixture.listener = listen_at(fixture.path, 4);
	return fixture;
}

static void fixture_release(struct fixture *fixture)
{
	close(fixture->listener);
	free(fixture->path);
	scratch_release(&fixture->dir);
}

static void test_answer(void **state)
{
	CLEANUP(fixture_release) struct fixture fixture = fixture_make();
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_INIT;
	struct err err = {0};
	pid_t pid = serve(fixture.listener, ":0123456789", 10000, 0);

	(void)state;
	assert_int_equal(unixsock_command(fixture.path, "show info", 5000, &reply, &err), 0);
	end(pid);
	assert_memory_equal(reply.buf, "show info:0123456789:", 21);
	assert_int_equal(reply.len, 9 + 11 * 10000);
}

static void test_limit(void **state)
{
	CLEANUP(fixture_release) struct fixture fixture = fixture_make();
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_LIMITED(20);
	struct err err = {0};
	pid_t pid = serve(fixture.listener, ":0123456789", 100, 0);

	(void)state;
	assert_int_equal(unixsock_command(fixture.path, "x", 5000, &reply, &err), 0);
	end(pid);
	assert_int_equal(reply.len, 20);
	assert_true(reply.overflow);
}

static void test_nobody_listens(void **state)
{
	CLEANUP(fixture_release) struct fixture fixture = fixture_make();
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_INIT;
	struct err err = {0};

	(void)state;
	assert_int_equal(unixsock_command("/does/not/exist", "x", 1000, &reply, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_string_equal(err.msg, "socket '/does/not/exist': No such file or directory");
	close(fixture.listener);
	fixture.listener = -1;
	assert_int_equal(unixsock_command(fixture.path, "x", 1000, &reply, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.msg, "Connection refused"));
}

static void test_path_length(void **state)
{
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_INIT;
	char path[UNIXSOCK_PATH_MAX + 2];
	struct err err = {0};

	(void)state;
	memset(path, 'x', sizeof(path));
	path[UNIXSOCK_PATH_MAX + 1] = '\0';
	assert_int_equal(unixsock_command(path, "x", 1000, &reply, &err), -1);
	assert_non_null(strstr(err.msg, "longer than 107 bytes"));
	path[UNIXSOCK_PATH_MAX] = '\0';
	assert_int_equal(unixsock_command(path, "x", 1000, &reply, &err), -1);
	assert_non_null(strstr(err.msg, "No such file"));
}

static void assert_times_out(const char *path, const char *command)
{
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_INIT;
	int64_t before = clock_ms();
	struct err err = {0};

	assert_int_equal(unixsock_command(path, command, 100, &reply, &err), -1);
	assert_true(clock_ms() - before < 2000);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.msg, "no answer in time"));
}

static void test_answer_without_end(void **state)
{
	CLEANUP(fixture_release) struct fixture fixture = fixture_make();
	pid_t pid = serve(fixture.listener, "begun", 1, 10000);

	(void)state;
	assert_times_out(fixture.path, "x");
	end(pid);
}

static void test_nobody_reads(void **state)
{
	CLEANUP(fixture_release) struct fixture fixture = fixture_make();
	AUTO_FREE char *large = xcalloc(1, 8 << 20);

	(void)state;
	memset(large, 'x', (8 << 20) - 1);
	assert_times_out(fixture.path, large);
}

static void test_queue_is_full(void **state)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	AUTO_FREE char *path = xasprintf("%s/sock", dir.path);
	AUTO_CLOSE int listener = listen_at(path, 0);
	AUTO_CLOSE int waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_true(listener >= 0);
	assert_int_equal(connect(waiting, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_times_out(path, "x");
}

/* The other side closes with our command unread: a reset, or SIGPIPE for a careless sender. */
static void test_hangs_up(void **state)
{
	CLEANUP(fixture_release) struct fixture fixture = fixture_make();
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_INIT;
	AUTO_FREE char *large = xcalloc(1, 8 << 20);
	struct err err = {0};
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		close(accept(fixture.listener, NULL, NULL));
		_exit(0);
	}
	memset(large, 'x', (8 << 20) - 1);
	assert_int_equal(unixsock_command(fixture.path, large, 5000, &reply, &err), -1);
	end(pid);
	assert_int_equal(err.code, ERR_NETWORK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_answer_without_end),
		cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_queue_is_full),
		cmocka_unit_test(test_hangs_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
