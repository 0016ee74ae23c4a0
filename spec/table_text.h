/*
 * The part of the table engine that every kind of field needs, and the fields that are made of
 * texts. Only table.c uses it.
 */
#ifndef SPEC_TABLE_TEXT_H
#define SPEC_TABLE_TEXT_H

#include "spec/table.h"

/* One key of the path that messages show: ingress.stats.port. */
struct table_scope {
	const struct table_scope *up; /* NULL: the file itself */
	const char *key;
};

struct table_loader {
	const char *path;
	struct pool *pool;
	struct diags *diags;
};

/* Reports at a node, with the path of the key before the message. */
void table_report(const struct table_loader *l, const struct table_scope *scope,
		  const struct yaml_node *at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
struct spec_pos table_pos(const struct yaml_node *node);
/* Reports where not. */
bool table_is_kind(const struct table_loader *l, const struct table_scope *scope,
		   const struct yaml_node *node, enum yaml_kind kind);
/* May a map have this name? Reports where not. */
bool table_is_key_allowed(const struct table_loader *l, const struct table_scope *scope,
			  const struct field *f, const struct yaml_node *key);

/* The text where the node is a string that the row allows, else NULL (reported). */
const char *table_text(const struct table_loader *l, const struct table_scope *scope,
		       const struct field *f, const struct yaml_node *node);
void table_load_value(const struct table_loader *l, const struct table_scope *scope,
		      const struct field *f, const struct yaml_node *node, struct spec_value *out);
void table_load_strings(const struct table_loader *l, const struct table_scope *scope,
			const struct field *f, const struct yaml_node *node,
			struct spec_strings *out);
void table_load_pairs(const struct table_loader *l, const struct table_scope *scope,
		      const struct field *f, const struct yaml_node *node, struct spec_pairs *out);
void table_load_env(const struct table_loader *l, const struct table_scope *scope,
		    const struct field *f, const struct yaml_node *node, struct spec_env *out);
void table_load_selector(const struct table_loader *l, const struct table_scope *scope,
			 const struct yaml_node *node, struct spec_selector *out);

#endif
