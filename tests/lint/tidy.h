/* Tells clang-tidy, which sees one file at a time, that a call that sets an error is -1. Not for
 * base/err.c. */
#ifndef TESTS_LINT_TIDY_H
#define TESTS_LINT_TIDY_H

#include "base/err.h"

#define err_set(...) (err_set(__VA_ARGS__), -1)
#define err_errno(...) (err_errno(__VA_ARGS__), -1)
#define err_wrap(...) (err_wrap(__VA_ARGS__), -1)

#endif
