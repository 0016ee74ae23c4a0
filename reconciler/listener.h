/*
 * The agent's ear: health, metrics and the webhook, on the address of `listen:`. A process of its own without rights
 * serves it, so that a stranger's request is never parsed where the node is changed, and is answered while a pass takes
 * minutes: an unprivileged user where the agent is root, an empty root folder, no new privileges, limits on memory, files
 * and processes. It knows what the agent shows it (reconciler/board.h) and the webhook's key, and can say one thing: "look
 * now". Beside it a keeper starts it anew when it dies. Both end with the agent.
 *
 *	CLEANUP(listener_close) struct listener listener = LISTENER_INIT;
 *	listener_open(&listener, &config, err)
 *	board_write(listener.board, …);                 after each pass
 *	poll(listener_poll_fd(&listener)) …  if (listener_heard(&listener)) make a pass
 */
#ifndef RECONCILER_LISTENER_H
#define RECONCILER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "reconciler/board.h"
#include "reconciler/webhook.h"

struct listener_config {
	const char *listen;  /* "ADDRESS:PORT", "[ADDRESS]:PORT" */
	const char *cluster; /* of the webhook's key */
	const char *jail;    /* a folder to be the server's root, where the agent is root */
	const struct webhook_key *key; /* NULL: there is no webhook */
};

struct listener {
	struct listener_config config;
	struct board *board;
	int socket;    /* listens; -1: the address could not be had yet */
	int pass_fd;   /* a byte for each request to look now; closed where nobody serves */
	int keeper_fd; /* pidfd_open(2): its number may be another's once it was reaped */
	int64_t started_ms;
	/* Passes that may be made for the asking, so that a flood of good requests costs nothing. */
	double tokens;
	int64_t tokens_ms;
};

#define LISTENER_INIT                                                                              \
	{                                                                                          \
		.socket = -1, .pass_fd = -1, .keeper_fd = -1                                       \
	}

/* -1 where the address cannot be had: listener_keep() tries again. What `config` points to must outlive the listener. */
int listener_open(struct listener *listener, const struct listener_config *config, struct err *err);
/* Starts again what is not there, at most once a second. -1 with the reason why there is no listener. */
int listener_keep(struct listener *listener, struct err *err);
void listener_close(struct listener *listener);

/* To be polled for POLLIN, or -1: nobody can be heard, or no pass may be made for the asking right now. */
int listener_poll_fd(struct listener *listener);
/* Milliseconds until listener_poll_fd() may be another one, -1 for never. */
int listener_wait_ms(struct listener *listener);
/* Takes all that was said. True: somebody wants a pass, and it may be made now. */
bool listener_heard(struct listener *listener);

#endif
