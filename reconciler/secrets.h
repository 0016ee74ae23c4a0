/*
 * The node's secrets: PATH_SECRETS, a flat map of name to string that only its owner may read.
 * Values are handed to rendering and go nowhere else: not into a message, a log, a plan or the
 * status.
 */
#ifndef RECONCILER_SECRETS_H
#define RECONCILER_SECRETS_H

#include "base/err.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/strbuf.h"
#include "reconciler/root.h"
#include "spec/model.h"

struct secrets {
	struct spec_pairs *pairs;     /* NULL: there is no such file */
	char digest[SHA256_HEX_SIZE]; /* "" where there is none */
};

/* In the pool. A file that others may read, or that belongs to somebody else, is refused
 * (ERR_CONFIG). */
int secrets_read(const struct root *root, struct pool *pool, struct secrets *ret, struct err *err);
/* A file that holds one secret alone, less the white space around it. The same rules; a path in the root. */
int secret_file_read(const struct root *root, const char *path, size_t limit, struct strbuf *ret,
		     struct err *err);
/* Puts "(secret NAME)" in the place of each value that a message holds: a program may quote the
 * line it cannot read. */
void secrets_mask(const struct secrets *secrets, struct err *err);
/* For struct facts: arg is a struct secrets. */
const char *secrets_lookup(void *arg, const char *name);

#endif
