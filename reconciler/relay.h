/*
 * Passes a webhook on to the cluster's other nodes: one short request to each, all at once, within a few seconds, and
 * whoever does not answer is left to his own polling. For the listener's loop.
 */
#ifndef RECONCILER_RELAY_H
#define RECONCILER_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_PEERS_MAX 256
#define RELAY_TIMEOUT_MS 3000

struct relay_peer {
	int fd; /* -1: done */
	size_t sent;
};

struct relay {
	struct relay_peer peers[RELAY_PEERS_MAX];
	size_t n; /* 0: nothing is under way */
	char *request;
	size_t request_len;
	int64_t until_ms; /* clock_ms() */
};

/* Begins; what was under way before is broken off. `addresses`: one a line. The request
 * is sent as it is, to this port of each. */
void relay_begin(struct relay *relay, const char *addresses, int port, const char *request);
/* Adds to fds (room for RELAY_PEERS_MAX), and returns how many. */
size_t relay_poll(const struct relay *relay, struct pollfd *fds);
/* Milliseconds until relay_step() must be called at the latest, -1 for never. */
int relay_wait_ms(const struct relay *relay);
/* Goes on with each as far as it goes without waiting. */
void relay_step(struct relay *relay);
void relay_release(struct relay *relay);

#endif
