/*
 * Configuration as data: a row of a table holds a key's name, type, limits, choices, default, help
 * and where its value goes; one engine reads YAML by it, fills defaults, and reports what is wrong
 * with its place. JSON Schema, docs/reference.md and the completion of misspelt keys come from the
 * same rows.
 *
 *	static const struct field vip_fields[] = {
 *		{"address", FIELD_STRING, FIELD_AT(struct vip, address), .required = true,
 *		 .check = check_address, .help = "the address that moves"},
 *		{"router_id", FIELD_INT, FIELD_AT(struct vip, router_id), .min = 1, .max = 255,
 *		 .def = "51", .help = "the VRRP router id"},
 *		FIELD_END,
 *	};
 *
 * A field's place in the struct must have the C type that its kind names below. Where a key is
 * absent: its default is read as if it had been written; with no default a string is NULL, a list is
 * empty, and a pointer to a struct is NULL. A struct that is embedded (FIELD_STRUCT) gets the
 * defaults of its own fields even when its key is absent.
 */
#ifndef SPEC_TABLE_H
#define SPEC_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/strbuf.h"
#include "spec/yaml.h"

enum field_kind {
	FIELD_STRING,       /* const char * */
	FIELD_INT,          /* int64_t, within [min, max] */
	FIELD_BOOL,         /* bool */
	FIELD_DURATION,     /* int64_t, milliseconds, within [min, max] */
	FIELD_SIZE,         /* int64_t, bytes, within [min, max] */
	FIELD_MILLI,        /* int64_t, thousandths, within [min, max] */
	FIELD_CHOICE,       /* int: index into choices */
	FIELD_VALUE,        /* struct spec_value: a string or {secret: NAME} */
	FIELD_STRUCT,       /* the struct itself, by `fields` */
	FIELD_STRUCT_PTR,   /* struct *, NULL where absent or null; `size` bytes each */
	FIELD_STRINGS,      /* struct spec_strings: a list; with one_or_list also a single string */
	FIELD_MAP_STRINGS,  /* struct spec_pairs: name to string */
	FIELD_MAP_VALUES,   /* struct spec_env: name to string or {secret: NAME} */
	FIELD_MAP_STRUCTS,  /* struct spec_map: name to struct of `size` bytes whose first member is
			       const char *name */
	FIELD_LIST_STRUCTS, /* struct spec_map: list of structs of `size` bytes */
	FIELD_NODES,        /* struct spec_selector: all, a list of names, or {labels: {...}} */
};

/* A place in a file, for messages and for causes. */
struct spec_pos {
	unsigned line;
	unsigned column;
};

/* A string, or the name of a secret that is looked up on the node. Both NULL where absent. */
struct spec_value {
	const char *text;
	const char *secret;
	struct spec_pos pos;
};

struct spec_strings {
	const char **v;
	struct spec_pos *pos;
	size_t n;
};

struct spec_pair {
	const char *name;
	const char *value;
	struct spec_pos pos;
};

struct spec_pairs {
	struct spec_pair *v;
	size_t n;
};

struct spec_env_entry {
	const char *name;
	struct spec_value value;
};

struct spec_env {
	struct spec_env_entry *v;
	size_t n;
};

/* n structs of a table's own type, in the order of the file: cast v to it. */
struct spec_map {
	void *v;
	size_t n;
};

struct spec_selector {
	bool all;
	struct spec_strings names;
	struct spec_pairs labels; /* all of them must match */
};

struct field {
	const char *key;
	enum field_kind kind;
	size_t offset;
	size_t size; /* of the struct for FIELD_STRUCT_PTR, _MAP_STRUCTS, _LIST_STRUCTS */
	bool required;
	bool one_or_list; /* FIELD_STRINGS */
	bool unique;      /* FIELD_STRINGS: the same element twice is an error */
	bool multiline;   /* strings: line feed and tab are allowed */
	int64_t min; /* numbers: bounds, where max is not 0; strings: longest length is max, default
			255 */
	int64_t max;
	const char *def;            /* as it would be written in YAML, a string without quotes */
	const char *const *choices; /* FIELD_CHOICE, ends in NULL */
	const struct field *fields; /* structs: their table */
	/* Strings and the elements and values of lists and maps. 0, or -1 with a reason that names
	 * the word. */
	int (*check)(const char *word, struct err *err);
	int (*check_key)(const char *word, struct err *err); /* the names of a map */
	/* Where a struct spec_pos of the value goes. Of a struct (any kind): a member of that
	 * struct. The position of an element of a FIELD_MAP_STRUCTS is that of its name. */
	bool has_pos;
	size_t pos_offset;
	/* For JSON Schema: a regular expression that says what check does (FIELD_MAP_STRUCTS: what
	 * check_key does), or NULL. */
	const char *pattern;
	const char *help;    /* one sentence, lower case, no full stop */
	const char *example; /* as in YAML, on one line, for the reference */
};

#define FIELD_AT(type, member) .offset = offsetof(type, member)
#define FIELD_POS(type, member) .has_pos = true, .pos_offset = offsetof(type, member)
#define FIELD_END                                                                                  \
	{                                                                                          \
		.key = NULL                                                                        \
	}

/* Fills out (zeroed by the caller) from a map node. Strings are borrowed from the tree or the pool.
 */
void table_load(const struct field *fields, const char *path, const struct yaml_node *map,
		void *out, struct pool *pool, struct diags *diags);

/* The bounds of a number as a person writes them: "1 to 65535", "10ms to 40s950ms", "at least 6M";
 * "" where the row has none. */
void field_bounds(const struct field *field, struct strbuf *ret);
/* The field of a key, or NULL. */
const struct field *field_find(const struct field *fields, const char *key);

#endif
