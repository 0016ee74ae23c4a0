/*
 * git's own protocol over a transport, in the worker: list, fetch, push. Versions 0 and 2 of
 * fetching (gitprotocol-pack(5), gitprotocol-v2(5)); one round of negotiation, in which the newest
 * commits that the mirror has are named at once.
 */
#ifndef GITSYNC_SMART_H
#define GITSYNC_SMART_H

#include "gitsync/ls_refs.h"
#include "gitsync/operations.h"
#include "gitsync/transport.h"

/* What is behind the table of schemes in operations.c. */
int smart_list(const struct job *job, struct ls_refs *ret, struct err *err);
int smart_fetch(const struct job *job, struct ls_refs *ret, struct err *err);
int smart_push(const struct job *job, const char *ref, const char *oid, struct err *err);

#endif
