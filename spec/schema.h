/* JSON Schema (draft 2020-12) and the Markdown reference, both from the rows of a table. */
#ifndef SPEC_SCHEMA_H
#define SPEC_SCHEMA_H

#include "base/strbuf.h"
#include "spec/tables.h"

/* Pretty-printed with a final newline, in the order of the table. */
void schema_json(const struct table_name *table, struct strbuf *ret);
/* The whole of docs/reference.md, all tables. */
void schema_reference(struct strbuf *ret);

#endif
