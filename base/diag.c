#include "base/diag.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

static void diag_release(struct diag *diag)
{
	free(diag->path);
	free(diag->msg);
}

void diags_release(struct diags *diags)
{
	for (size_t i = 0; i < diags->n; i++)
		diag_release(&diags->v[i]);
	free(diags->v);
	*diags = (struct diags)DIAGS_INIT;
}

void diags_vadd(struct diags *diags, const char *path, unsigned line, unsigned column,
		const char *fmt, va_list ap)
{
	struct strbuf msg = STRBUF_INIT;
	struct diag *diag;

	if (diags->n == DIAGS_MAX) {
		diags->dropped++;
		return;
	}
	strbuf_vaddf(&msg, fmt, ap);
	GROW(diags->v, diags->n, diags->alloc);
	diag = &diags->v[diags->n++];
	*diag = (struct diag) {
		.path = xstrdup(path),
		.line = line,
		.column = column,
		.msg = strbuf_steal(&msg),
	};
	str_mask_controls(diag->path);
	str_mask_controls(diag->msg);
}

void diags_add(struct diags *diags, const char *path, unsigned line, unsigned column,
	       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diags_vadd(diags, path, line, column, fmt, ap);
	va_end(ap);
}

static int compare_place(const struct diag *a, const struct diag *b)
{
	int by_path = strcmp(a->path, b->path);

	if (by_path)
		return by_path;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return 0;
}

/* qsort(3) is not stable, so it sorts pointers, whose order is the one in which they were added. */
static int compare(const void *pa, const void *pb)
{
	const struct diag *a = *(const struct diag *const *)pa;
	const struct diag *b = *(const struct diag *const *)pb;
	int by_place = compare_place(a, b);

	if (by_place)
		return by_place;
	return a < b ? -1 : 1;
}

/* Is it among the last entries, those at the same place? */
static bool is_repetition(const struct diags *diags, const struct diag *diag)
{
	for (size_t i = diags->n; i > 0 && compare_place(&diags->v[i - 1], diag) == 0; i--) {
		if (strcmp(diags->v[i - 1].msg, diag->msg) == 0)
			return true;
	}
	return false;
}

void diags_sort(struct diags *diags)
{
	struct diags sorted = {.dropped = diags->dropped};
	struct diag **order;

	if (diags->n < 2)
		return;
	order = xcalloc(diags->n, sizeof(struct diag *));
	for (size_t i = 0; i < diags->n; i++)
		order[i] = &diags->v[i];
	qsort(order, diags->n, sizeof(struct diag *), compare);
	for (size_t i = 0; i < diags->n; i++) {
		if (is_repetition(&sorted, order[i])) {
			diag_release(order[i]);
			continue;
		}
		GROW(sorted.v, sorted.n, sorted.alloc);
		sorted.v[sorted.n++] = *order[i];
	}
	free(order);
	free(diags->v);
	*diags = sorted;
}

void diag_text(const struct diag *diag, struct strbuf *ret)
{
	strbuf_addstr(ret, diag->path);
	if (diag->line)
		strbuf_addf(ret, ":%u", diag->line);
	if (diag->line && diag->column)
		strbuf_addf(ret, ":%u", diag->column);
	strbuf_addf(ret, ": %s", diag->msg);
}

void diags_print(const struct diags *diags, FILE *to)
{
	for (size_t i = 0; i < diags->n; i++) {
		CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

		diag_text(&diags->v[i], &line);
		fprintf(to, "%s\n", line.buf);
	}
	if (diags->dropped)
		fprintf(to, "%zu more are not shown\n", diags->dropped);
}
