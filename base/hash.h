/* Digests: SHA-256 by OpenSSL for content, FNV-1a for spreading names over a range. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX_SIZE 65

struct sha256;

/* Lower-case hex and a NUL. */
void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_SIZE]);
/* Of several pieces; sha256_end() frees the state. */
struct sha256 *sha256_begin(void);
void sha256_add(struct sha256 *state, const void *data, size_t len);
/* The string and its NUL, so that "ab","c" and "a","bc" differ. */
void sha256_add_str(struct sha256 *state, const char *s);
void sha256_end(struct sha256 *state, char out[SHA256_HEX_SIZE]);

/* 64-bit FNV-1a (draft-eastlake-fnv). Stable for ever: published ports follow from it. */
uint64_t fnv1a64(const char *s);

#endif
