#include "base/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* OpenSSL fails here for lack of memory only, or where it is broken: neither can be mended. */
static void must(int ok)
{
	if (!ok) {
		fputs("dynia: SHA-256 is not to be had from OpenSSL\n", stderr);
		abort();
	}
}

struct sha256 *sha256_begin(void)
{
	struct sha256 *state = xmalloc(sizeof(*state));

	state->ctx = EVP_MD_CTX_new();
	must(state->ctx != NULL);
	must(EVP_DigestInit_ex(state->ctx, EVP_sha256(), NULL));
	return state;
}

void sha256_add(struct sha256 *state, const void *data, size_t len)
{
	must(EVP_DigestUpdate(state->ctx, data, len));
}

void sha256_add_str(struct sha256 *state, const char *s)
{
	sha256_add(state, s, strlen(s) + 1);
}

void sha256_end(struct sha256 *state, char out[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len;

	must(EVP_DigestFinal_ex(state->ctx, digest, &len));
	EVP_MD_CTX_free(state->ctx);
	free(state);
	for (size_t i = 0; i < SHA256_HEX_SIZE / 2; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[SHA256_HEX_SIZE - 1] = '\0';
}

void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_SIZE])
{
	struct sha256 *state = sha256_begin();

	sha256_add(state, data, len);
	sha256_end(state, out);
}

uint64_t fnv1a64(const char *s)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return hash;
}
