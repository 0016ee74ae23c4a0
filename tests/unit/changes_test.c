#include "tests/unit/test.h"

#include <string.h>

#include "base/cleanup.h"
#include "spec/changes.h"

struct row {
	const char *from; /* NULL: no file */
	const char *to;
	const char *want[4];
};

static const struct yaml_node *parse(const char *text, struct pool *pool, struct diags *diags)
{
	return text ? yaml_parse("f", text, strlen(text), true, pool, diags) : NULL;
}

static void check(const struct row *row)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(strvec_release) struct strvec got = STRVEC_INIT;
	size_t n = 0;

	yaml_changes("a.yaml", parse(row->from, pool, &diags), parse(row->to, pool, &diags), &got);
	assert_int_equal(diags.n, 0);
	while (n < ARRAY_SIZE(row->want) && row->want[n])
		n++;
	for (size_t i = 0; i < n && i < got.n; i++)
		assert_string_equal(got.v[i], row->want[i]);
	assert_int_equal(got.n, n);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&rows[i]);
}

static void test_scalars(void **state)
{
	static const struct row rows[] = {
		{"a: 1\n", "a: 1\n", {0}},
		{"a: 1\nb: 2\n", "b: 2\na: 1\n", {0}},
		{"a: 1\n", "# why\na: \"1\"\n", {0}},
		{"image: acme/api:1.4.1\n",
		 "\nimage: acme/api:1.4.2\n",
		 {"a.yaml:2 image acme/api:1.4.1 → acme/api:1.4.2"}},
		{"a: 1\n", "a: 1\nb: {c: x}\n", {"a.yaml:2 b.c added: x"}},
		{"a: 1\nb:\n  c: x\n", "a: 1\n", {"a.yaml:3 b.c removed"}},
		{"a: \"\"\n", "a: x y\n", {"a.yaml:1 a \"\" → x y"}},
		{"a: 1\n", "a: {b: 2}\n", {"a.yaml:1 a removed", "a.yaml:1 a.b added: 2"}},
		{NULL, "a: 1\nb: [x]\n", {"a.yaml:1 a added: 1", "a.yaml:2 b added: x"}},
		{"a: 1\n", NULL, {"a.yaml:1 a removed"}},
		{NULL, NULL, {0}},
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_lists(void **state)
{
	static const struct row rows[] = {
		{"a: [x, y]\n",
		 "a:\n  - y\n  - z\n",
		 {"a.yaml:1 a removed: x", "a.yaml:3 a added: z"}},
		{"a: [x, y]\n", "a: [y, x]\n", {"a.yaml:1 a order changed"}},
		{"a: [{b: 1}, {b: 2}]\n",
		 "a: [{b: 1}, {b: 3}, {b: 4}]\n",
		 {"a.yaml:1 a[1].b 2 → 3", "a.yaml:1 a[2].b added: 4"}},
		{"a: x\n", "a: [x]\n", {"a.yaml:1 a removed", "a.yaml:1 a added: x"}},
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_secrets_are_not_shown(void **state)
{
	static const struct row rows[] = {
		{"password: old\n", "password: new\n", {"a.yaml:1 password changed"}},
		{"a: 1\n", "a: 1\npassword: new\n", {"a.yaml:2 password added"}},
		{"s: {password: old}\n", "s: {}\n", {"a.yaml:1 s.password removed"}},
		{"env: {A: plain}\n", "env: {A: {secret: a}}\n", {"a.yaml:1 env.A changed"}},
		{"env: {A: {secret: a}}\n", "env: {A: {secret: b}}\n", {"a.yaml:1 env.A changed"}},
		{"env: {A: {secret: a}}\n", "env: {A: {secret: a}}\n", {0}},
		{"env: {}\n", "env: {A: {secret: b}}\n", {"a.yaml:1 env.A added"}},
		{NULL, "env: {A: {secret: b}}\n", {"a.yaml:1 env.A added"}},
		{"env: {A: {secret: b}}\n", NULL, {"a.yaml:1 env.A removed"}},
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_long_values_are_shortened(void **state)
{
	static const struct row rows[] = {
		{"a: 1\n",
		 "a: 0123456789012345678901234567890123456789012345678901234567890123456789\n",
		 {"a.yaml:1 a 1 → 012345678901234567890123456789012345678901234567890123456789…"}},
		/* The 60th byte is in the middle of a character. */
		{"a: 1\n",
		 "a: 01234567890123456789012345678901234567890123456789012345678äöü\n",
		 {"a.yaml:1 a 1 → 01234567890123456789012345678901234567890123456789012345678…"}},
		{"a: 1\n", "a: |\n  x\n  y\n", {"a.yaml:1 a 1 → x y "}},
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_secrets_are_not_shown),
		cmocka_unit_test(test_long_values_are_shortened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
