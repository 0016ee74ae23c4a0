/* Talking to a running HAProxy: its runtime socket (one worker) and its master socket (management
 * guide, 9.3 and 9.4). */
#ifndef RECONCILER_HAPROXY_H
#define RECONCILER_HAPROXY_H

#include <sys/types.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/pool.h"

/* The worker that answers, and the digest that its configuration carries (CONFIG_VARIABLE); ""
 * where it carries none. ERR_NETWORK: nobody answers. */
int haproxy_loaded(const char *socket, char ret_digest[SHA256_HEX_SIZE], pid_t *ret_worker,
		   struct err *err);
/* How many reloads the master failed since its last good one; 2.6 says it in `show proc` only. */
int haproxy_failed_reloads(const char *master_socket, long *ret, struct err *err);
/* The checked servers of all backends. A server's name is its node's. */
struct haproxy_servers {
	long up;
	long all;
	const char **names; /* each once, in HAProxy's order */
	size_t n_names;
};

/* Names are in the pool. */
int haproxy_servers(const char *socket, struct pool *pool, struct haproxy_servers *ret,
		    struct err *err);

#endif
