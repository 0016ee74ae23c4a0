/* Certificates in HAProxy's folder: the self-signed placeholder that lets it start, and what the
 * status says of the rest. */
#ifndef RECONCILER_CERTIFICATE_H
#define RECONCILER_CERTIFICATE_H

#include <stdbool.h>
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
	const char **names; /* subject alternative names */
	size_t n_names;
	int64_t not_after_s;
	const char *broken; /* why HAProxy could not load it, NULL where it can */
};

struct certificates {
	struct certificate *v;
	size_t n;
	char digest[SHA256_HEX_SIZE]; /* over the names and contents of all of them; "" where there
					 are none */
	const char **good;            /* the files of those that are not broken */
	size_t n_good;
};

/* What a file must hold for HAProxy to load it (a certificate, its private key, and the rest of the
 * chain), or NULL where it does. `key` is the file beside it, NAME.pem.key; NULL or empty: none. The
 * names and the end are filled in where there is a certificate. */
const char *certificate_judge(const struct strbuf *pem, const struct strbuf *key, struct pool *pool,
			      struct certificate *ret);
/* The same in a word, for a file that has its key in it. */
bool certificate_is_whole(const struct strbuf *pem);
/* Every *.pem in the folder (a path in dirfd's root) except `placeholder`, sorted by name. A folder
 * that is not there has none. */
int certificates_read(int dirfd, const char *folder, const char *placeholder, struct pool *pool,
		      struct certificates *ret, struct err *err);

#endif
