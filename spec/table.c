#include "spec/table.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "spec/table_text.h"

/* --- numbers and choices ------------------------------------------------------------- */

static int parse_number(const struct field *f, const char *text, int64_t *ret, struct err *err)
{
	switch (f->kind) {
	case FIELD_DURATION:
		return parse_duration_ms(text, ret, err);
	case FIELD_SIZE:
		return parse_size_bytes(text, ret, err);
	case FIELD_MILLI:
		return parse_milli(text, ret, err);
	default:
		return parse_int(text, INT64_MIN, INT64_MAX, ret, err);
	}
}

static void load_number(const struct table_loader *l, const struct table_scope *scope,
			const struct field *f, const struct yaml_node *node, int64_t *out)
{
	CLEANUP(strbuf_release) struct strbuf bounds = STRBUF_INIT;
	struct err err = {0};
	int64_t value;

	if (!table_is_kind(l, scope, node, YAML_NODE_SCALAR))
		return;
	if (f->kind == FIELD_INT && !node->plain) {
		table_report(l, scope, node, "must be a number: write it without quotes");
		return;
	}
	if (parse_number(f, node->text, &value, &err) < 0) {
		table_report(l, scope, node, "%s", err.msg);
		return;
	}
	if ((f->min || f->max) && (value < f->min || (f->max && value > f->max))) {
		field_bounds(f, &bounds);
		table_report(l, scope, node, "%s is out of range: it must be %s", node->text,
			     bounds.buf);
		return;
	}
	*out = value;
}

static bool is_old_boolean(const char *text)
{
	static const char *const words[] = {"yes", "no", "on", "off", "y", "n", "true", "false"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

static void load_bool(const struct table_loader *l, const struct table_scope *scope,
		      const struct yaml_node *node, bool *out)
{
	if (!table_is_kind(l, scope, node, YAML_NODE_SCALAR))
		return;
	if (node->plain && strcmp(node->text, "true") == 0)
		*out = true;
	else if (node->plain && strcmp(node->text, "false") == 0)
		*out = false;
	else if (!node->plain && is_old_boolean(node->text))
		table_report(l, scope, node, "must be true or false, without quotes");
	else if (is_old_boolean(node->text))
		table_report(l, scope, node, "write true or false: '%s' is no boolean here",
			     node->text);
	else
		table_report(l, scope, node, "must be true or false, not '%s'", node->text);
}

static void add_words(struct strbuf *sb, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		strbuf_addf(sb, "%s%s", i ? ", " : "", words[i]);
}

static void load_choice(const struct table_loader *l, const struct table_scope *scope,
			const struct field *f, const struct yaml_node *node, int *out)
{
	CLEANUP(strbuf_release) struct strbuf all = STRBUF_INIT;
	const char *near;

	if (!table_is_kind(l, scope, node, YAML_NODE_SCALAR))
		return;
	for (int i = 0; f->choices[i]; i++) {
		if (strcmp(f->choices[i], node->text) == 0) {
			*out = i;
			return;
		}
	}
	near = nearest_word(node->text, f->choices);
	add_words(&all, f->choices);
	if (near)
		table_report(l, scope, node, "unknown choice '%s': did you mean '%s'?", node->text,
			     near);
	else
		table_report(l, scope, node, "unknown choice '%s': it must be one of %s",
			     node->text, all.buf);
}

/* --- structs ------------------------------------------------------------------------- */

static void load_struct(const struct table_loader *l, const struct table_scope *scope,
			const struct field *fields, const struct yaml_node *map, void *out);

static void set_pos(const struct field *f, void *base, const struct yaml_node *node)
{
	struct spec_pos pos = table_pos(node);

	if (f->has_pos)
		memcpy((char *)base + f->pos_offset, &pos, sizeof(pos));
}

static void *load_struct_ptr(const struct table_loader *l, const struct table_scope *scope,
			     const struct field *f, const struct yaml_node *node)
{
	void *item;

	if (!table_is_kind(l, scope, node, YAML_NODE_MAP))
		return NULL;
	item = pool_alloc(l->pool, f->size);
	set_pos(f, item, node);
	load_struct(l, scope, f->fields, node, item);
	return item;
}

static const struct yaml_node *or_empty_map(const struct table_loader *l,
					    const struct yaml_node *node)
{
	struct yaml_node *map;

	if (!yaml_is_null(node))
		return node;
	map = pool_alloc(l->pool, sizeof(*map));
	*map = (struct yaml_node) {.kind = YAML_NODE_MAP,
				   .line = node->line,
				   .column = node->column,
				   .text = ""};
	return map;
}

static void load_map_structs(const struct table_loader *l, const struct table_scope *scope,
			     const struct field *f, const struct yaml_node *node,
			     struct spec_map *out)
{
	if (!table_is_kind(l, scope, node, YAML_NODE_MAP))
		return;
	out->v = pool_calloc(l->pool, node->n, f->size);
	for (size_t i = 0; i < node->n; i++) {
		const char *name = node->keys[i]->text;
		struct table_scope inner = {scope, name};
		char *item = (char *)out->v + out->n * f->size;
		const struct yaml_node *map = or_empty_map(l, node->items[i]);

		if (!table_is_key_allowed(l, scope, f, node->keys[i]) ||
		    !table_is_kind(l, &inner, map, YAML_NODE_MAP))
			continue;
		memcpy(item, &name, sizeof(name));
		set_pos(f, item, node->keys[i]);
		load_struct(l, &inner, f->fields, map, item);
		out->n++;
	}
}

static void load_list_structs(const struct table_loader *l, const struct table_scope *scope,
			      const struct field *f, const struct yaml_node *node,
			      struct spec_map *out)
{
	if (!table_is_kind(l, scope, node, YAML_NODE_LIST))
		return;
	out->v = pool_calloc(l->pool, node->n, f->size);
	for (size_t i = 0; i < node->n; i++) {
		char *item = (char *)out->v + out->n * f->size;

		if (!table_is_kind(l, scope, node->items[i], YAML_NODE_MAP))
			continue;
		set_pos(f, item, node->items[i]);
		load_struct(l, scope, f->fields, node->items[i], item);
		out->n++;
	}
}

static void load_field(const struct table_loader *l, const struct table_scope *scope,
		       const struct field *f, const struct yaml_node *node, void *base)
{
	void *out = (char *)base + f->offset;

	switch (f->kind) {
	case FIELD_STRING:
		*(const char **)out = table_text(l, scope, f, node);
		break;
	case FIELD_INT:
	case FIELD_DURATION:
	case FIELD_SIZE:
	case FIELD_MILLI:
		load_number(l, scope, f, node, out);
		break;
	case FIELD_BOOL:
		load_bool(l, scope, node, out);
		break;
	case FIELD_CHOICE:
		load_choice(l, scope, f, node, out);
		break;
	case FIELD_VALUE:
		table_load_value(l, scope, f, node, out);
		break;
	case FIELD_STRUCT:
		set_pos(f, out, node);
		if (table_is_kind(l, scope, node, YAML_NODE_MAP))
			load_struct(l, scope, f->fields, node, out);
		break;
	case FIELD_STRUCT_PTR:
		*(void **)out = load_struct_ptr(l, scope, f, node);
		break;
	case FIELD_STRINGS:
		table_load_strings(l, scope, f, node, out);
		break;
	case FIELD_MAP_STRINGS:
		table_load_pairs(l, scope, f, node, out);
		break;
	case FIELD_MAP_VALUES:
		table_load_env(l, scope, f, node, out);
		break;
	case FIELD_MAP_STRUCTS:
		load_map_structs(l, scope, f, node, out);
		break;
	case FIELD_LIST_STRUCTS:
		load_list_structs(l, scope, f, node, out);
		break;
	case FIELD_NODES:
		table_load_selector(l, scope, node, out);
		break;
	}
}

/* Writes the defaults of every field: what is read afterwards overwrites them. */
static void fill_defaults(const struct table_loader *l, const struct field *fields, void *base)
{
	for (const struct field *f = fields; f->key; f++) {
		/* A string is as if in quotes: the default "" is no null. */
		struct yaml_node node = {.kind = YAML_NODE_SCALAR,
					 .text = f->def,
					 .plain = f->kind != FIELD_STRING};
		struct table_scope scope = {NULL, f->key};

		if (f->kind == FIELD_STRUCT)
			fill_defaults(l, f->fields, (char *)base + f->offset);
		else if (f->def)
			load_field(l, &scope, f, &node, base);
	}
}

static bool is_field_struct(const struct field *f)
{
	return f->kind == FIELD_STRUCT || f->kind == FIELD_STRUCT_PTR ||
	       f->kind == FIELD_MAP_STRUCTS || f->kind == FIELD_LIST_STRUCTS;
}

static void report_unknown_key(const struct table_loader *l, const struct table_scope *scope,
			       const struct field *fields, const struct yaml_node *key)
{
	CLEANUP(strbuf_release) struct strbuf all = STRBUF_INIT;
	const char *near;
	size_t n = 0;

	while (fields[n].key)
		n++;
	AUTO_FREE const char **words = xcalloc(n + 1, sizeof(*words));
	for (size_t i = 0; i < n; i++)
		words[i] = fields[i].key;
	near = nearest_word(key->text, words);
	add_words(&all, words);
	if (near)
		table_report(l, scope, key, "unknown key '%s': did you mean '%s'?", key->text,
			     near);
	else
		table_report(l, scope, key, "unknown key '%s': known here: %s", key->text, all.buf);
}

static void report_missing(const struct table_loader *l, const struct table_scope *scope,
			   const struct field *f, const struct yaml_node *map)
{
	table_report(l, scope, map, "missing key '%s': %s", f->key, f->help);
}

/* Reads what is written over what is there. */
static void load_keys(const struct table_loader *l, const struct table_scope *scope,
		      const struct field *fields, const struct yaml_node *map, void *out)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct field *f = field_find(fields, map->keys[i]->text);
		struct table_scope inner = {scope, map->keys[i]->text};

		if (!f) {
			report_unknown_key(l, scope, fields, map->keys[i]);
			continue;
		}
		/* A duplicate was reported, and the first one counts. */
		if (yaml_is_null(map->items[i]) || yaml_get(map, f->key) != map->items[i])
			continue;
		load_field(l, &inner, f, map->items[i], out);
		if (f->has_pos && !is_field_struct(f))
			set_pos(f, out, map->items[i]);
	}
	for (const struct field *f = fields; f->key; f++) {
		const struct yaml_node *node = f->required ? yaml_get(map, f->key) : NULL;

		if (f->required && (!node || yaml_is_null(node)))
			report_missing(l, scope, f, map);
	}
}

static void load_struct(const struct table_loader *l, const struct table_scope *scope,
			const struct field *fields, const struct yaml_node *map, void *out)
{
	fill_defaults(l, fields, out);
	load_keys(l, scope, fields, map, out);
}

void table_load(const struct field *fields, const char *path, const struct yaml_node *map,
		void *out, struct pool *pool, struct diags *diags)
{
	struct table_loader l = {.path = path, .pool = pool, .diags = diags};

	if (table_is_kind(&l, NULL, map, YAML_NODE_MAP))
		load_struct(&l, NULL, fields, map, out);
	else
		fill_defaults(&l, fields, out);
}
