#include "base/clock.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

static void test_format(void **state)
{
	static const struct {
		int64_t wall_s;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{951782400, "2000-02-29T00:00:00Z"},
		{INT64_C(4102444799), "2099-12-31T23:59:59Z"},
		{INT64_C(253402300799), "9999-12-31T23:59:59Z"},
	};
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		clock_format(cases[i].wall_s, text);
		assert_string_equal(text, cases[i].text);
		assert_true(clock_parse(text) == cases[i].wall_s);
	}
	clock_format(-5, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	clock_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
}

static void test_parse_refuses(void **state)
{
	static const char *const wrong[] = {
		"",
		"now",
		"2026-11-23",
		"2026-11-23T09:00:00",
		"2026-11-23T09:00:00z",
		"2026-11-23T09:00:00Z ",
		" 2026-11-23T09:00:00Z",
		"2026-11-23 09:00:00Z",
		"2026-1-23T09:00:00Z",
		"2026-11-23T9:00:00Z",
		"2026-02-30T09:00:00Z",
		"2026-11-23T24:00:00Z",
		"2026-11-23T09:00:00+01:00",
		"1969-12-31T23:59:59Z",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_true(clock_parse(wrong[i]) == -1);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_sleep_goes_on_after_signals(void **state)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval every_5_ms = {{0, 5000}, {0, 5000}};
	const struct itimerval off = {0};
	int64_t before = clock_ms();

	(void)state;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every_5_ms, NULL);
	clock_sleep_ms(60);
	setitimer(ITIMER_REAL, &off, NULL);
	assert_true(clock_ms() - before >= 60);
	before = clock_ms();
	clock_sleep_ms(0);
	clock_sleep_ms(-1000);
	assert_true(clock_ms() - before < 1000);
}

static void test_wall(void **state)
{
	int64_t now = time(NULL);

	(void)state;
	assert_true(clock_wall_s() >= now && clock_wall_s() <= now + 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_sleep_goes_on_after_signals),
		cmocka_unit_test(test_wall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
