/* The process behind reconciler/listener.h that talks to strangers. Only listener.c uses this. */
#ifndef RECONCILER_LISTENER_SERVE_H
#define RECONCILER_LISTENER_SERVE_H

#include "reconciler/listener.h"

struct listener_server {
	const struct listener_config *config;
	const struct board *board;
	int socket;
	int pass_fd; /* write end */
	int port;
};

/* Serves until it is killed. Returns where it cannot. */
void listener_serve(const struct listener_server *base);

#endif
