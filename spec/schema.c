#include "spec/schema.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

/* Patterns of what the parsers in base/parse.h take. */
#define PATTERN_DURATION "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
#define PATTERN_SIZE "^[0-9]+([bB]|[kKmMgG][bB]?)?$"
#define PATTERN_MILLI "^[0-9]+(\\.[0-9]{1,3})?$"
#define PATTERN_SECRET "^[a-z0-9][a-z0-9._-]{0,62}$"

static json_t *fields_schema(const struct field *fields);

/* The keys of an object, in this order; takes over the values. */
static json_t *typed(const char *type)
{
	return json_pack("{s:s}", "type", type);
}

static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static json_t *string_schema(const struct field *f)
{
	json_t *schema = typed("string");

	set(schema, "maxLength", json_integer(f->max ? (json_int_t)f->max : 255));
	if (f->pattern)
		set(schema, "pattern", json_string(f->pattern));
	return schema;
}

static json_t *integer_schema(const struct field *f)
{
	json_t *schema = typed("integer");

	if (f->min || f->max)
		set(schema, "minimum", json_integer((json_int_t)f->min));
	if (f->max)
		set(schema, "maximum", json_integer((json_int_t)f->max));
	return schema;
}

static json_t *pattern_schema(const char *type, const char *pattern)
{
	json_t *schema = typed(type);

	set(schema, "pattern", json_string(pattern));
	return schema;
}

/* A number, or a text with a unit. The bounds of the text are in the description: no schema can say
 * them. */
static json_t *number_or_text(json_t *number, const char *pattern)
{
	return json_pack("{s:[o,o]}", "oneOf", number, pattern_schema("string", pattern));
}

static json_t *milli_schema(const struct field *f)
{
	json_t *number = typed("number");

	if (f->min)
		set(number, "minimum", json_real((double)f->min / 1000));
	if (f->max)
		set(number, "maximum", json_real((double)f->max / 1000));
	return number_or_text(number, PATTERN_MILLI);
}

static json_t *choice_schema(const struct field *f)
{
	json_t *words = json_array();

	for (size_t i = 0; f->choices[i]; i++)
		json_array_append_new(words, json_string(f->choices[i]));
	return json_pack("{s:o}", "enum", words);
}

/* A text as YAML has it: 3 and true are texts too where a text is due. */
static json_t *text_schema(const struct field *f)
{
	json_t *schema = string_schema(f);

	json_object_set_new(schema, "type", json_pack("[s,s,s]", "string", "number", "boolean"));
	return schema;
}

static json_t *value_schema(const struct field *f)
{
	json_t *secret = json_pack("{s:s, s:{s:o}, s:[s], s:b}", "type", "object", "properties",
				   "secret", pattern_schema("string", PATTERN_SECRET), "required",
				   "secret", "additionalProperties", 0);

	return json_pack("{s:[o,o]}", "oneOf", text_schema(f), secret);
}

static json_t *list_schema(const struct field *f)
{
	json_t *list = typed("array");

	set(list, "items", string_schema(f));
	if (f->required)
		set(list, "minItems", json_integer(1));
	if (f->unique)
		set(list, "uniqueItems", json_true());
	return f->one_or_list ? json_pack("{s:[o,o]}", "oneOf", string_schema(f), list) : list;
}

static json_t *map_schema(json_t *values)
{
	json_t *schema = typed("object");

	set(schema, "additionalProperties", values);
	return schema;
}

static json_t *map_structs_schema(const struct field *f)
{
	json_t *element = fields_schema(f->fields);
	json_t *schema = typed("object");

	json_object_set_new(element, "type", json_pack("[s,s]", "object", "null"));
	if (f->pattern)
		set(schema, "propertyNames", json_pack("{s:s}", "pattern", f->pattern));
	set(schema, "additionalProperties", element);
	if (f->required)
		set(schema, "minProperties", json_integer(1));
	return schema;
}

static json_t *selector_schema(void)
{
	json_t *labels = map_schema(text_schema(&(struct field) {.max = 63}));
	json_t *list = typed("array");

	set(labels, "minProperties", json_integer(1));
	set(list, "items", typed("string"));
	set(list, "minItems", json_integer(1));
	set(list, "uniqueItems", json_true());
	return json_pack("{s:[{s:s},o,{s:s,s:{s:o},s:[s],s:b}]}", "oneOf", "const", "all", list,
			 "type", "object", "properties", "labels", labels, "required", "labels",
			 "additionalProperties", 0);
}

static json_t *list_structs_schema(const struct field *f)
{
	json_t *schema = typed("array");

	set(schema, "items", fields_schema(f->fields));
	return schema;
}

static json_t *kind_schema(const struct field *f)
{
	switch (f->kind) {
	case FIELD_STRING:
		return string_schema(f);
	case FIELD_INT:
		return integer_schema(f);
	case FIELD_BOOL:
		return typed("boolean");
	case FIELD_DURATION:
		return pattern_schema("string", PATTERN_DURATION);
	case FIELD_SIZE:
		return number_or_text(integer_schema(f), PATTERN_SIZE);
	case FIELD_MILLI:
		return milli_schema(f);
	case FIELD_CHOICE:
		return choice_schema(f);
	case FIELD_VALUE:
		return value_schema(f);
	case FIELD_STRUCT:
	case FIELD_STRUCT_PTR:
		return fields_schema(f->fields);
	case FIELD_STRINGS:
		return list_schema(f);
	case FIELD_MAP_STRINGS:
		return map_schema(text_schema(f));
	case FIELD_MAP_VALUES:
		return map_schema(value_schema(f));
	case FIELD_MAP_STRUCTS:
		return map_structs_schema(f);
	case FIELD_LIST_STRUCTS:
		return list_structs_schema(f);
	case FIELD_NODES:
		return selector_schema();
	}
	abort();
}

static json_t *default_value(const struct field *f)
{
	int64_t number;
	struct err err;

	if (f->kind == FIELD_BOOL)
		return json_boolean(strcmp(f->def, "true") == 0);
	if (f->kind == FIELD_INT && parse_int(f->def, INT64_MIN, INT64_MAX, &number, &err) == 0)
		return json_integer((json_int_t)number);
	return json_string(f->def);
}

/* null is an absent key, and that is for any key that may be absent. */
static void allow_null(json_t *schema)
{
	json_t *type = json_object_get(schema, "type");
	json_t *choices = json_object_get(schema, "enum");
	json_t *kinds = json_object_get(schema, "oneOf");

	if (type)
		json_object_set_new(schema, "type", json_pack("[O,s]", type, "null"));
	else if (choices)
		json_array_append_new(choices, json_null());
	else
		json_array_append_new(kinds, typed("null"));
}

/* What the help says, and the bounds that a schema cannot say of a text. */
static json_t *description(const struct field *f)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT, bounds = STRBUF_INIT;

	strbuf_addstr(&text, f->help);
	if (f->kind != FIELD_INT)
		field_bounds(f, &bounds);
	if (bounds.len)
		strbuf_addf(&text, " (%s)", bounds.buf);
	return json_string(text.buf);
}

/* The description comes first, for whoever reads the schema. */
static json_t *field_schema(const struct field *f)
{
	json_t *schema = json_object();
	json_t *kind = kind_schema(f);

	if (!f->required)
		allow_null(kind);
	set(schema, "description", description(f));
	json_object_update(schema, kind);
	json_decref(kind);
	if (f->def)
		set(schema, "default", default_value(f));
	return schema;
}

static json_t *fields_schema(const struct field *fields)
{
	json_t *schema = typed("object");
	json_t *properties = json_object();
	json_t *required = json_array();

	for (const struct field *f = fields; f->key; f++) {
		set(properties, f->key, field_schema(f));
		if (f->required)
			json_array_append_new(required, json_string(f->key));
	}
	set(schema, "properties", properties);
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	json_decref(required);
	set(schema, "additionalProperties", json_false());
	return schema;
}

void schema_json(const struct table_name *table, struct strbuf *ret)
{
	json_t *schema = json_object();
	json_t *fields = fields_schema(table->fields);
	AUTO_FREE char *text = NULL;

	set(schema, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	set(schema, "title", json_sprintf("Dynia %s", table->file));
	set(schema, "description", json_string(table->help));
	json_object_update(schema, fields);
	json_decref(fields);
	text = json_dumps(schema, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	json_decref(schema);
	if (!text)
		abort();
	strbuf_addstr(ret, text);
	strbuf_addch(ret, '\n');
}
