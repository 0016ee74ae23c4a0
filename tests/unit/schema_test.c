#include "tests/unit/test.h"

#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "spec/schema.h"

static void json_freep(json_t **json)
{
	json_decref(*json);
}

/* The schema of what is in a key: an element's where the key holds many structs. */
static json_t *inner_schema(const struct field *f, json_t *schema)
{
	if (f->kind == FIELD_MAP_STRUCTS)
		return json_object_get(schema, "additionalProperties");
	return f->kind == FIELD_LIST_STRUCTS ? json_object_get(schema, "items") : schema;
}

static void check_fields(const struct field *fields, json_t *schema)
{
	json_t *properties = json_object_get(schema, "properties");
	void *at = json_object_iter(properties);
	size_t required = 0;

	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	for (const struct field *f = fields; f->key; f++) {
		json_t *property;

		assert_non_null(at);
		assert_string_equal(json_object_iter_key(at), f->key);
		property = json_object_iter_value(at);
		assert_non_null(strstr(json_string_value(json_object_get(property, "description")),
				       f->help));
		assert_int_equal(json_object_get(property, "default") != NULL, f->def != NULL);
		if (f->fields)
			check_fields(f->fields, inner_schema(f, property));
		required += f->required;
		at = json_object_iter_next(properties, at);
	}
	assert_null(at);
	assert_int_equal(json_array_size(json_object_get(schema, "required")), required);
}

static void test_every_row_is_in_the_schema(void **state)
{
	(void)state;
	for (const struct table_name *table = table_names; table->name; table++) {
		CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
		CLEANUP(json_freep) json_t *schema = NULL;

		schema_json(table, &text);
		assert_int_equal(text.buf[text.len - 1], '\n');
		schema = json_loads(text.buf, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(schema);
		assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
				    "https://json-schema.org/draft/2020-12/schema");
		check_fields(table->fields, schema);
	}
}

static void test_deterministic(void **state)
{
	CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT, again = STRBUF_INIT;

	(void)state;
	schema_json(&table_names[0], &first);
	schema_reference(&first);
	schema_json(&table_names[0], &again);
	schema_reference(&again);
	assert_string_equal(first.buf, again.buf);
}

/* A row that a person cannot use: no help, or an example that is none of its key. */
static void check_help(const struct field *fields)
{
	for (const struct field *f = fields; f->key; f++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
		const struct yaml_node *root;

		assert_non_null(f->help);
		assert_true(strlen(f->help) > 3);
		assert_int_not_equal(f->help[strlen(f->help) - 1], '.');
		if (f->example) {
			root = yaml_parse(f->key, f->example, strlen(f->example), true, pool,
					  &diags);
			assert_non_null(root);
			assert_non_null(yaml_get(root, f->key));
		}
		if (f->fields)
			check_help(f->fields);
	}
}

static void test_help_and_examples(void **state)
{
	(void)state;
	for (const struct table_name *table = table_names; table->name; table++)
		check_help(table->fields);
}

static void count_rows(const struct field *fields, size_t *n)
{
	for (const struct field *f = fields; f->key; f++) {
		++*n;
		if (f->fields)
			count_rows(f->fields, n);
	}
}

static void test_reference(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	size_t want = 0, got = 0;

	(void)state;
	schema_reference(&text);
	assert_non_null(strstr(text.buf, "\n## cluster.yaml\n"));
	assert_non_null(strstr(text.buf, "\n## service.yaml\n"));
	assert_non_null(strstr(text.buf, "\n## agent.yaml\n"));
	assert_non_null(strstr(
		text.buf,
		"\n| `ingress.tls.mode` | `origin`, `acme`, `files`, `caddy`, `off` | `files` | "));
	assert_non_null(strstr(text.buf, "\n| `nodes.NAME.priority` | number, 1 to 254 |  | "));
	assert_non_null(strstr(text.buf, "\n| `respond.body` | text | `\"\"` | "));
	for (const struct table_name *table = table_names; table->name; table++)
		count_rows(table->fields, &want);
	for (const char *row = text.buf; (row = strstr(row, "\n| `")) != NULL; row++)
		got++;
	assert_int_equal(got, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_in_the_schema),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_help_and_examples),
		cmocka_unit_test(test_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
