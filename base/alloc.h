/*
 * Allocation that does not fail: out of memory aborts with a line on standard error, because
 * nothing that the agent could do afterwards would be better than being started again.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* Sizes that abort, as if out of memory, where they overflow. */
size_t xsize_add(size_t a, size_t b);
size_t xsize_mul(size_t a, size_t b);

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed; aborts where n * size overflows. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* Room for n elements of size bytes; aborts where the product overflows. */
void *xreallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/*
 * Makes room for one more element in a growing array: v, n in use, alloc allocated.
 *
 *	GROW(list->v, list->n, list->alloc);
 *	list->v[list->n++] = item;
 */
#define GROW(v, n, alloc)                                                                          \
	do {                                                                                       \
		if ((n) == (alloc)) {                                                              \
			(alloc) = (alloc) ? (alloc)*2 : 8;                                         \
			(v) = xreallocarray((v), (alloc), sizeof(*(v)));                           \
		}                                                                                  \
	} while (0)

#endif
