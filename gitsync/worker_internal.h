/* What the two sides of the worker, and its operations, share. Nothing outside gitsync/ includes
 * it. */
#ifndef GITSYNC_WORKER_INTERNAL_H
#define GITSYNC_WORKER_INTERNAL_H

#include <jansson.h>

#include "base/err.h"
#include "base/strbuf.h"

/* The last line of an answer. */
#define WORKER_DONE "done"
#define WORKER_ERROR "error "

/* Where a worker finds the mirror's objects. */
#define WORKER_OBJECTS "/proc/self/fd/3"

/* A line of an answer: the list of refs was too long, and the rest left out. */
#define WORKER_CUT_OFF "cut-off"

/* Files that the agent puts there for ssh. */
#define WORKER_SSH_KEY "ssh_key"
#define WORKER_KNOWN_HOSTS "known_hosts"

/* What a fetch leaves in the worker's folder for the indexing of it. */
#define WORKER_PACK "incoming.pack"

/* The operations: each reads its request and adds lines to the answer. */
int operation_list(const json_t *request, struct strbuf *answer, struct err *err);
int operation_fetch(const json_t *request, struct strbuf *answer, struct err *err);
int operation_index(const json_t *request, struct strbuf *answer, struct err *err);
int operation_push(const json_t *request, struct strbuf *answer, struct err *err);
/* verify_run.c: are the signatures of the commits up to one good? */
int operation_verify(const json_t *request, struct strbuf *answer, struct err *err);

/* A member of the request that must be a text. */
int request_text_of(const json_t *request, const char *key, const char **ret, struct err *err);

#endif
