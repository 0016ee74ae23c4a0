/* One signature of one commit. Only verify.c uses this. */
#ifndef GITSYNC_VERIFY_SIGNATURE_H
#define GITSYNC_VERIFY_SIGNATURE_H

#include <stdbool.h>

#include "base/err.h"
#include "gitsync/commit_object.h"

/* 1 good; 0 not, and in `why` (ERR_VERIFY) the reason; -1: it cannot be told. `signers`: the list's text. */
int verify_ssh(const struct commit_object *commit, const char *signers, struct err *why,
	       struct err *err);
/* The same with the keyring in the current folder. */
int verify_openpgp(const struct commit_object *commit, struct err *why, struct err *err);
/* Does what `gpgv --status-fd` said mean one good signature, by a key that is neither expired nor revoked? For
 * verify_openpgp(), and for its test. */
bool openpgp_status_is_good(const char *status, const char **ret_why);

#endif
