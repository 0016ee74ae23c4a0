/* Places in a file by the path of a key, for checks that look at more than one value. */
#ifndef SPEC_PLACE_H
#define SPEC_PLACE_H

#include "spec/table.h"
#include "spec/yaml.h"

/* "ingress.stats.port" to the place of its value where that is a scalar, else of its key. Where the
 * key is absent: the place of the deepest one above it that is there, or 1:1. `root` may be NULL.
 */
struct spec_pos yaml_place(const struct yaml_node *root, const char *dotted);
/* Is the key there with a value that is not null? */
bool yaml_has(const struct yaml_node *root, const char *dotted);

#endif
