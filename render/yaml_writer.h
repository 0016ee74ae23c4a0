/*
 * YAML output through libyaml's emitter: keys and structure come from the caller, every user string
 * goes out double-quoted, for Compose with `$` doubled.
 *
 *	yaml_map_begin(&y, "services");
 *	yaml_string(&y, "image", service->image);
 *	yaml_end(&y);
 */
#ifndef RENDER_YAML_WRITER_H
#define RENDER_YAML_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

struct yaml_writer;

/* Opens the document and its top map. */
struct yaml_writer *yaml_writer_new(void);
void yaml_writer_freep(struct yaml_writer **y);
/* key NULL: an element of a list. */
void yaml_map_begin(struct yaml_writer *y, const char *key);
void yaml_list_begin(struct yaml_writer *y, const char *key);
void yaml_end(struct yaml_writer *y);
/* A user's string: double-quoted, `$` doubled. */
void yaml_string(struct yaml_writer *y, const char *key, const char *value);
/* The same for a reader that replaces nothing: as it is, double-quoted; several lines as a block. */
void yaml_text(struct yaml_writer *y, const char *key, const char *value);
/* printf, then as yaml_string. */
void yaml_stringf(struct yaml_writer *y, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void yaml_int(struct yaml_writer *y, const char *key, int64_t value);
/* A decimal number of so many thousandths: 0.500. */
void yaml_milli(struct yaml_writer *y, const char *key, int64_t thousandths);
void yaml_bool(struct yaml_writer *y, const char *key, bool value);
/* Closes the document. */
int yaml_writer_finish(struct yaml_writer *y, struct strbuf *ret, struct err *err);

#endif
