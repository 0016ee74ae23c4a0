/* Talking to a running Caddy: its admin API on a unix socket, and its health path. */
#ifndef RECONCILER_CADDY_H
#define RECONCILER_CADDY_H

#include <stddef.h>

#include "base/err.h"
#include "base/hash.h"

/* The digest that its health answer names (CONFIG_HEADER); "" where it names none. ERR_NETWORK:
 * nobody answers. */
int caddy_loaded(const char *health_url, char ret_digest[SHA256_HEX_SIZE], struct err *err);
/* POST /load: the old configuration stays where the new one is refused (ERR_APPLY with Caddy's own
 * words). */
int caddy_load(const char *admin_socket, const char *caddyfile, size_t len, struct err *err);

#endif
