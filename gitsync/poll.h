/*
 * What an idle agent does most: asks an https server for a few refs, with ls-refs of git's protocol
 * version 2, on a connection that it keeps. One request and one answer, whose size does not depend
 * on how many refs the server has. In the agent itself: the bytes go through the two parsers that
 * are made for a stranger's (gitsync/pkt_line.h, gitsync/ls_refs.h), and a process costs more than
 * all of it.
 *
 *	struct poller *poller = poller_new();
 *	rc = poller_ask(poller, &remote, prefixes, n, &refs, err);
 */
#ifndef GITSYNC_POLL_H
#define GITSYNC_POLL_H

#include "gitsync/ls_refs.h"
#include "gitsync/mirror.h"

struct poller;

struct poller *poller_new(void);
void poller_free(struct poller *poller);
/* 1: `refs` holds what it has. 0: the server does not answer such a request with a list, so a
 * worker shall ask it and find out why; it is not asked in this way for a while. -1: no connection,
 * or no answer in time. */
int poller_ask(struct poller *poller, const struct remote *remote, const char *const *prefixes,
	       size_t n, struct ls_refs *refs, struct err *err);

#endif
