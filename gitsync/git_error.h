/* From libgit2's last error to struct err. */
#ifndef GITSYNC_GIT_ERROR_H
#define GITSYNC_GIT_ERROR_H

#include <stdbool.h>

#include "base/err.h"

/* Sets ERR_GIT, the message and what libgit2 said last after a colon. Always returns -1. */
int git_fail(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for talk with a remote that is reached over the network (`network`): ERR_NETWORK where
 * the failure is one of connection, name look-up or transport. */
int git_fail_remote(struct err *err, bool network, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
