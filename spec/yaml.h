/*
 * YAML to a tree of nodes with positions, through libyaml's event parser.
 *
 * Strict by default: anchors, aliases, tags, duplicate keys, control characters, keys that are no
 * scalars and second documents are diagnostics. Lenient, for a user's own compose file: anchors,
 * aliases (expanded within the node limit), merge keys and tags are let through; what remains an
 * error is what no YAML reader accepts.
 *
 * Everything is allocated in the pool. Limits hold for both: YAML_DEPTH_MAX, YAML_NODES_MAX.
 */
#ifndef SPEC_YAML_H
#define SPEC_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/diag.h"
#include "base/pool.h"

#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 20000

enum yaml_kind { YAML_NODE_SCALAR, YAML_NODE_LIST, YAML_NODE_MAP };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line; /* from 1 */
	unsigned column;
	const char *text;         /* scalar: its value */
	bool plain;               /* scalar: written without quotes */
	struct yaml_node **items; /* list: elements; map: values */
	struct yaml_node **keys;  /* map: scalars */
	size_t n;
};

/* NULL where the file is not usable (diagnostics were added). An empty file gives an empty map. */
struct yaml_node *yaml_parse(const char *path, const char *data, size_t len, bool strict,
			     struct pool *pool, struct diags *diags);
/* The value of a key of a map, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* `~`, `null` or nothing, unquoted. */
bool yaml_is_null(const struct yaml_node *node);

#endif
