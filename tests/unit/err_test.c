#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/test.h"

static void test_set(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, ERR_CONFIG, "service '%s'", "api"), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "service 'api'");
	err_clear(&err);
	assert_int_equal(err.code, ERR_NONE);
	assert_string_equal(err.msg, "");
}

static void test_set_from_itself(void **state)
{
	struct err err = {.msg = "inner"};

	(void)state;
	err_set(&err, ERR_GIT, "outer (%s)", err.msg);
	assert_string_equal(err.msg, "outer (inner)");
}

static void test_errno(void **state)
{
	struct err err = {0};

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_errno(&err, "open '%s'", "x"), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_string_equal(err.msg, "open 'x': No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void test_wrap(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, ERR_VERIFY, "not signed");
	assert_int_equal(err_wrap(&err, "commit %d", 7), -1);
	assert_int_equal(err.code, ERR_VERIFY);
	assert_string_equal(err.msg, "commit 7: not signed");
}

static void test_masks_what_drives_a_terminal(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, ERR_CONFIG, "a\nb\033[2J\x7f%s", "\t\xc3\xbc\xc2\x9b\xff");
	assert_string_equal(err.msg, "a?b?[2J??\xc3\xbc???");
}

static void test_fills_to_the_last_byte(void **state)
{
	struct err err = {0};
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	err_set(&err, ERR_LIMIT, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	err_wrap(&err, "context");
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_memory_equal(err.msg, "context: xxx", 12);
}

static void test_cuts_no_character_in_half(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, ERR_LIMIT, "%0998d%s", 0, "\xe2\x82\xac");
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_string_equal(err.msg + 990, "00000000?");
}

static void test_reasons(void **state)
{
	(void)state;
	assert_string_equal(err_code_reason(ERR_CONFIG), "ConfigError");
	assert_string_equal(err_code_reason(ERR_LIMIT), "LimitError");
	assert_string_equal(err_code_reason((enum err_code)99), "UnknownError");
	for (int code = ERR_NONE; code <= ERR_LIMIT; code++)
		assert_string_not_equal(err_code_reason((enum err_code)code), "UnknownError");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_from_itself),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_masks_what_drives_a_terminal),
		cmocka_unit_test(test_fills_to_the_last_byte),
		cmocka_unit_test(test_cuts_no_character_in_half),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
