/* Pieces that more than one table uses. */
#ifndef SPEC_TABLE_SHARED_H
#define SPEC_TABLE_SHARED_H

#include "spec/table.h"

extern const struct field resources_fields[];   /* struct resources */
extern const struct field credentials_fields[]; /* struct credentials */
extern const struct field verify_fields[];      /* struct verify */

/* The first row of every file: struct TYPE has int64_t version. */
#define FIELD_VERSION(type)                                                                        \
	{                                                                                          \
		"version", FIELD_INT, FIELD_AT(type, version),                                     \
			.required = true, .min = 1, .max = 1,                                      \
			.help = "the version of this format: 1"                                    \
	}

#define PATTERN_NAME "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
#define PATTERN_WORD "^[A-Za-z0-9][A-Za-z0-9._-]*$"
#define PATTERN_CIDR "^[0-9a-fA-F.:]+/[0-9]{1,3}$"
#define PATTERN_HOSTNAME "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
#define PATTERN_HOST "^(\\*\\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
#define PATTERN_REGISTRY "^[a-z0-9.-]+(:[0-9]{1,5})?$"
#define PATTERN_IMAGE "^[a-z0-9][A-Za-z0-9._/:@-]*$"

#endif
