#include "base/log.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "tests/unit/test.h"

/* Standard error goes to `to` until restore_stderr(). */
static int replace_stderr(int to)
{
	int saved = dup(STDERR_FILENO);

	assert_true(saved >= 0);
	assert_true(dup2(to, STDERR_FILENO) >= 0);
	return saved;
}

static void restore_stderr(int saved)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static void read_available(int fd, struct strbuf *text)
{
	char chunk[4096];
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		strbuf_add(text, chunk, (size_t)n);
}

static void log_one_of_each(void)
{
	log_error("e %d", 1);
	log_warn("w");
	log_info("i\nforged\033[2J");
	log_debug("d");
}

/* JOURNAL_STREAM for a descriptor, as systemd sets it. */
static void set_journal_stream(int fd, unsigned long long more)
{
	char text[64];
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + more);
	setenv("JOURNAL_STREAM", text, 1);
}

static int clear_environment(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	unsetenv("NO_COLOR");
	return 0;
}

/* What the four calls write into a pipe. */
static void log_to_pipe(enum log_level most, const char *journal, struct strbuf *text)
{
	int fds[2];
	int saved;

	assert_int_equal(pipe(fds), 0);
	if (journal && strcmp(journal, "this") == 0)
		set_journal_stream(fds[1], 0);
	else if (journal && strcmp(journal, "another") == 0)
		set_journal_stream(fds[1], 1);
	else if (journal)
		setenv("JOURNAL_STREAM", journal, 1);
	saved = replace_stderr(fds[1]);
	log_setup(most);
	log_one_of_each();
	restore_stderr(saved);
	read_available(fds[0], text);
	close(fds[0]);
	close(fds[1]);
}

static void assert_file_form(const struct strbuf *text)
{
	char now[CLOCK_TEXT_SIZE] = "";

	memcpy(now, text->buf, CLOCK_TEXT_SIZE - 1);
	assert_true(clock_parse(now) > 0);
	assert_non_null(strstr(text->buf, "Z error e 1\n"));
	assert_non_null(strstr(text->buf, "Z warning w\n"));
	assert_non_null(strstr(text->buf, "Z info i?forged?[2J\n"));
}

static void test_file(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	(void)state;
	log_to_pipe(LOG_LEVEL_INFO, NULL, &text);
	assert_file_form(&text);
	assert_null(strstr(text.buf, "debug"));
	strbuf_clear(&text);
	log_to_pipe(LOG_LEVEL_DEBUG, NULL, &text);
	assert_non_null(strstr(text.buf, "Z debug d\n"));
}

static void test_journal(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	(void)state;
	log_to_pipe(LOG_LEVEL_DEBUG, "this", &text);
	assert_string_equal(text.buf, "<3>e 1\n<4>w\n<6>i?forged?[2J\n<7>d\n");
}

static void test_level(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	(void)state;
	log_to_pipe(LOG_LEVEL_ERROR, "this", &text);
	assert_string_equal(text.buf, "<3>e 1\n");
}

/* The variable is inherited by programs whose standard error was redirected. */
static void test_journal_of_another(void **state)
{
	static const char *const streams[] = {"another", "", "7", "7:", "x:y", "7:8:9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

		log_to_pipe(LOG_LEVEL_INFO, streams[i], &text);
		assert_file_form(&text);
	}
}

static void log_to_terminal(struct strbuf *text)
{
	int master;
	int terminal;
	int saved;

	assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
	saved = replace_stderr(terminal);
	log_setup(LOG_LEVEL_WARN);
	log_one_of_each();
	restore_stderr(saved);
	read_available(master, text);
	close(terminal);
	close(master);
}

static void test_terminal(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	(void)state;
	log_to_terminal(&text);
	assert_string_equal(text.buf, "\033[31merror\033[0m: e 1\r\n\033[33mwarning\033[0m: w\r\n");
	strbuf_clear(&text);
	setenv("NO_COLOR", "1", 1);
	log_to_terminal(&text);
	assert_string_equal(text.buf, "error: e 1\r\nwarning: w\r\n");
}

static void test_nowhere(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	close(STDERR_FILENO);
	log_setup(LOG_LEVEL_INFO);
	log_one_of_each();
	dup2(saved, STDERR_FILENO);
	close(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_file, clear_environment),
		cmocka_unit_test_setup(test_journal, clear_environment),
		cmocka_unit_test_setup(test_level, clear_environment),
		cmocka_unit_test_setup(test_journal_of_another, clear_environment),
		cmocka_unit_test_setup(test_terminal, clear_environment),
		cmocka_unit_test_setup(test_nowhere, clear_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
