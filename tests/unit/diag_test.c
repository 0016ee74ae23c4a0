#include "base/diag.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

static void assert_prints(const struct diags *diags, const char *want)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	diags_print(diags, to);
	fclose(to);
	assert_string_equal(text, want);
}

static void test_places(void **state)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;

	(void)state;
	assert_prints(&diags, "");
	diags_add(&diags, "a.yaml", 0, 0, "no such %s", "cluster");
	diags_add(&diags, "a.yaml", 3, 0, "x");
	diags_add(&diags, "a.yaml", 3, 7, "y");
	diags_add(&diags, "a\n.yaml", 1, 1, "\033[31mred");
	assert_prints(&diags, "a.yaml: no such cluster\n"
			      "a.yaml:3: x\n"
			      "a.yaml:3:7: y\n"
			      "a?.yaml:1:1: ?[31mred\n");
}

static void test_sort(void **state)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;

	(void)state;
	diags_sort(&diags);
	diags_add(&diags, "b", 1, 1, "first");
	diags_add(&diags, "a", 10, 1, "z");
	diags_add(&diags, "a", 9, 2, "z");
	diags_add(&diags, "a", 10, 1, "a");
	diags_add(&diags, "a", 9, 1, "z");
	diags_add(&diags, "a", 10, 1, "z");
	diags_sort(&diags);
	assert_prints(&diags, "a:9:1: z\n"
			      "a:9:2: z\n"
			      "a:10:1: z\n"
			      "a:10:1: a\n"
			      "b:1:1: first\n");
}

static void test_limit(void **state)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	AUTO_FREE char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	(void)state;
	for (unsigned i = 0; i < DIAGS_MAX + 5; i++)
		diags_add(&diags, "a", i + 1, 1, "m");
	diags_sort(&diags);
	assert_int_equal(diags.n, DIAGS_MAX);
	assert_int_equal(diags.dropped, 5);
	diags_print(&diags, to);
	fclose(to);
	assert_non_null(strstr(text, "a:1000:1: m\n5 more are not shown\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
