/* A line-oriented command on a unix stream socket, as HAProxy's runtime API speaks it (its
 * management guide, 9.3). */
#ifndef BASE_UNIXSOCK_H
#define BASE_UNIXSOCK_H

#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Longest path that fits struct sockaddr_un, without the NUL. */
#define UNIXSOCK_PATH_MAX 107

/* The process that listens on the socket (SO_PEERCRED, unix(7)); 0 where nobody does. */
pid_t unixsock_peer(const char *path);
/* Sends command and a newline, ends its own side, reads to the end of the stream. ret's limit
 * applies. Nobody listening: ERR_NETWORK. */
int unixsock_command(const char *path, const char *command, int timeout_ms, struct strbuf *ret,
		     struct err *err);

#endif
