/* Certificates in HAProxy's folder: the self-signed placeholder that lets it start, and what the
 * status says of the rest. */
#ifndef RECONCILER_CERTIFICATE_H
#define RECONCILER_CERTIFICATE_H

#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/strbuf.h"

/* A new P-256 key and a certificate for `name`, signed by itself, valid ten years, as one PEM:
 * certificate, key. */
int certificate_self_signed(const char *name, struct strbuf *ret_pem, struct err *err);

struct certificate {
	const char *file;
	const char **names; /* subject alternative names, or the common name */
	size_t n_names;
	int64_t not_after_s;
};

struct certificates {
	struct certificate *v;
	size_t n;
	char digest[SHA256_HEX_SIZE]; /* over the names and contents of all of them; "" where there
					 are none */
};

/* Every *.pem in the folder (a path in dirfd's root) except `placeholder`, sorted by name. A folder
 * that is not there has none. One that cannot be read as a certificate has no names; HAProxy's own
 * check says what is wrong with it. */
int certificates_read(int dirfd, const char *folder, const char *placeholder, struct pool *pool,
		      struct certificates *ret, struct err *err);

#endif
