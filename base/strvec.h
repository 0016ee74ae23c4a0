/*
 * A growing vector of owned strings that ends in NULL, fit for execve(2).
 *
 *	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
 *	strvec_pushl(&argv, "haproxy", "-c", "-f", path, NULL);
 */
#ifndef BASE_STRVEC_H
#define BASE_STRVEC_H

#include <stdbool.h>
#include <stddef.h>

struct strvec {
	char **v; /* NULL until something is pushed, then NULL-terminated */
	size_t n;
	size_t alloc;
};

#define STRVEC_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

void strvec_release(struct strvec *sv);
void strvec_clear(struct strvec *sv);
void strvec_push(struct strvec *sv, const char *s);
void strvec_pushf(struct strvec *sv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Pushes each argument up to a NULL. */
void strvec_pushl(struct strvec *sv, ...) __attribute__((sentinel));
bool strvec_has(const struct strvec *sv, const char *s);
/* Byte order, as strcmp. */
void strvec_sort(struct strvec *sv);

#endif
