/* The security headers: those that are on by default, and what ingress.headers adds, replaces or
 * takes away. */
#ifndef RENDER_HEADERS_H
#define RENDER_HEADERS_H

#include <stdbool.h>

#include "base/pool.h"
#include "spec/table.h"

struct headers {
	struct spec_pair *v;
	size_t n;
};

/* In the pool; `https` adds what only means something there. */
void headers_merge(struct headers *ret, struct pool *pool, const struct spec_pairs *wanted,
		   bool https);

#endif
