#include "spec/changes.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* Bytes of a value that are shown. */
#define VALUE_SHOWN 60

struct walk {
	const char *path;
	struct strvec *ret;
};

/* One key of the path that a text shows. */
struct scope {
	const struct scope *up;
	const char *key; /* NULL: an element of a list */
	size_t index;
};

static void compare(const struct walk *w, const struct scope *scope, const struct yaml_node *from,
		    const struct yaml_node *to);

static void add_scope(struct strbuf *sb, const struct scope *scope)
{
	if (!scope)
		return;
	add_scope(sb, scope->up);
	if (!scope->key) {
		strbuf_addf(sb, "[%zu]", scope->index);
		return;
	}
	if (sb->len)
		strbuf_addch(sb, '.');
	strbuf_addstr(sb, scope->key);
}

static void add_value(struct strbuf *sb, const char *text)
{
	size_t len = strlen(text), shown = len;

	if (len > VALUE_SHOWN) {
		shown = VALUE_SHOWN;
		/* Not in the middle of a character. */
		while (shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
			shown--;
	}
	if (len == 0)
		strbuf_addstr(sb, "\"\"");
	for (size_t i = 0; i < shown; i++)
		strbuf_addch(sb, text[i] == '\n' || text[i] == '\t' ? ' ' : text[i]);
	if (shown < len)
		strbuf_addstr(sb, "…");
}

static bool is_secret(const struct yaml_node *node)
{
	return node && node->kind == YAML_NODE_MAP && yaml_get(node, "secret");
}

static bool is_password(const struct scope *scope)
{
	return scope && scope->key && strcmp(scope->key, "password") == 0;
}

/* One text about a scalar, or about a value that is not shown. */
static void emit(const struct walk *w, const struct scope *scope, const struct yaml_node *from,
		 const struct yaml_node *to, bool hidden)
{
	const struct yaml_node *at = to ? to : from;
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT, key = STRBUF_INIT;

	add_scope(&key, scope);
	strbuf_addf(&sb, "%s:%u %s", w->path, at->line, key.buf);
	if (!to) {
		strbuf_addstr(&sb, " removed");
	} else if (hidden) {
		strbuf_addstr(&sb, from ? " changed" : " added");
	} else if (!from) {
		strbuf_addstr(&sb, " added: ");
		add_value(&sb, to->text);
	} else {
		strbuf_addch(&sb, ' ');
		add_value(&sb, from->text);
		strbuf_addstr(&sb, " → ");
		add_value(&sb, to->text);
	}
	strvec_push(w->ret, sb.buf);
}

static bool is_equal(const struct yaml_node *a, const struct yaml_node *b)
{
	if (a->kind != b->kind || a->n != b->n)
		return false;
	if (a->kind == YAML_NODE_SCALAR)
		return strcmp(a->text, b->text) == 0 && yaml_is_null(a) == yaml_is_null(b);
	for (size_t i = 0; i < a->n; i++) {
		if (a->kind == YAML_NODE_MAP && strcmp(a->keys[i]->text, b->keys[i]->text) != 0)
			return false;
		if (!is_equal(a->items[i], b->items[i]))
			return false;
	}
	return true;
}

static void compare_maps(const struct walk *w, const struct scope *scope,
			 const struct yaml_node *from, const struct yaml_node *to)
{
	for (size_t i = 0; from && i < from->n; i++) {
		struct scope inner = {scope, from->keys[i]->text, 0};

		compare(w, &inner, from->items[i], to ? yaml_get(to, inner.key) : NULL);
	}
	for (size_t i = 0; to && i < to->n; i++) {
		struct scope inner = {scope, to->keys[i]->text, 0};

		if (!from || !yaml_get(from, inner.key))
			compare(w, &inner, NULL, to->items[i]);
	}
}

static bool is_list_of_scalars(const struct yaml_node *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i]->kind != YAML_NODE_SCALAR)
			return false;
	return true;
}

static bool has_scalar(const struct yaml_node *list, const char *text)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (strcmp(list->items[i]->text, text) == 0)
			return true;
	return false;
}

/* Elements that came and went; where there are none of either, their order or number changed. */
static void compare_scalar_lists(const struct walk *w, const struct scope *scope,
				 const struct yaml_node *from, const struct yaml_node *to)
{
	size_t before = w->ret->n;
	CLEANUP(strbuf_release) struct strbuf key = STRBUF_INIT;

	add_scope(&key, scope);
	for (size_t i = 0; from && i < from->n; i++) {
		CLEANUP(strbuf_release) struct strbuf value = STRBUF_INIT;

		if (has_scalar(to, from->items[i]->text))
			continue;
		add_value(&value, from->items[i]->text);
		strvec_pushf(w->ret, "%s:%u %s removed: %s", w->path, from->items[i]->line, key.buf,
			     value.buf);
	}
	for (size_t i = 0; to && i < to->n; i++)
		if (!has_scalar(from, to->items[i]->text))
			emit(w, scope, NULL, to->items[i], false);
	if (w->ret->n == before && from && to)
		strvec_pushf(w->ret, "%s:%u %s order changed", w->path, to->line, key.buf);
}

static void compare_lists(const struct walk *w, const struct scope *scope,
			  const struct yaml_node *from, const struct yaml_node *to)
{
	size_t n = from ? from->n : 0;

	if ((!from || is_list_of_scalars(from)) && (!to || is_list_of_scalars(to))) {
		compare_scalar_lists(w, scope, from, to);
		return;
	}
	if (to && to->n > n)
		n = to->n;
	for (size_t i = 0; i < n; i++) {
		struct scope inner = {scope, NULL, i};

		compare(w, &inner, from && i < from->n ? from->items[i] : NULL,
			to && i < to->n ? to->items[i] : NULL);
	}
}

/* Either may be NULL, not both. */
static void compare(const struct walk *w, const struct scope *scope, const struct yaml_node *from,
		    const struct yaml_node *to)
{
	const struct yaml_node *either = to ? to : from;

	if (from && to && is_equal(from, to))
		return;
	if (is_password(scope) || is_secret(from) || is_secret(to)) {
		emit(w, scope, from, to, true);
	} else if (from && to && from->kind != to->kind) {
		compare(w, scope, from, NULL);
		compare(w, scope, NULL, to);
	} else if (either->kind == YAML_NODE_MAP) {
		compare_maps(w, scope, from, to);
	} else if (either->kind == YAML_NODE_LIST) {
		compare_lists(w, scope, from, to);
	} else {
		emit(w, scope, from, to, false);
	}
}

void yaml_changes(const char *path, const struct yaml_node *from, const struct yaml_node *to,
		  struct strvec *ret)
{
	struct walk w = {.path = path, .ret = ret};

	if (from || to)
		compare(&w, NULL, from, to);
}
