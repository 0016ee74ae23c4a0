#include "base/strvec.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

static void test_always_ends_in_null(void **state)
{
	CLEANUP(strvec_release) struct strvec sv = STRVEC_INIT;

	(void)state;
	assert_null(sv.v);
	for (size_t i = 0; i < 100; i++) {
		strvec_pushf(&sv, "%zu", i);
		assert_int_equal(sv.n, i + 1);
		assert_null(sv.v[sv.n]);
	}
	assert_string_equal(sv.v[99], "99");
}

static void test_pushl(void **state)
{
	CLEANUP(strvec_release) struct strvec sv = STRVEC_INIT;

	(void)state;
	strvec_pushl(&sv, "haproxy", "-c", "", NULL);
	strvec_pushl(&sv, NULL);
	assert_int_equal(sv.n, 3);
	assert_string_equal(sv.v[1], "-c");
	assert_string_equal(sv.v[2], "");
}

static void test_has(void **state)
{
	CLEANUP(strvec_release) struct strvec sv = STRVEC_INIT;

	(void)state;
	assert_false(strvec_has(&sv, "a"));
	strvec_pushl(&sv, "b", "ab", NULL);
	assert_false(strvec_has(&sv, "a"));
	assert_true(strvec_has(&sv, "ab"));
}

static void test_sort(void **state)
{
	CLEANUP(strvec_release) struct strvec sv = STRVEC_INIT;

	(void)state;
	strvec_sort(&sv);
	strvec_pushl(&sv, "b", "\xc3\xa4", "B", "a", "ab", NULL);
	strvec_sort(&sv);
	assert_string_equal(sv.v[0], "B");
	assert_string_equal(sv.v[1], "a");
	assert_string_equal(sv.v[2], "ab");
	assert_string_equal(sv.v[3], "b");
	assert_string_equal(sv.v[4], "\xc3\xa4");
	assert_null(sv.v[5]);
}

static void test_clear(void **state)
{
	struct strvec sv = STRVEC_INIT;

	(void)state;
	strvec_clear(&sv);
	strvec_push(&sv, "a");
	strvec_clear(&sv);
	assert_int_equal(sv.n, 0);
	assert_null(sv.v[0]);
	strvec_push(&sv, "b");
	assert_string_equal(sv.v[0], "b");
	strvec_release(&sv);
	assert_null(sv.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_always_ends_in_null),
		cmocka_unit_test(test_pushl),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
