#include "spec/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "spec/yaml_problem.h"

/* Maps with more keys than this are sorted to find a duplicate. */
#define SMALL_MAP 16

struct anchor {
	char *name;
	struct yaml_node *node; /* NULL while the node is still being read */
	size_t size;            /* nodes in it */
};

struct builder {
	yaml_parser_t parser;
	const char *path;
	const char *data;
	size_t len;
	bool strict;
	bool unusable;
	struct pool *pool;
	struct diags *diags;
	unsigned depth;
	size_t nodes;
	struct yaml_node **stack; /* children of the collections that are open */
	size_t n_stack, alloc_stack;
	struct anchor *anchors;
	size_t n_anchors, alloc_anchors;
};

static void refuse(struct builder *b, const yaml_mark_t *mark, const char *msg)
{
	b->unusable = true;
	diags_add(b->diags, b->path, (unsigned)mark->line + 1, (unsigned)mark->column + 1, "%s",
		  msg);
}

static int next_event(struct builder *b, yaml_event_t *event)
{
	if (yaml_parser_parse(&b->parser, event))
		return 0;
	b->unusable = true;
	yaml_report_problem(&b->parser, b->path, b->data, b->len, b->diags);
	return -1;
}

static struct yaml_node *new_node(struct builder *b, enum yaml_kind kind, const yaml_mark_t *mark)
{
	struct yaml_node *node = pool_alloc(b->pool, sizeof(*node));

	node->kind = kind;
	node->line = (unsigned)mark->line + 1;
	node->column = (unsigned)mark->column + 1;
	node->text = "";
	return node;
}

/* Counts nodes that are made, or that an alias repeats. */
static int count_nodes(struct builder *b, size_t n, const yaml_mark_t *mark)
{
	b->nodes += n;
	if (b->nodes <= YAML_NODES_MAX)
		return 0;
	b->unusable = true;
	diags_add(b->diags, b->path, (unsigned)mark->line + 1, (unsigned)mark->column + 1,
		  "the file holds more than %d values", YAML_NODES_MAX);
	return -1;
}

static void push(struct builder *b, struct yaml_node *node)
{
	GROW(b->stack, b->n_stack, b->alloc_stack);
	b->stack[b->n_stack++] = node;
}

/* C0 but tab and line feed, DEL, C1 (in UTF-8: 0xc2 and 0x80 to 0x9f), and the line and paragraph
 * separators, which YAML 1.1 takes for a line break: the blanks around one are lost. */
static bool has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			return true;
		if (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0)
			return true;
		if (c == 0xe2 && i + 2 < len && (unsigned char)text[i + 1] == 0x80 &&
		    ((unsigned char)text[i + 2] & 0xfe) == 0xa8)
			return true;
	}
	return false;
}

static struct yaml_node *build_scalar(struct builder *b, const yaml_event_t *event)
{
	struct yaml_node *node = new_node(b, YAML_NODE_SCALAR, &event->start_mark);
	const char *value = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (b->strict && has_control(value, len))
		refuse(b, &event->start_mark, "a control character is not allowed");
	node->text = pool_memdup(b->pool, value, len);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return node;
}

static void report_duplicate(const struct builder *b, const struct yaml_node *first,
			     const struct yaml_node *again)
{
	diags_add(b->diags, b->path, again->line, again->column,
		  "duplicate key '%s': the first is in line %u", again->text, first->line);
}

static int by_text_then_place(const void *a, const void *b)
{
	const struct yaml_node *x = *(struct yaml_node *const *)a,
			       *y = *(struct yaml_node *const *)b;
	int order = strcmp(x->text, y->text);

	if (order)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->column > y->column) - (x->column < y->column);
}

static void find_duplicates_sorted(const struct builder *b, const struct yaml_node *map)
{
	AUTO_FREE struct yaml_node **keys = xreallocarray(NULL, map->n, sizeof(*keys));
	size_t first = 0;

	memcpy(keys, map->keys, map->n * sizeof(*keys));
	qsort(keys, map->n, sizeof(*keys), by_text_then_place);
	for (size_t i = 1; i < map->n; i++) {
		if (strcmp(keys[first]->text, keys[i]->text) == 0)
			report_duplicate(b, keys[first], keys[i]);
		else
			first = i;
	}
}

static void find_duplicates(const struct builder *b, const struct yaml_node *map)
{
	if (map->n > SMALL_MAP) {
		find_duplicates_sorted(b, map);
		return;
	}
	for (size_t i = 1; i < map->n; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(map->keys[j]->text, map->keys[i]->text) == 0) {
				report_duplicate(b, map->keys[j], map->keys[i]);
				break;
			}
		}
	}
}

static bool is_merge_key(const struct yaml_node *key)
{
	return key->plain && strcmp(key->text, "<<") == 0;
}

static void check_key(struct builder *b, struct yaml_node *key)
{
	yaml_mark_t mark = {.line = key->line - 1, .column = key->column - 1};

	if (key->kind != YAML_NODE_SCALAR)
		refuse(b, &mark,
		       "a key must be a word, not a list or a map: quote text that begins with '{' "
		       "or '['");
	else if (b->strict && key->text[0] == '\0')
		refuse(b, &mark, "a key must not be empty");
	else if (b->strict && is_merge_key(key))
		refuse(b, &mark, "the merge key '<<' is not allowed: write the keys out");
}

/* Splits the children on the stack from `base` on into keys and values. */
static void take_pairs(struct builder *b, struct yaml_node *map, size_t base)
{
	size_t n = (b->n_stack - base) / 2;

	map->keys = pool_calloc(b->pool, n, sizeof(*map->keys));
	map->items = pool_calloc(b->pool, n, sizeof(*map->items));
	map->n = n;
	for (size_t i = 0; i < n; i++) {
		map->keys[i] = b->stack[base + 2 * i];
		map->items[i] = b->stack[base + 2 * i + 1];
		check_key(b, map->keys[i]);
	}
	b->n_stack = base;
}

static bool has_pair(const struct builder *b, size_t base, const char *key)
{
	for (size_t i = base; i + 1 < b->n_stack; i += 2)
		if (strcmp(b->stack[i]->text, key) == 0)
			return true;
	return false;
}

/* Pushes what a merged map adds to the pairs from `base` on. */
static int merge_one(struct builder *b, const struct yaml_node *from, size_t base,
		     const yaml_mark_t *mark)
{
	if (from->kind != YAML_NODE_MAP) {
		refuse(b, mark, "'<<' takes a map, or a list of maps");
		return -1;
	}
	for (size_t i = 0; i < from->n; i++) {
		/* The look-up is linear: it counts as work, so that a file cannot make it
		 * quadratic. */
		if (count_nodes(b, 1 + (b->n_stack - base) / 64, mark) < 0)
			return -1;
		if (has_pair(b, base, from->keys[i]->text))
			continue;
		push(b, from->keys[i]);
		push(b, from->items[i]);
	}
	return 0;
}

/* Replaces the map's merge key by what it stands for (https://yaml.org/type/merge.html). */
static int expand_merge(struct builder *b, struct yaml_node *map)
{
	yaml_mark_t mark = {.line = map->line - 1, .column = map->column - 1};
	size_t base = b->n_stack;
	const struct yaml_node *from = NULL;

	for (size_t i = 0; i < map->n; i++) {
		if (is_merge_key(map->keys[i])) {
			from = map->items[i];
		} else {
			push(b, map->keys[i]);
			push(b, map->items[i]);
		}
	}
	if (from && from->kind == YAML_NODE_LIST) {
		for (size_t i = 0; i < from->n; i++)
			if (merge_one(b, from->items[i], base, &mark) < 0)
				return -1;
	} else if (from && merge_one(b, from, base, &mark) < 0) {
		return -1;
	}
	if (from)
		take_pairs(b, map, base);
	b->n_stack = base;
	return 0;
}

static struct yaml_node *build(struct builder *b, const yaml_event_t *event);

/* Reads children up to the end of the collection. */
static int build_children(struct builder *b)
{
	for (;;) {
		CLEANUP(yaml_event_delete) yaml_event_t event = {0};
		struct yaml_node *child;

		if (next_event(b, &event) < 0)
			return -1;
		if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		child = build(b, &event);
		if (!child)
			return -1;
		push(b, child);
	}
}

static struct yaml_node *build_collection(struct builder *b, const yaml_event_t *event)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	struct yaml_node *node =
		new_node(b, is_map ? YAML_NODE_MAP : YAML_NODE_LIST, &event->start_mark);
	size_t base = b->n_stack;

	if (b->depth == YAML_DEPTH_MAX) {
		refuse(b, &event->start_mark, "lists and maps are nested too deeply");
		return NULL;
	}
	b->depth++;
	if (build_children(b) < 0)
		return NULL;
	b->depth--;
	if (is_map) {
		take_pairs(b, node, base);
		if (b->unusable)
			return node;
		find_duplicates(b, node);
		return !b->strict && expand_merge(b, node) < 0 ? NULL : node;
	}
	node->n = b->n_stack - base;
	node->items = pool_calloc(b->pool, node->n, sizeof(*node->items));
	if (node->n)
		memcpy(node->items, b->stack + base, node->n * sizeof(*node->items));
	b->n_stack = base;
	return node;
}

static const char *event_anchor(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

static bool event_has_tag(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.tag;
	default:
		return false;
	}
}

static struct yaml_node *build_alias(struct builder *b, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;

	if (b->strict) {
		refuse(b, &event->start_mark, "an alias is not allowed: write the value out");
		return new_node(b, YAML_NODE_SCALAR, &event->start_mark);
	}
	/* The newest first: an anchor may be given again. */
	for (size_t i = b->n_anchors; i-- > 0;) {
		const struct anchor *anchor = &b->anchors[i];

		if (strcmp(anchor->name, name) != 0)
			continue;
		if (!anchor->node) {
			refuse(b, &event->start_mark, "an alias refers to what it is part of");
			return NULL;
		}
		return count_nodes(b, anchor->size, &event->start_mark) < 0 ? NULL : anchor->node;
	}
	refuse(b, &event->start_mark, "an alias refers to an anchor that is not there");
	return NULL;
}

static struct yaml_node *build_plain(struct builder *b, const yaml_event_t *event)
{
	if (count_nodes(b, 1, &event->start_mark) < 0)
		return NULL;
	return event->type == YAML_SCALAR_EVENT ? build_scalar(b, event)
						: build_collection(b, event);
}

/* An event that begins a node, to the node. NULL where reading cannot go on. */
static struct yaml_node *build(struct builder *b, const yaml_event_t *event)
{
	const char *name = event_anchor(event);
	size_t before = b->nodes, i = b->n_anchors;
	struct yaml_node *node;

	if (event->type == YAML_ALIAS_EVENT)
		return build_alias(b, event);
	if (b->strict && name)
		refuse(b, &event->start_mark,
		       "an anchor is not allowed: write the value out where it is needed");
	if (b->strict && event_has_tag(event))
		refuse(b, &event->start_mark,
		       "a tag is not allowed: quote text that begins with '!'");
	if (b->strict || !name)
		return build_plain(b, event);

	GROW(b->anchors, b->n_anchors, b->alloc_anchors);
	b->anchors[b->n_anchors++] = (struct anchor) {.name = xstrdup(name)};
	node = build_plain(b, event);
	b->anchors[i].node = node;
	b->anchors[i].size = b->nodes - before;
	return node;
}

static struct yaml_node *empty_map(struct builder *b)
{
	return new_node(b, YAML_NODE_MAP, &(yaml_mark_t) {0});
}

/* From the start of the stream to its end: one document, or none. */
static struct yaml_node *build_stream(struct builder *b)
{
	struct yaml_node *root = NULL;

	for (;;) {
		CLEANUP(yaml_event_delete) yaml_event_t event = {0};

		if (next_event(b, &event) < 0)
			return NULL;
		switch (event.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_STREAM_END_EVENT:
			return root ? root : empty_map(b);
		case YAML_DOCUMENT_START_EVENT:
			if (root) {
				refuse(b, &event.start_mark,
				       "a second document begins here: a file holds one");
				return NULL;
			}
			break;
		default:
			root = build(b, &event);
			if (!root)
				return NULL;
		}
	}
}

static void builder_release(struct builder *b)
{
	yaml_parser_delete(&b->parser);
	for (size_t i = 0; i < b->n_anchors; i++)
		free(b->anchors[i].name);
	free(b->anchors);
	free(b->stack);
}

#define BOM "\xef\xbb\xbf"

struct yaml_node *yaml_parse(const char *path, const char *data, size_t len, bool strict,
			     struct pool *pool, struct diags *diags)
{
	size_t skip = len >= strlen(BOM) && memcmp(data, BOM, strlen(BOM)) == 0 ? strlen(BOM) : 0;
	CLEANUP(builder_release)
	struct builder b = {
		.path = path,
		.data = data + skip,
		.len = len - skip,
		.strict = strict,
		.pool = pool,
		.diags = diags,
	};
	struct yaml_node *root;

	/* Fails for want of memory only. */
	if (!yaml_parser_initialize(&b.parser))
		abort();
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)b.data, b.len);
	root = build_stream(&b);
	if (!root || b.unusable)
		return NULL;
	return yaml_is_null(root) ? empty_map(&b) : root;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->kind != YAML_NODE_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->keys[i]->text, key) == 0)
			return map->items[i];
	return NULL;
}

bool yaml_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_NODE_SCALAR && node->plain &&
	       (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
		strcmp(node->text, "null") == 0);
}
