#include "tests/unit/test.h"

#include <string.h>

#include "base/cleanup.h"
#include "spec/table.h"
#include "spec/words.h"

struct inner {
	struct spec_pos pos;
	int64_t number;
	const char *text;
};

struct named {
	const char *name;
	struct spec_pos pos;
	int64_t number;
};

struct outer {
	const char *text;
	struct spec_pos text_pos;
	int64_t number;
	bool flag;
	int64_t duration_ms;
	int64_t size_bytes;
	int64_t milli;
	int choice;
	struct spec_value value;
	struct inner embedded;
	struct inner *pointer;
	struct spec_strings list;
	struct spec_strings one_or_list;
	struct spec_pairs pairs;
	struct spec_env env;
	struct spec_map map;
	struct spec_map structs;
	struct spec_selector nodes;
};

static const char *const colours[] = {"red", "green", NULL};

static const struct field inner_fields[] = {
	{"number", FIELD_INT, FIELD_AT(struct inner, number), .min = 1, .max = 9, .def = "5"},
	{"text", FIELD_STRING, FIELD_AT(struct inner, text), .required = true, .help = "a text"},
	FIELD_END,
};

static const struct field named_fields[] = {
	{"number", FIELD_INT, FIELD_AT(struct named, number), .def = "7"},
	FIELD_END,
};

static const struct field fields[] = {
	{"text", FIELD_STRING, FIELD_AT(struct outer, text), FIELD_POS(struct outer, text_pos),
	 .max = 10},
	{"number", FIELD_INT, FIELD_AT(struct outer, number), .min = -5, .max = 5, .def = "-3"},
	{"flag", FIELD_BOOL, FIELD_AT(struct outer, flag), .def = "true"},
	{"duration", FIELD_DURATION, FIELD_AT(struct outer, duration_ms), .min = 1500, .max = 90000,
	 .def = "1m30s"},
	{"size", FIELD_SIZE, FIELD_AT(struct outer, size_bytes), .min = 1536, .def = "2k"},
	{"milli", FIELD_MILLI, FIELD_AT(struct outer, milli), .min = 10, .max = 2500, .def = "0.5"},
	{"choice", FIELD_CHOICE, FIELD_AT(struct outer, choice), .choices = colours,
	 .def = "green"},
	{"value", FIELD_VALUE, FIELD_AT(struct outer, value)},
	{"embedded", FIELD_STRUCT, FIELD_AT(struct outer, embedded), FIELD_POS(struct inner, pos),
	 .fields = inner_fields},
	{"pointer", FIELD_STRUCT_PTR, FIELD_AT(struct outer, pointer), FIELD_POS(struct inner, pos),
	 .size = sizeof(struct inner), .fields = inner_fields},
	{"list", FIELD_STRINGS, FIELD_AT(struct outer, list), .unique = true, .check = check_name},
	{"one_or_list", FIELD_STRINGS, FIELD_AT(struct outer, one_or_list), .one_or_list = true},
	{"pairs", FIELD_MAP_STRINGS, FIELD_AT(struct outer, pairs), .check_key = check_name},
	{"env", FIELD_MAP_VALUES, FIELD_AT(struct outer, env)},
	{"map", FIELD_MAP_STRUCTS, FIELD_AT(struct outer, map), FIELD_POS(struct named, pos),
	 .size = sizeof(struct named), .fields = named_fields, .check_key = check_name},
	{"structs", FIELD_LIST_STRUCTS, FIELD_AT(struct outer, structs),
	 FIELD_POS(struct inner, pos), .size = sizeof(struct inner), .fields = inner_fields},
	{"nodes", FIELD_NODES, FIELD_AT(struct outer, nodes), .def = "all"},
	FIELD_END,
};

struct fixture {
	struct pool *pool;
	struct diags diags;
	struct outer out;
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

static const struct outer *load(struct fixture *f, const char *text)
{
	const struct yaml_node *root =
		yaml_parse("f.yaml", text, strlen(text), true, f->pool, &f->diags);

	assert_non_null(root);
	f->out = (struct outer) {0};
	table_load(fields, "f.yaml", root, &f->out, f->pool, &f->diags);
	return &f->out;
}

static void test_defaults(void **state)
{
	struct fixture *f = *state;
	const struct outer *out = load(f, "");

	assert_int_equal(f->diags.n, 0);
	assert_null(out->text);
	assert_int_equal(out->text_pos.line, 0);
	assert_int_equal(out->number, -3);
	assert_true(out->flag);
	assert_int_equal(out->duration_ms, 90000);
	assert_int_equal(out->size_bytes, 2048);
	assert_int_equal(out->milli, 500);
	assert_int_equal(out->choice, 1);
	assert_null(out->value.text);
	assert_null(out->value.secret);
	assert_int_equal(out->embedded.number, 5);
	assert_null(out->pointer);
	assert_int_equal(out->list.n, 0);
	assert_true(out->nodes.all);
}

static void test_null_is_absent(void **state)
{
	struct fixture *f = *state;
	const struct outer *out =
		load(f, "text: ~\nnumber: null\nflag:\npointer: null\nlist: ~\nmap: ~\nnodes:\n");

	assert_int_equal(f->diags.n, 0);
	assert_null(out->text);
	assert_int_equal(out->number, -3);
	assert_null(out->pointer);
	assert_true(out->nodes.all);
}

static void test_scalars(void **state)
{
	struct fixture *f = *state;
	const struct outer *out =
		load(f,
		     "text: 12\nnumber: 5\nflag: false\nduration: 2s\nsize: \"3k\"\nmilli: 1.25\n"
		     "choice: red\nvalue: true\n");

	assert_int_equal(f->diags.n, 0);
	assert_string_equal(out->text, "12");
	assert_int_equal(out->text_pos.line, 1);
	assert_int_equal(out->text_pos.column, 7);
	assert_int_equal(out->number, 5);
	assert_false(out->flag);
	assert_int_equal(out->duration_ms, 2000);
	assert_int_equal(out->size_bytes, 3072);
	assert_int_equal(out->milli, 1250);
	assert_int_equal(out->choice, 0);
	assert_string_equal(out->value.text, "true");
	assert_int_equal(out->value.pos.line, 8);
}

static void test_structs(void **state)
{
	struct fixture *f = *state;
	const struct outer *out = load(f, "embedded: {number: 9, text: a}\n"
					  "pointer:\n  text: b\n"
					  "map:\n  x: {number: 1}\n  y:\n"
					  "structs:\n  - text: c\n  - {text: d, number: 2}\n");
	const struct named *map = out->map.v;
	const struct inner *list = out->structs.v;

	assert_int_equal(f->diags.n, 0);
	assert_int_equal(out->embedded.number, 9);
	assert_int_equal(out->embedded.pos.line, 1);
	assert_non_null(out->pointer);
	assert_int_equal(out->pointer->number, 5);
	assert_int_equal(out->pointer->pos.line, 3);
	assert_int_equal(out->map.n, 2);
	assert_string_equal(map[0].name, "x");
	assert_int_equal(map[0].number, 1);
	assert_int_equal(map[1].number, 7);
	assert_int_equal(map[1].pos.line, 6);
	assert_int_equal(map[1].pos.column, 3);
	assert_int_equal(out->structs.n, 2);
	assert_int_equal(list[0].number, 5);
	assert_string_equal(list[1].text, "d");
}

static void test_collections(void **state)
{
	struct fixture *f = *state;
	const struct outer *out = load(f, "list: [a, b]\none_or_list: x\npairs: {p: 1, q: \"\"}\n"
					  "env: {A: x, B: {secret: s-1}}\nnodes: [n1, n2]\n");

	assert_int_equal(f->diags.n, 0);
	assert_int_equal(out->list.n, 2);
	assert_string_equal(out->list.v[1], "b");
	assert_int_equal(out->list.pos[1].column, 11);
	assert_int_equal(out->one_or_list.n, 1);
	assert_string_equal(out->pairs.v[0].value, "1");
	assert_string_equal(out->pairs.v[1].value, "");
	assert_string_equal(out->env.v[0].value.text, "x");
	assert_null(out->env.v[1].value.text);
	assert_string_equal(out->env.v[1].value.secret, "s-1");
	assert_false(out->nodes.all);
	assert_int_equal(out->nodes.names.n, 2);
	out = load(f, "nodes: {labels: {disk: ssd}}\none_or_list: [y, z]\n");
	assert_string_equal(out->nodes.labels.v[0].value, "ssd");
	assert_int_equal(out->one_or_list.n, 2);
}

/* What is wrong, and the one thing that is said. */
static void test_messages(void **state)
{
	static const struct {
		const char *yaml;
		const char *msg;
		unsigned column;
	} rows[] = {
		{"nmuber: 1", "unknown key 'nmuber': did you mean 'number'?", 1},
		{"embedded: {text: a, x1: 1}",
		 "embedded: unknown key 'x1': known here: number, text", 21},
		{"embedded: {number: 1}", "embedded: missing key 'text': a text", 11},
		{"pointer: {text: ~}", "pointer: missing key 'text': a text", 10},
		{"text: [a]", "text: must be a single value, not a list", 7},
		{"text: 12345678901", "text: is longer than 10 bytes", 7},
		{"text: \"a\\nb\"", "text: must be one line with no tab in it", 7},
		{"number: 6", "number: 6 is out of range: it must be -5 to 5", 9},
		{"number: \"5\"", "number: must be a number: write it without quotes", 9},
		{"number: {a: 1}", "number: must be a single value, not a map of keys and values",
		 9},
		{"flag: yes", "flag: write true or false: 'yes' is no boolean here", 7},
		{"flag: \"true\"", "flag: must be true or false, without quotes", 7},
		{"flag: 1", "flag: must be true or false, not '1'", 7},
		{"duration: 1s", "duration: 1s is out of range: it must be 1s500ms to 1m30s", 11},
		{"size: 1k", "size: 1k is out of range: it must be at least 1536", 7},
		{"milli: 2.501", "milli: 2.501 is out of range: it must be 0.01 to 2.5", 8},
		{"choice: gren", "choice: unknown choice 'gren': did you mean 'green'?", 9},
		{"choice: 1", "choice: unknown choice '1': it must be one of red, green", 9},
		{"value: {secret: a, b: c}", "value: must be a text, or {secret: NAME}", 8},
		{"list: [a, b, a]", "list: 'a' is there twice", 14},
		{"list: a", "list: must be a list, not a single value", 7},
		{"list: [a, ~]", "list: has no value: write \"\" where an empty text is meant", 11},
		{"pairs: {p: [x]}", "pairs.p: must be a single value, not a list", 12},
		{"env: {A: ~}", "env.A: has no value: write \"\" where an empty text is meant", 10},
		{"map: {x: 1}", "map.x: must be a map of keys and values, not a single value", 10},
		{"map: {x: {number: a}}", "map.x.number: 'a' is no whole number", 19},
		{"structs: [1]", "structs: must be a map of keys and values, not a single value",
		 11},
		{"nodes: some", "nodes: must be all, a list of names, or {labels: {NAME: VALUE}}",
		 8},
		{"nodes: {labels: {}}",
		 "nodes: must be all, a list of names, or {labels: {NAME: VALUE}}", 8},
		{"- a", "must be a map of keys and values, not a list", 1},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t before = f->diags.n;

		load(f, rows[i].yaml);
		assert_int_equal(f->diags.n, before + 1);
		assert_string_equal(f->diags.v[before].msg, rows[i].msg);
		assert_int_equal(f->diags.v[before].line, 1);
		assert_int_equal(f->diags.v[before].column, rows[i].column);
	}
}

static void test_all_mistakes_are_reported(void **state)
{
	struct fixture *f = *state;

	load(f, "number: 99\nflag: maybe\nmap:\n  A: {}\n  b: {number: x, y: z}\nlist: [A, B]\n");
	assert_int_equal(f->diags.n, 7);
}

/* Found by a fuzzer: the elements of the second list were written behind those of the first. */
static void test_first_of_duplicates_counts(void **state)
{
	struct fixture *f = *state;
	const struct outer *out = load(f, "list: [a]\nnumber: 1\nlist: [b, c, d]\nnumber: 2\n");

	assert_int_equal(f->diags.n, 2);
	assert_int_equal(out->list.n, 1);
	assert_string_equal(out->list.v[0], "a");
	assert_int_equal(out->number, 1);
}

static void test_selector_replaces_the_default(void **state)
{
	struct fixture *f = *state;

	assert_false(load(f, "nodes: [n1]\n")->nodes.all);
	assert_false(load(f, "nodes: {labels: {a: b}}\n")->nodes.all);
	assert_true(load(f, "nodes: all\n")->nodes.all);
}

static void test_unlimited_number(void **state)
{
	struct fixture *f = *state;
	CLEANUP(strbuf_release) struct strbuf bounds = STRBUF_INIT;

	load(f, "map: {x: {number: -9223372036854775807}}");
	assert_int_equal(f->diags.n, 0);
	field_bounds(field_find(named_fields, "number"), &bounds);
	assert_string_equal(bounds.buf, "");
	assert_null(field_find(named_fields, "nobody"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_null_is_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scalars, setup, teardown),
		cmocka_unit_test_setup_teardown(test_structs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_collections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_mistakes_are_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_of_duplicates_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_selector_replaces_the_default, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_unlimited_number, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
