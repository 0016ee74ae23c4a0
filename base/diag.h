/*
 * A list of what is wrong with a repository, each with its place, so that one run reports
 * everything.
 *
 * Printed as `path:line:column: message`. Line and column count from 1; 0 stands for "the file as a
 * whole" and is left out. Control characters in a message are replaced by '?'.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "base/strbuf.h"

struct diag {
	char *path;
	unsigned line;
	unsigned column;
	char *msg;
};

struct diags {
	struct diag *v;
	size_t n;
	size_t alloc;
	size_t dropped; /* more than DIAGS_MAX were added; only counted */
};

#define DIAGS_MAX 1000
#define DIAGS_INIT                                                                                 \
	{                                                                                          \
		0                                                                                  \
	}

void diags_release(struct diags *diags);
void diags_add(struct diags *diags, const char *path, unsigned line, unsigned column,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void diags_vadd(struct diags *diags, const char *path, unsigned line, unsigned column,
		const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));
/* By path, line, column; entries at the same place keep their order; exact repetitions are removed.
 */
void diags_sort(struct diags *diags);
/* Appends "path:line:column: message". */
void diag_text(const struct diag *diag, struct strbuf *ret);
/* One line each, and a last line where some were dropped. */
void diags_print(const struct diags *diags, FILE *to);

#endif
