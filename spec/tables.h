/* The tables of the three files, each ended by FIELD_END. What a key means is said in its row. */
#ifndef SPEC_TABLES_H
#define SPEC_TABLES_H

#include "spec/table.h"

extern const struct field cluster_table[]; /* struct cluster */
extern const struct field service_table[]; /* struct service */
extern const struct field agent_table[];   /* struct agent_config */

/* The three by name, for `dynia schema` and the reference. Ends in .name NULL. */
struct table_name {
	const char *name; /* "cluster", "service", "agent" */
	const char *file; /* "cluster.yaml" */
	const struct field *fields;
	const char *help;
};

extern const struct table_name table_names[];

#endif
