/*
 * Memory that lives and dies together: the object graph of one load hangs in one pool, and nothing
 * in it is freed by itself.
 *
 *	CLEANUP(pool_freep) struct pool *pool = pool_new();
 *	struct node *node = pool_alloc(pool, sizeof(*node));
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

struct pool;

struct pool *pool_new(void);
void pool_free(struct pool *pool);
void pool_freep(struct pool **pool);
/* Zeroed and aligned for any type; lives until pool_free(). */
void *pool_alloc(struct pool *pool, size_t size) __attribute__((returns_nonnull));
/* Room for n elements of size bytes, zeroed; aborts where the product overflows. */
void *pool_calloc(struct pool *pool, size_t n, size_t size) __attribute__((returns_nonnull));
char *pool_strdup(struct pool *pool, const char *s) __attribute__((returns_nonnull));
/* Copies n bytes and adds a NUL. */
char *pool_memdup(struct pool *pool, const void *data, size_t n) __attribute__((returns_nonnull));
char *pool_printf(struct pool *pool, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));
/* Bytes handed out, for limits and for the bench. */
size_t pool_used(const struct pool *pool);

#endif
