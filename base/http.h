/*
 * One HTTP request through libcurl, over TCP or a unix socket: bounded in time and size, no
 * redirects, no environment proxies, no netrc.
 *
 *	struct http_request req = {.url = "http://localhost/load", .unix_socket = path, .method =
 * "POST", …}; CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT; if
 * (http_do(&req, &reply, err) < 0) …    no answer (ERR_NETWORK); any status is an answer
 */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

/* A response header to keep. A value that does not fit counts as none. */
struct http_header {
	const char *name;
	char value[64]; /* "" where there was none */
};

/*
 * Requests one after the other to the same hosts. Only a GET takes a connection that was used
 * before: libcurl repeats a request by itself where such a connection turns out to be closed, and a
 * create whose answer was lost must not be sent twice.
 */
struct http_session;

struct http_session *http_session_new(void);
void http_session_freep(struct http_session **session);

struct http_request {
	const char *url;
	const char *unix_socket; /* NULL: TCP */
	const char *method;      /* NULL: GET */
	const char *const
		*headers; /* "Name: value" lines, NULL-terminated; "Host;" sends an empty Host */
	const void *body;
	size_t body_len;
	int timeout_ms;     /* > 0, for all of it */
	int stall_ms;       /* > 0: an answer from which nothing comes for so long has failed */
	size_t reply_limit; /* most bytes of the body; more is ERR_LIMIT */
	bool keep_tail;     /* of a longer body the last bytes are kept, half of the limit at least,
			       and it is no error */
	bool insecure;      /* do not check the certificate (our own placeholder on loopback) */
	const char *source_address; /* to ask from, or NULL */
	bool proxy_header;          /* send a PROXY protocol header first */
	const char *connect_to;     /* "HOST:PORT:ADDRESS:PORT" as CURLOPT_CONNECT_TO, or NULL */
	const char *want_header;    /* name of one response header to keep, or NULL */
	struct http_header *wanted; /* more of them; where there is one, its value is filled in */
	size_t n_wanted;
	void (*on_tick)(void *arg); /* called at least once a second while it lasts; NULL: nobody */
	void *on_tick_arg;
	struct http_session *session; /* keeps the connection for the next request; NULL: closed */
};

struct http_reply {
	long status;
	struct strbuf body;
	char header[256]; /* value of want_header, "" where there was none */
};

#define HTTP_REPLY_INIT                                                                            \
	{                                                                                          \
		.body = STRBUF_INIT                                                                \
	}

void http_reply_release(struct http_reply *reply);
int http_do(const struct http_request *req, struct http_reply *reply, struct err *err);

#endif
