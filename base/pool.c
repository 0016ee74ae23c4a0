#include "base/pool.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"

/* What a chunk holds at least; larger requests get a chunk of their own. */
#define CHUNK_SIZE ((size_t)32 << 10)

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	_Alignas(max_align_t) char data[];
};

struct pool {
	struct chunk *chunks; /* the first one is being filled */
	size_t used;
};

struct pool *pool_new(void)
{
	return xcalloc(1, sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
	struct chunk *next;

	if (!pool)
		return;
	for (struct chunk *chunk = pool->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(pool);
}

void pool_freep(struct pool **pool)
{
	pool_free(*pool);
	*pool = NULL;
}

static struct chunk *chunk_new(size_t size)
{
	struct chunk *chunk = xcalloc(xsize_add(sizeof(*chunk), size), 1);

	chunk->size = size;
	return chunk;
}

/* A large chunk goes behind the first, which may have room left for small ones. */
static struct chunk *chunk_with_room(struct pool *pool, size_t size)
{
	struct chunk *first = pool->chunks;
	struct chunk *chunk;

	if (first && size <= first->size - first->used)
		return first;
	chunk = chunk_new(size < CHUNK_SIZE ? CHUNK_SIZE : size);
	if (first && size >= CHUNK_SIZE) {
		chunk->next = first->next;
		first->next = chunk;
	} else {
		chunk->next = first;
		pool->chunks = chunk;
	}
	return chunk;
}

void *pool_alloc(struct pool *pool, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct chunk *chunk;
	void *p;

	size = xsize_add(size ? size : 1, align - 1) & ~(align - 1);
	chunk = chunk_with_room(pool, size);
	p = chunk->data + chunk->used;
	chunk->used += size;
	pool->used += size;
	return p;
}

void *pool_calloc(struct pool *pool, size_t n, size_t size)
{
	return pool_alloc(pool, xsize_mul(n, size));
}

char *pool_strdup(struct pool *pool, const char *s)
{
	return pool_memdup(pool, s, strlen(s));
}

char *pool_memdup(struct pool *pool, const void *data, size_t n)
{
	char *copy = pool_alloc(pool, n + 1);

	if (n)
		memcpy(copy, data, n);
	return copy;
}

char *pool_printf(struct pool *pool, const char *fmt, ...)
{
	struct strbuf text = STRBUF_INIT;
	va_list ap;
	char *copy;

	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	copy = pool_memdup(pool, text.buf, text.len);
	strbuf_release(&text);
	return copy;
}

size_t pool_used(const struct pool *pool)
{
	return pool->used;
}
