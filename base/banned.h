/*
 * Functions that do not compile in Dynia, and what to use instead.
 *
 * The Makefile includes this header before every source file. A use of one of these names is an
 * error at compile time: build strings in base/strbuf.h, read numbers with base/parse.h, run
 * programs with base/process.h, write files with base/file.h, format time with base/clock.h, and
 * let err_errno() of base/err.h name an errno.
 *
 * The headers that declare the names come first. Missing from the list are ctime(3) and gets(3),
 * for libgit2 and OpenSSL 3.0.2 have something else of that name; C since 2011 has no gets(3).
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros in the C library's headers, with one compiler or the other; a poisoned name must not be
 * one. */
#undef alloca
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol atoll system    \
	popen tmpnam mktemp alloca strerror asctime localtime gmtime

#endif
