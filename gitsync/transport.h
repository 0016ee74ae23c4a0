/*
 * A conversation with a git server, in the worker: connect, read what it says first, then one
 * request and one answer at a time. It has no deadline of its own: the worker is killed at its
 * caller's.
 *
 *	transport_open(&endpoint, SERVICE_FETCH, &first, &transport, err);
 *	transport_exchange(transport, &request, &answer, err);
 *	transport_close(transport);
 *
 * A transport is one row of a table in transport.c. Local repositories are none: gitsync/local.h.
 */
#ifndef GITSYNC_TRANSPORT_H
#define GITSYNC_TRANSPORT_H

#include "base/err.h"
#include "base/strbuf.h"
#include "gitsync/pkt_line.h"
#include "gitsync/url.h"

enum git_service {
	SERVICE_FETCH, /* git-upload-pack, in version 2 where the server has it */
	SERVICE_PUSH,  /* git-receive-pack */
};

const char *service_name(enum git_service service);

struct endpoint {
	struct url_parts url;
	const char *username; /* https; NULL: none */
	const char *password;
	const char *ca;          /* https: the PEM text of the authorities; NULL: the machine's */
	const char *proxy;       /* https: http://HOST:PORT; NULL: none */
	const char *known_hosts; /* ssh: the file that a message names */
};

/* What every transport begins with. */
struct transport {
	const struct transport_ops *ops;
	const struct endpoint *endpoint;
	enum git_service service;
};

struct transport_ops {
	enum url_scheme scheme;
	/* Connects, and feeds the server's first words to the reader until it has all. */
	int (*open)(const struct endpoint *endpoint, enum git_service service,
		    struct pkt_reader *first, struct transport **ret, struct err *err);
	int (*exchange)(struct transport *transport, const struct strbuf *request,
			struct pkt_reader *answer, struct err *err);
	void (*close)(struct transport *transport);
};

extern const struct transport_ops transport_git, transport_ssh, transport_https;

/* The endpoint must outlive it. */
int transport_open(const struct endpoint *endpoint, enum git_service service,
		   struct pkt_reader *first, struct transport **ret, struct err *err);
/* Sends all of the request and feeds the answer to the reader until that has all. No reader: no
 * answer is awaited. */
int transport_exchange(struct transport *transport, const struct strbuf *request,
		       struct pkt_reader *answer, struct err *err);
void transport_close(struct transport *transport);
void transport_closep(struct transport **transport);

/* --- a pair of descriptors as a conversation, for transport_git and transport_ssh --------- */

int stream_send(int fd, const void *data, size_t len, struct err *err);
/* Feeds the reader until it has all. The end of the stream before that is ERR_NETWORK. */
int stream_receive(int fd, struct pkt_reader *reader, struct err *err);

#endif
