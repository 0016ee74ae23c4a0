#include "spec/table_text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/words.h"

#define DEFAULT_TEXT_MAX 255

static void add_scope(struct strbuf *sb, const struct table_scope *scope)
{
	if (!scope)
		return;
	add_scope(sb, scope->up);
	if (sb->len)
		strbuf_addch(sb, '.');
	strbuf_addstr(sb, scope->key);
}

void table_report(const struct table_loader *l, const struct table_scope *scope,
		  const struct yaml_node *at, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf key = STRBUF_INIT, msg = STRBUF_INIT;
	va_list ap;

	add_scope(&key, scope);
	va_start(ap, fmt);
	strbuf_vaddf(&msg, fmt, ap);
	va_end(ap);
	if (key.len)
		diags_add(l->diags, l->path, at->line, at->column, "%s: %s", key.buf, msg.buf);
	else
		diags_add(l->diags, l->path, at->line, at->column, "%s", msg.buf);
}

struct spec_pos table_pos(const struct yaml_node *node)
{
	return (struct spec_pos) {.line = node->line, .column = node->column};
}

bool table_is_kind(const struct table_loader *l, const struct table_scope *scope,
		   const struct yaml_node *node, enum yaml_kind kind)
{
	static const char *const names[] = {
		[YAML_NODE_SCALAR] = "a single value",
		[YAML_NODE_LIST] = "a list",
		[YAML_NODE_MAP] = "a map of keys and values",
	};

	if (node->kind == kind)
		return true;
	table_report(l, scope, node, "must be %s, not %s", names[kind], names[node->kind]);
	return false;
}

/* --- strings ------------------------------------------------------------------------- */

/* The text where the node is a string that the row allows, else NULL. */
const char *table_text(const struct table_loader *l, const struct table_scope *scope,
		       const struct field *f, const struct yaml_node *node)
{
	size_t max = f->max ? (size_t)f->max : DEFAULT_TEXT_MAX;
	struct err err = {0};

	if (!table_is_kind(l, scope, node, YAML_NODE_SCALAR))
		return NULL;
	if (yaml_is_null(node)) {
		table_report(l, scope, node,
			     "has no value: write \"\" where an empty text is meant");
		return NULL;
	}
	if (strlen(node->text) > max) {
		table_report(l, scope, node, "is longer than %zu bytes", max);
		return NULL;
	}
	if (!f->multiline && strpbrk(node->text, "\n\t")) {
		table_report(l, scope, node, "must be one line with no tab in it");
		return NULL;
	}
	if (f->check && f->check(node->text, &err) < 0) {
		table_report(l, scope, node, "%s", err.msg);
		return NULL;
	}
	return node->text;
}

void table_load_value(const struct table_loader *l, const struct table_scope *scope,
		      const struct field *f, const struct yaml_node *node, struct spec_value *out)
{
	const struct yaml_node *secret;
	struct err err = {0};

	out->pos = table_pos(node);
	if (node->kind == YAML_NODE_SCALAR) {
		out->text = table_text(l, scope, f, node);
		return;
	}
	secret = yaml_get(node, "secret");
	if (!secret || node->n != 1 || secret->kind != YAML_NODE_SCALAR)
		table_report(l, scope, node, "must be a text, or {secret: NAME}");
	else if (check_secret_name(secret->text, &err) < 0)
		table_report(l, scope, secret, "%s", err.msg);
	else
		out->secret = secret->text;
}

struct element {
	const char *text;
	const struct yaml_node *node;
};

static int by_text_then_place(const void *a, const void *b)
{
	const struct element *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	if (order)
		return order;
	if (x->node->line != y->node->line)
		return x->node->line < y->node->line ? -1 : 1;
	return (x->node->column > y->node->column) - (x->node->column < y->node->column);
}

static void report_repeated(const struct table_loader *l, const struct table_scope *scope,
			    const struct yaml_node *node)
{
	AUTO_FREE struct element *sorted = xcalloc(node->n + 1, sizeof(*sorted));
	size_t n = 0;

	for (size_t i = 0; i < node->n; i++)
		if (node->items[i]->kind == YAML_NODE_SCALAR)
			sorted[n++] = (struct element) {node->items[i]->text, node->items[i]};
	qsort(sorted, n, sizeof(*sorted), by_text_then_place);
	for (size_t i = 1; i < n; i++)
		if (strcmp(sorted[i - 1].text, sorted[i].text) == 0)
			table_report(l, scope, sorted[i].node, "'%s' is there twice",
				     sorted[i].text);
}

void table_load_strings(const struct table_loader *l, const struct table_scope *scope,
			const struct field *f, const struct yaml_node *node,
			struct spec_strings *out)
{
	struct yaml_node *one[1] = {(struct yaml_node *)node};
	struct yaml_node *const *items = node->items;
	size_t n = node->n;

	if (f->one_or_list && node->kind == YAML_NODE_SCALAR) {
		items = one;
		n = 1;
	} else if (!table_is_kind(l, scope, node, YAML_NODE_LIST)) {
		return;
	}
	out->v = pool_calloc(l->pool, n, sizeof(*out->v));
	out->pos = pool_calloc(l->pool, n, sizeof(*out->pos));
	for (size_t i = 0; i < n; i++) {
		const char *text = table_text(l, scope, f, items[i]);

		if (!text)
			continue;
		out->v[out->n] = text;
		out->pos[out->n++] = table_pos(items[i]);
	}
	if (f->required && n == 0)
		table_report(l, scope, node, "must not be empty");
	if (f->unique && out->n == node->n)
		report_repeated(l, scope, node);
}

bool table_is_key_allowed(const struct table_loader *l, const struct table_scope *scope,
			  const struct field *f, const struct yaml_node *key)
{
	struct err err = {0};

	if (strpbrk(key->text, "\n\t"))
		err_set(&err, ERR_CONFIG, "a name must be one line with no tab in it");
	else if (strlen(key->text) > DEFAULT_TEXT_MAX)
		err_set(&err, ERR_CONFIG, "a name is longer than %d bytes", DEFAULT_TEXT_MAX);
	else if (f->check_key)
		f->check_key(key->text, &err);
	if (err.code == ERR_NONE)
		return true;
	table_report(l, scope, key, "%s", err.msg);
	return false;
}

void table_load_pairs(const struct table_loader *l, const struct table_scope *scope,
		      const struct field *f, const struct yaml_node *node, struct spec_pairs *out)
{
	if (!table_is_kind(l, scope, node, YAML_NODE_MAP))
		return;
	out->v = pool_calloc(l->pool, node->n, sizeof(*out->v));
	for (size_t i = 0; i < node->n; i++) {
		struct table_scope inner = {scope, node->keys[i]->text};
		const char *text;

		if (!table_is_key_allowed(l, scope, f, node->keys[i]))
			continue;
		text = table_text(l, &inner, f, node->items[i]);
		if (text)
			out->v[out->n++] = (struct spec_pair) {
				.name = node->keys[i]->text,
				.value = text,
				.pos = table_pos(node->items[i]),
			};
	}
}

void table_load_env(const struct table_loader *l, const struct table_scope *scope,
		    const struct field *f, const struct yaml_node *node, struct spec_env *out)
{
	if (!table_is_kind(l, scope, node, YAML_NODE_MAP))
		return;
	out->v = pool_calloc(l->pool, node->n, sizeof(*out->v));
	for (size_t i = 0; i < node->n; i++) {
		struct table_scope inner = {scope, node->keys[i]->text};

		if (!table_is_key_allowed(l, scope, f, node->keys[i]))
			continue;
		out->v[out->n].name = node->keys[i]->text;
		table_load_value(l, &inner, f, node->items[i], &out->v[out->n++].value);
	}
}

static const struct field selector_names = {.key = "names", .unique = true, .check = check_name};
static const struct field selector_labels = {.key = "labels",
					     .max = 63,
					     .check = check_label,
					     .check_key = check_label};

void table_load_selector(const struct table_loader *l, const struct table_scope *scope,
			 const struct yaml_node *node, struct spec_selector *out)
{
	const struct yaml_node *labels = yaml_get(node, "labels");
	struct table_scope inner = {scope, "labels"};

	/* The default is there already, and must not stay beside what is read now. */
	*out = (struct spec_selector) {0};
	if (node->kind == YAML_NODE_SCALAR && strcmp(node->text, "all") == 0)
		out->all = true;
	else if (node->kind == YAML_NODE_LIST)
		table_load_strings(l, scope, &selector_names, node, &out->names);
	else if (labels && node->n == 1 && labels->n > 0)
		table_load_pairs(l, &inner, &selector_labels, labels, &out->labels);
	else
		table_report(l, scope, node,
			     "must be all, a list of names, or {labels: {NAME: VALUE}}");
}
