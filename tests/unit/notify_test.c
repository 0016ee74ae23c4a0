#include "base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"
#include "tests/unit/test.h"

/* The service manager's end, on an abstract name. */
static int manager_fd;

static int listen_as_manager(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char name[64];
	int len = snprintf(name, sizeof(name), "@dynia-notify-test-%d", (int)getpid());

	(void)state;
	memcpy(at.sun_path, name, (size_t)len);
	at.sun_path[0] = '\0';
	manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return bind(manager_fd, (struct sockaddr *)&at,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len));
}

static int stop_listening(void **state)
{
	(void)state;
	notify_release();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return close(manager_fd);
}

/* The next message, "" where there is none. */
static const char *heard(void)
{
	static char text[2000];
	ssize_t n = recv(manager_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void setup(void)
{
	struct err err = {0};

	assert_int_equal(notify_setup(&err), 0);
}

static void test_says_what_it_should(void **state)
{
	struct err err = {0};

	(void)state;
	setup();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(notify_ready(&err), 0);
	assert_string_equal(heard(), "READY=1");
	notify_status("%s", "one\nREADY=1");
	assert_string_equal(heard(), "STATUS=one");
	notify_stopping();
	assert_string_equal(heard(), "STOPPING=1");
	notify_alive();
	assert_string_equal(heard(), "");
	assert_int_equal(notify_wait_ms(-1), -1);
	assert_int_equal(notify_wait_ms(70000), 70000);
}

static void test_watchdog(void **state)
{
	(void)state;
	setenv("WATCHDOG_USEC", "90000000", 1);
	setup();
	assert_null(getenv("WATCHDOG_USEC"));
	notify_alive();
	assert_string_equal(heard(), "WATCHDOG=1");
	notify_alive();
	assert_string_equal(heard(), "");
	assert_in_range(notify_wait_ms(-1), 20000, 30000);
	assert_in_range(notify_wait_ms(1000000), 20000, 30000);
	assert_int_equal(notify_wait_ms(5), 5);
}

/* Each of the waits that a pass consists of. */
static void test_waits_are_alive(void **state)
{
	struct process_spec spec = {.argv = ARGV("sleep", "0.2"), .timeout_ms = 60000};
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	struct err err = {0};
	int n = 0;

	(void)state;
	setenv("WATCHDOG_USEC", "30000", 1);
	setup();
	assert_int_equal(process_run(&spec, &res, &err), 0);
	while (strcmp(heard(), "WATCHDOG=1") == 0)
		n++;
	assert_true(n >= 3);
	clock_sleep_ms(20);
	clock_sleep_ms(0);
	assert_string_equal(heard(), "WATCHDOG=1");
}

static void test_watchdog_of_another(void **state)
{
	(void)state;
	setenv("WATCHDOG_USEC", "30000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	setup();
	notify_alive();
	assert_string_equal(heard(), "");
}

static int speak(void *arg, int out_fd, struct err *err)
{
	(void)arg;
	(void)out_fd;
	return notify_ready(err);
}

static void test_a_child_says_nothing(void **state)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
	struct err err = {0};

	(void)state;
	setup();
	assert_int_equal(process_call(speak, NULL, 60000, &out, &err), 0);
	assert_string_equal(heard(), "");
}

static void test_nobody_listens(void **state)
{
	struct err err = {0};

	(void)state;
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	assert_int_equal(notify_setup(&err), -1);
	assert_non_null(strstr(err.msg, "/nonexistent/notify"));
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_setup(&err), -1);
	setup();
	assert_int_equal(notify_ready(&err), 0);
	notify_status("%s", "said to nobody");
	notify_alive();
	assert_int_equal(notify_wait_ms(-1), -1);
}

#define WITH_MANAGER(test) cmocka_unit_test_setup_teardown(test, listen_as_manager, stop_listening)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MANAGER(test_says_what_it_should),  WITH_MANAGER(test_watchdog),
		WITH_MANAGER(test_waits_are_alive),      WITH_MANAGER(test_watchdog_of_another),
		WITH_MANAGER(test_a_child_says_nothing), WITH_MANAGER(test_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
