#include "cli/plan_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* Causes shown of one action; the others are counted. */
#define BECAUSE_MAX 6

static const struct {
	char sign;
	const char *colour;
} looks[] = {
	[ACTION_CREATE] = {'+', "\033[32m"},   [ACTION_UPDATE] = {'~', "\033[33m"},
	[ACTION_RESTORE] = {'~', "\033[33m"},  [ACTION_REMOVE] = {'-', "\033[31m"},
	[ACTION_START] = {'>', "\033[36m"},    [ACTION_RELOAD] = {'>', "\033[36m"},
	[ACTION_STOP] = {'>', "\033[36m"},     [ACTION_RUN] = {'+', "\033[32m"},
	[ACTION_RECREATE] = {'~', "\033[33m"}, [ACTION_RESUME] = {'>', "\033[36m"},
	[ACTION_DELETE] = {'-', "\033[31m"},
};

static const char *const formats[] = {"text", "markdown", "json"};

int plan_format_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i], word) == 0)
			return (int)i;
	return -1;
}

void plan_print_begin(struct plan_printer *p, enum plan_format format, bool colour)
{
	*p = (struct plan_printer) {.format = format, .colour = colour};
	if (format == PLAN_JSON)
		p->nodes = json_array();
	if (format == PLAN_MARKDOWN)
		printf("### What this merge does\n");
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* The same causes under one another need not be repeated. */
static bool same_causes(const struct action *a, const struct action *b)
{
	if (!a || a->n_because != b->n_because)
		return false;
	for (size_t i = 0; i < a->n_because; i++)
		if (strcmp(a->because[i], b->because[i]) != 0)
			return false;
	return true;
}

static void print_causes(const struct action *action, const char *before, const char *after)
{
	size_t n = action->n_because < BECAUSE_MAX ? action->n_because : BECAUSE_MAX;

	for (size_t i = 0; i < n; i++)
		printf("%s%s%s\n", before, action->because[i], after);
	if (action->n_because > n)
		printf("%sand %zu more%s\n", before, action->n_because - n, after);
}

static void print_text(const struct plan_printer *p, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct action *a = &plan->v[i];
		const struct action *next = i + 1 < plan->n ? &plan->v[i + 1] : NULL;

		printf("  %s%c %-8s %s%s\n", p->colour ? looks[a->kind].colour : "",
		       looks[a->kind].sign, action_verb(a->kind), a->what,
		       p->colour ? "\033[0m" : "");
		if (!next || !same_causes(next, a))
			print_causes(a, "      because ", "");
	}
}

/* In a code span a backtick would end it, and in a table cell a bar would. */
static void add_code(struct strbuf *out, const char *text)
{
	strbuf_addch(out, '`');
	for (; *text; text++)
		strbuf_addch(out, *text == '`' ? '\'' : *text == '|' ? '/' : *text);
	strbuf_addch(out, '`');
}

static void print_markdown(const struct plan *plan)
{
	printf("| action | what | because |\n|---|---|---|\n");
	for (size_t i = 0; i < plan->n; i++) {
		const struct action *a = &plan->v[i];
		CLEANUP(strbuf_release) struct strbuf row = STRBUF_INIT;

		add_code(&row, a->what);
		strbuf_addstr(&row, " | ");
		add_code(&row, action_because(plan->pool, a));
		printf("| %s | %s |\n", action_verb(a->kind), row.buf);
	}
}

static json_t *plan_to_json(const char *cluster, const char *node, const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->n; i++) {
		const struct action *a = &plan->v[i];
		json_t *because = json_array();

		for (size_t k = 0; k < a->n_because; k++)
			json_array_append_new(because, json_string(a->because[k]));
		json_array_append_new(list, json_pack("{ss ss so}", "action", action_verb(a->kind),
						      "what", a->what, "because", because));
	}
	return json_pack("{ss ss so}", "cluster", cluster, "node", node, "changes", list);
}

void plan_print_node(struct plan_printer *p, const char *cluster, const char *node,
		     const struct plan *plan)
{
	p->n_nodes++;
	p->n_changes += plan->n;
	if (p->format == PLAN_JSON) {
		json_array_append_new(p->nodes, plan_to_json(cluster, node, plan));
		return;
	}
	if (!plan->n)
		return;
	if (p->format == PLAN_MARKDOWN) {
		printf("\n**%s/%s**: %zu change%s\n\n", cluster, node, plan->n, plural(plan->n));
		print_markdown(plan);
		return;
	}
	printf("%s/%s: %zu change%s\n", cluster, node, plan->n, plural(plan->n));
	print_text(p, plan);
}

void plan_print_end(struct plan_printer *p)
{
	if (p->format == PLAN_JSON) {
		json_t *object = json_pack("{si so}", "version", 1, "nodes", p->nodes);
		char *text = json_dumps(object, JSON_INDENT(1));

		puts(text);
		free(text);
		json_decref(object);
		return;
	}
	if (p->n_changes)
		printf("%s%zu change%s on %zu node%s\n", p->format == PLAN_MARKDOWN ? "\n" : "",
		       p->n_changes, plural(p->n_changes), p->n_nodes, plural(p->n_nodes));
	else
		printf("%snothing to do\n", p->format == PLAN_MARKDOWN ? "\n" : "");
}
