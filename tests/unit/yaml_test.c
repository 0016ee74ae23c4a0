#include "tests/unit/test.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/yaml.h"

struct fixture {
	struct pool *pool;
	struct diags diags;
};

static struct fixture fixture;

static int setup(void **state)
{
	fixture = (struct fixture) {.pool = pool_new()};
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	diags_release(&f->diags);
	pool_free(f->pool);
	return 0;
}

static struct yaml_node *parse(struct fixture *f, const char *text, bool strict)
{
	return yaml_parse("f.yaml", text, strlen(text), strict, f->pool, &f->diags);
}

static void test_tree_and_places(void **state)
{
	struct fixture *f = *state;
	struct yaml_node *root = parse(f, "a: 1\nb:\n  - x\n  - \"y\"\nc: {d: e}\n", true), *list;

	assert_non_null(root);
	assert_int_equal(f->diags.n, 0);
	assert_int_equal(root->kind, YAML_NODE_MAP);
	assert_int_equal(root->n, 3);
	assert_string_equal(yaml_get(root, "a")->text, "1");
	assert_true(yaml_get(root, "a")->plain);
	list = yaml_get(root, "b");
	assert_int_equal(list->kind, YAML_NODE_LIST);
	assert_int_equal(list->n, 2);
	assert_int_equal(list->items[1]->line, 4);
	assert_int_equal(list->items[1]->column, 5);
	assert_false(list->items[1]->plain);
	assert_string_equal(yaml_get(yaml_get(root, "c"), "d")->text, "e");
	assert_null(yaml_get(root, "d"));
	assert_null(yaml_get(list, "d"));
	assert_null(yaml_get(NULL, "d"));
}

static void test_null(void **state)
{
	struct fixture *f = *state;
	struct yaml_node *root =
		parse(f, "a: ~\nb: null\nc:\nd: \"\"\ne: 'null'\nf: []\ng: nil\n", true);

	assert_true(yaml_is_null(yaml_get(root, "a")));
	assert_true(yaml_is_null(yaml_get(root, "b")));
	assert_true(yaml_is_null(yaml_get(root, "c")));
	assert_false(yaml_is_null(yaml_get(root, "d")));
	assert_false(yaml_is_null(yaml_get(root, "e")));
	assert_false(yaml_is_null(yaml_get(root, "f")));
	assert_false(yaml_is_null(yaml_get(root, "g")));
}

static void test_empty_file(void **state)
{
	static const char *const texts[] = {"",           "\n",     "# nothing\n", "---\n",
					    "---\n...\n", "null\n", "\xef\xbb\xbf"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct yaml_node *root = parse(f, texts[i], true);

		assert_non_null(root);
		assert_int_equal(root->kind, YAML_NODE_MAP);
		assert_int_equal(root->n, 0);
		assert_int_equal(root->line, 1);
	}
	assert_int_equal(f->diags.n, 0);
}

static void test_byte_order_mark(void **state)
{
	struct fixture *f = *state;
	struct yaml_node *root = parse(f,
				       "\xef\xbb\xbf"
				       "a: 1\n",
				       true);

	assert_non_null(root);
	assert_string_equal(root->keys[0]->text, "a");
	assert_int_equal(root->keys[0]->column, 1);
}

static void test_strict_refuses(void **state)
{
	static const char *const texts[] = {
		"a: &x 1\n",
		"a: &x 1\nb: *x\n",
		"a: !t 1\n",
		"a: !!str 1\n",
		"<<: {a: 1}\n",
		"a: 1\n---\nb: 2\n",
		"[a]: 1\n",
		"\"\": 1\n",
		"a: \"\\x01\"\n",
		"a: \"\\x7f\"\n",
		"a: \"\\N\"\n",
		"a: \"\\0\"\n",
		"a: b: c\n",
		"a:\n\tb: 1\n",
		"a: [1\n",
		"a: 'x\n",
		"%YAML 3.0\n---\na: 1\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t before = f->diags.n;

		assert_null(parse(f, texts[i], true));
		assert_true(f->diags.n > before);
	}
}

static void test_newline_and_tab_are_values(void **state)
{
	struct fixture *f = *state;
	struct yaml_node *root = parse(f, "a: |\n  x\n  y\nb: \"t\\tt\"\n", true);

	assert_string_equal(yaml_get(root, "a")->text, "x\ny\n");
	assert_string_equal(yaml_get(root, "b")->text, "t\tt");
}

/* A duplicate leaves a tree, so that the other mistakes of the file are found too. */
static void test_duplicate_key(void **state)
{
	struct fixture *f = *state;
	struct yaml_node *root = parse(f, "a: 1\nb: 2\na: 3\n", true);

	assert_non_null(root);
	assert_string_equal(yaml_get(root, "a")->text, "1");
	assert_int_equal(f->diags.n, 1);
	assert_int_equal(f->diags.v[0].line, 3);
	assert_string_equal(f->diags.v[0].msg, "duplicate key 'a': the first is in line 1");
	assert_non_null(parse(f, "a: 1\na: 2\n", false));
	assert_int_equal(f->diags.n, 2);
}

static void test_duplicate_among_many(void **state)
{
	struct fixture *f = *state;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	for (int i = 0; i < 5000; i++)
		strbuf_addf(&text, "k%d: 1\n", i);
	strbuf_addstr(&text, "k77: 2\nk77: 3\n");
	assert_non_null(parse(f, text.buf, true));
	assert_int_equal(f->diags.n, 2);
	assert_int_equal(f->diags.v[0].line, 5001);
	assert_string_equal(f->diags.v[1].msg, "duplicate key 'k77': the first is in line 78");
}

static void test_lenient(void **state)
{
	struct fixture *f = *state;
	struct yaml_node *root = parse(f,
				       "x: &x {image: a, port: !!str 1}\n"
				       "y: &y {image: b, user: u}\n"
				       "one: {<<: *x, port: 2}\n"
				       "both: {<<: [*x, *y]}\n"
				       "same: *x\n"
				       "x2: &x 5\n"
				       "again: *x\n",
				       false),
			 *one, *both;

	assert_non_null(root);
	assert_int_equal(f->diags.n, 0);
	one = yaml_get(root, "one");
	assert_int_equal(one->n, 2);
	assert_string_equal(yaml_get(one, "port")->text, "2");
	assert_string_equal(yaml_get(one, "image")->text, "a");
	both = yaml_get(root, "both");
	assert_int_equal(both->n, 3);
	assert_string_equal(yaml_get(both, "image")->text, "a");
	assert_string_equal(yaml_get(both, "user")->text, "u");
	assert_string_equal(yaml_get(yaml_get(root, "same"), "port")->text, "1");
	assert_string_equal(yaml_get(root, "again")->text, "5");
}

static void test_lenient_refuses(void **state)
{
	static const char *const texts[] = {"a: *nowhere\n",    "a: &a [*a]\n",
					    "a: {<<: 3}\n",     "a: {<<: [{b: c}, d]}\n",
					    "[a]: 1\n",         "a: 1\n---\nb: 1\n",
					    "a: {<<: [[x]]}\n", "a: \xff\n"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t before = f->diags.n;

		assert_null(parse(f, texts[i], false));
		assert_true(f->diags.n > before);
	}
}

static void test_depth(void **state)
{
	struct fixture *f = *state;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	for (int i = 0; i < YAML_DEPTH_MAX; i++)
		strbuf_addch(&text, '[');
	for (int i = 0; i < YAML_DEPTH_MAX; i++)
		strbuf_addch(&text, ']');
	assert_non_null(parse(f, text.buf, true));
	strbuf_clear(&text);
	for (int i = 0; i <= YAML_DEPTH_MAX; i++)
		strbuf_addch(&text, '[');
	for (int i = 0; i <= YAML_DEPTH_MAX; i++)
		strbuf_addch(&text, ']');
	assert_null(parse(f, text.buf, true));
	assert_int_equal(f->diags.n, 1);
}

static void test_node_limit(void **state)
{
	struct fixture *f = *state;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	/* The list is a node too. */
	for (int i = 0; i < YAML_NODES_MAX - 1; i++)
		strbuf_addstr(&text, "- x\n");
	assert_non_null(parse(f, text.buf, true));
	strbuf_addstr(&text, "- x\n");
	assert_null(parse(f, text.buf, true));
	assert_int_equal(f->diags.n, 1);
}

static void test_aliases_count(void **state)
{
	struct fixture *f = *state;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	strbuf_addstr(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 9; i++)
		strbuf_addf(&text, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
			    i - 1, i - 1, i - 1);
	assert_null(parse(f, text.buf, false));
	assert_int_equal(f->diags.n, 1);
}

static void test_place_of_an_error(void **state)
{
	struct fixture *f = *state;

	assert_null(parse(f, "a: 1\nb: \xc3\xa4\xff\n", true));
	assert_int_equal(f->diags.v[0].line, 2);
	assert_int_equal(f->diags.v[0].column, 5);
	assert_null(parse(f, "a: 1\nb:\n\tc: 1\n", true));
	assert_int_equal(f->diags.v[1].line, 3);
	assert_string_equal(f->diags.v[1].msg, "a tab cannot indent: use spaces");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tree_and_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_null, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_byte_order_mark, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strict_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newline_and_tab_are_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duplicate_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duplicate_among_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lenient, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lenient_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_node_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aliases_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_place_of_an_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
