#include "base/hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

struct hmac {
	EVP_MAC_CTX *ctx;
};

/* OpenSSL fails here for lack of memory only, or where it is broken: neither can be mended. */
static void must(bool ok)
{
	if (!ok) {
		fputs("dynia: HMAC is not to be had from OpenSSL\n", stderr);
		abort();
	}
}

struct hmac *hmac_begin(const void *key, size_t key_len)
{
	struct hmac *state = xmalloc(sizeof(*state));
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	must(mac != NULL);
	state->ctx = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	must(state->ctx != NULL);
	must(EVP_MAC_init(state->ctx, key, key_len, params) == 1);
	return state;
}

void hmac_add(struct hmac *state, const void *data, size_t len)
{
	must(EVP_MAC_update(state->ctx, data, len) == 1);
}

void hmac_end(struct hmac *state, unsigned char out[HMAC_SIZE])
{
	size_t len = 0;

	must(EVP_MAC_final(state->ctx, out, &len, HMAC_SIZE) == 1 && len == HMAC_SIZE);
	hmac_free(state);
}

void hmac_free(struct hmac *state)
{
	if (!state)
		return;
	EVP_MAC_CTX_free(state->ctx);
	free(state);
}

void hmac_of(const void *key, size_t key_len, const void *data, size_t len,
	     unsigned char out[HMAC_SIZE])
{
	struct hmac *state = hmac_begin(key, key_len);

	hmac_add(state, data, len);
	hmac_end(state, out);
}

bool hmac_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
