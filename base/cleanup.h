/*
 * Scope-bound ownership: the variable that holds a thing frees it when it leaves the scope, and
 * what is handed on is stolen explicitly.
 *
 *	AUTO_FREE char *text = xstrdup(name);
 *	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	...
 *	*ret_text = STEAL(text);
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stddef.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Takes the pointer out of a variable and leaves NULL behind. */
#define STEAL(p)                                                                                   \
	({                                                                                         \
		__typeof__(p) *p_ = &(p);                                                          \
		__typeof__(p) v_ = *p_;                                                            \
		*p_ = NULL;                                                                        \
		v_;                                                                                \
	})

/* The same for a file descriptor; leaves -1 behind. */
#define STEAL_FD(fd)                                                                               \
	({                                                                                         \
		int *p_ = &(fd);                                                                   \
		int v_ = *p_;                                                                      \
		*p_ = -1;                                                                          \
		v_;                                                                                \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Frees *(void **)p. */
void cleanup_free(void *p);
/* Closes *fd where it is not negative; errno is kept. */
void cleanup_close(int *fd);

#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_CLOSE CLEANUP(cleanup_close)

#endif
