/* Shows plans: as text for a terminal, as Markdown for a pull request, as JSON for programs. */
#ifndef CLI_PLAN_PRINT_H
#define CLI_PLAN_PRINT_H

#include <jansson.h>
#include <stdbool.h>

#include "reconciler/plan.h"

enum plan_format { PLAN_TEXT, PLAN_MARKDOWN, PLAN_JSON };

/* "text", "markdown", "json"; -1 for another word. */
int plan_format_find(const char *word);

struct plan_printer {
	enum plan_format format;
	bool colour;
	json_t *nodes; /* JSON: collected, printed at the end */
	size_t n_nodes;
	size_t n_changes;
};

void plan_print_begin(struct plan_printer *printer, enum plan_format format, bool colour);
void plan_print_node(struct plan_printer *printer, const char *cluster, const char *node,
		     const struct plan *plan);
/* The summary, or the whole JSON document. */
void plan_print_end(struct plan_printer *printer);

#endif
