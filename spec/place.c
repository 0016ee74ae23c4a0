#include "spec/place.h"

#include <string.h>

/* The index of a key that is len bytes long, or map->n. */
static size_t find_key(const struct yaml_node *map, const char *key, size_t len)
{
	size_t i = 0;

	if (map->kind != YAML_NODE_MAP)
		return map->n;
	while (i < map->n &&
	       (strlen(map->keys[i]->text) != len || memcmp(map->keys[i]->text, key, len) != 0))
		i++;
	return i;
}

/* Goes as deep as the path is there. Returns the value that was reached, and its key (NULL at the
 * root); what is left of the path goes to *dotted, "" where all of it was found. */
static const struct yaml_node *descend(const struct yaml_node *root, const char **dotted,
				       const struct yaml_node **ret_key)
{
	*ret_key = NULL;
	while (**dotted) {
		size_t len = strcspn(*dotted, ".");
		size_t i = find_key(root, *dotted, len);

		if (i >= root->n || root->kind != YAML_NODE_MAP)
			break;
		*ret_key = root->keys[i];
		root = root->items[i];
		*dotted += len + ((*dotted)[len] == '.');
	}
	return root;
}

struct spec_pos yaml_place(const struct yaml_node *root, const char *dotted)
{
	const struct yaml_node *key, *node;

	if (!root)
		return (struct spec_pos) {1, 1};
	node = descend(root, &dotted, &key);
	if (key && node->kind != YAML_NODE_SCALAR)
		node = key;
	return (struct spec_pos) {node->line, node->column};
}

bool yaml_has(const struct yaml_node *root, const char *dotted)
{
	const struct yaml_node *key, *node;

	if (!root)
		return false;
	node = descend(root, &dotted, &key);
	return *dotted == '\0' && key && !yaml_is_null(node);
}
