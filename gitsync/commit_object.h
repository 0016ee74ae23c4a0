/*
 * A commit object as it is stored, taken apart strictly, for looking at its signature: what Git would read leniently, and
 * two programs perhaps differently, is an error here. A signature covers the object less the header that holds it.
 */
#ifndef GITSYNC_COMMIT_OBJECT_H
#define GITSYNC_COMMIT_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

#define COMMIT_PARENTS_MAX 64
#define COMMIT_OBJECT_MAX (1 << 20)
#define COMMIT_OID_SIZE 41

enum signature_kind {
	SIGNATURE_NONE,
	SIGNATURE_SSH,
	SIGNATURE_OPENPGP,
	SIGNATURE_OTHER,
};

struct commit_object {
	char tree[COMMIT_OID_SIZE];
	char parents[COMMIT_PARENTS_MAX][COMMIT_OID_SIZE];
	size_t n_parents;
	int64_t committed_s;
	enum signature_kind kind;
	struct strbuf signature; /* armoured, ends in a line feed */
	struct strbuf payload;   /* what it covers */
};

#define COMMIT_OBJECT_INIT                                                                         \
	{                                                                                          \
		.signature = STRBUF_INIT, .payload = STRBUF_INIT                                   \
	}

void commit_object_release(struct commit_object *commit);
/* ERR_VERIFY with what is wrong with it; a commit without a signature is no error. */
int commit_object_parse(const char *data, size_t len, struct commit_object *ret, struct err *err);

#endif
