/* HMAC with SHA-256 (RFC 2104), by OpenSSL, over data that comes in pieces. */
#ifndef BASE_HMAC_H
#define BASE_HMAC_H

#include <stdbool.h>
#include <stddef.h>

#define HMAC_SIZE 32

struct hmac;

struct hmac *hmac_begin(const void *key, size_t key_len);
void hmac_add(struct hmac *state, const void *data, size_t len);
/* Gives the result and frees the state. */
void hmac_end(struct hmac *state, unsigned char out[HMAC_SIZE]);
void hmac_free(struct hmac *state);
/* Of one piece. */
void hmac_of(const void *key, size_t key_len, const void *data, size_t len,
	     unsigned char out[HMAC_SIZE]);
/* Compares in a time that does not depend on where they differ. */
bool hmac_equal(const void *a, const void *b, size_t len);

#endif
