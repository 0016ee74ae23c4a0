/*
 * Why something changes: the fields and files that differ between two revisions, and what else
 * rendering depends on. Each action of a plan carries the causes that concern it.
 */
#ifndef RECONCILER_CAUSES_H
#define RECONCILER_CAUSES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"
#include "spec/model.h"

struct cause {
	const char *service; /* whose; NULL: the cluster's, or the node's */
	bool is_file;        /* a file that a service brings, as against a field of its YAML */
	const char *text;    /* "clusters/shop/services/api.yaml:4 image 1.4.1 → 1.4.2" */
};

struct causes {
	struct pool *pool;
	struct cause *v;
	size_t n;
	size_t alloc;
};

#define CAUSES_INIT(p)                                                                             \
	{                                                                                          \
		.pool = (p)                                                                        \
	}

void causes_release(struct causes *causes);
void causes_add(struct causes *causes, const char *service, bool is_file, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* What differs between two revisions of a cluster; `from` NULL: everything is new, which is one
 * cause. */
void causes_between(const struct cluster *from, const struct cluster *to, struct causes *ret);
/* Those that concern a service's file, or with service NULL one of the whole node; in the pool, and
 * at least one where there is any at all. */
const char **causes_for(const struct causes *causes, const char *service, size_t *ret_n);

#endif
