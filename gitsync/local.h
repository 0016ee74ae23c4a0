/* Repositories on this machine, by path: read and written directly, with no git and no server. */
#ifndef GITSYNC_LOCAL_H
#define GITSYNC_LOCAL_H

#include "gitsync/operations.h"

int local_list(const struct job *job, struct ls_refs *ret, struct err *err);
int local_fetch(const struct job *job, struct ls_refs *ret, struct err *err);
int local_push(const struct job *job, const char *ref, const char *oid, struct err *err);

#endif
