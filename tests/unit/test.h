/* cmocka, with the headers that it wants before it, and small helpers. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* An argument vector or environment from literals. execve(2) does not write to it. */
#define ARGV(...) ((char *const *)(const char *const[]) {__VA_ARGS__, NULL})

#endif
