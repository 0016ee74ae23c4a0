/* Verification from the agent's side: in a worker (gitsync/worker.h), for what it reads is a stranger's. */
#ifndef GITSYNC_VERIFY_RUN_H
#define GITSYNC_VERIFY_RUN_H

#include "base/err.h"
#include "base/pool.h"
#include "base/strbuf.h"
#include "gitsync/mirror.h"

struct verify_request {
	const char *tip;
	const char *base; /* newest commit that was verified before, behind tip; NULL: none */
	const struct strbuf *signers; /* the node's list of SSH signers; NULL: none */
	const struct strbuf *keyring; /* of OpenPGP keys; NULL: none */
	int deadline_ms;
};

struct verify_answer {
	size_t commits;     /* how many signatures were found good */
	const char *reason; /* NULL: all are good; else CamelCase, of the condition; in the pool */
	struct err why;
};

/* 0 and an answer (gitsync/verify.h says what is judged); -1 where none is to be had. */
int mirror_verify(struct mirror *m, const struct verify_request *request, struct pool *pool,
		  struct verify_answer *ret, struct err *err);

#endif
