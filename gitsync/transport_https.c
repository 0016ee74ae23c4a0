/*
 * https: git's smart HTTP (gitprotocol-http(5)) through libcurl. The credentials go to the one
 * host that agent.yaml names: a redirect is followed only where it stays there.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "gitsync/https.h"
#include "gitsync/transport.h"

#define REDIRECTS_MAX 3

struct https_transport {
	struct transport base;
	CURL *curl;
	char *url; /* of the repository, as the last redirect left it */
};

/* One answer, as it comes. */
struct transfer {
	struct https_transport *self;
	enum git_service service;
	const char *kind;          /* "advertisement" or "result" */
	struct pkt_reader *reader; /* NULL: the body is not wanted */
	struct err *err;
	bool failed; /* err is set */
	bool done;
};

static void slist_freep(struct curl_slist **p)
{
	curl_slist_free_all(*p);
}

static void https_close(struct transport *transport)
{
	struct https_transport *self = (struct https_transport *)transport;

	curl_easy_cleanup(self->curl);
	free(self->url);
	free(self);
}

static void https_closep(struct https_transport **p)
{
	if (*p)
		https_close(&(*p)->base);
}

/* A server without smart HTTP, a log-in page or a proxy's error answers with something else. */
static int check_answer(struct transfer *transfer)
{
	AUTO_FREE char *want =
		xasprintf("application/x-%s-%s", service_name(transfer->service), transfer->kind);
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(transfer->self->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return 1;
	curl_easy_getinfo(transfer->self->curl, CURLINFO_CONTENT_TYPE, &type);
	if (type && strcasecmp(type, want) == 0)
		return 0;
	return err_set(transfer->err, ERR_GIT,
		       "the server answers with '%.100s', which is nothing that a git server says: "
		       "is this the repository's address?",
		       type ? type : "");
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *transfer = arg;
	int rc = transfer->reader ? check_answer(transfer) : 1;

	if (rc == 0) {
		rc = pkt_feed(transfer->reader, data, size * n, transfer->err);
		transfer->done = rc > 0;
		return rc < 0 ? (transfer->failed = true, 0) : size * n;
	}
	transfer->failed = rc < 0;
	return rc < 0 ? 0 : size * n;
}

static int refused(const struct endpoint *endpoint, long status, struct err *err)
{
	switch (status) {
	case 401:
		return err_set(
			err, ERR_GIT,
			endpoint->password
				? "the server does not take the credentials (status 401): is "
				  "the token in credentials.password_file right, and not expired?"
				: "the server asks who we are (status 401): set "
				  "credentials.username and credentials.password_file");
	case 403:
		return err_set(err, ERR_GIT,
			       "the server forbids it (status 403): may these credentials read the "
			       "repository, and write to it?");
	case 404:
		return err_set(err, ERR_GIT,
			       "the server has no such repository, or hides it from these "
			       "credentials (status 404)");
	case 407:
		return err_set(err, ERR_NETWORK, "the proxy asks who we are (status 407)");
	default:
		return err_set(err, status >= 500 ? ERR_NETWORK : ERR_GIT,
			       "the server answers with status %ld", status);
	}
}

/* Performs what is set up. *ret_status is the answer's. */
static int perform(struct transfer *transfer, long *ret_status, struct err *err)
{
	CURL *curl = transfer->self->curl;
	char text[CURL_ERROR_SIZE] = "";
	CURLcode code;

	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	code = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	if (transfer->failed)
		return -1;
	if (code != CURLE_OK)
		return https_failed(code, text, err);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	return 0;
}

/* Takes the new address where it is on the same host, scheme and port and ends as it did. */
static int follow(struct https_transport *self, const char *suffix, struct err *err)
{
	const char *to = NULL;
	AUTO_FREE char *shown = NULL;
	size_t len, suffix_len = strlen(suffix);

	curl_easy_getinfo(self->curl, CURLINFO_REDIRECT_URL, &to);
	if (!to)
		return err_set(err, ERR_GIT, "the server redirects to nowhere");
	shown = url_shown(to);
	len = strlen(to);
	if (!https_is_same_host(to, self->url))
		return err_set(err, ERR_GIT,
			       "the server redirects to '%.200s', which is not followed to another "
			       "host: if it is right, write that into agent.yaml",
			       shown);
	if (len <= suffix_len || strcmp(to + len - suffix_len, suffix) != 0)
		return err_set(err, ERR_GIT,
			       "the server redirects to '%.200s', which is no repository", shown);
	free(self->url);
	self->url = xstrndup(to, len - suffix_len);
	return 0;
}

static int get_refs(struct https_transport *self, enum git_service service,
		    struct pkt_reader *first, struct err *err)
{
	AUTO_FREE char *suffix = xasprintf("/info/refs?service=%s", service_name(service));
	CLEANUP(slist_freep) struct curl_slist *headers = NULL;

	headers = curl_slist_append(headers, "Accept: */*");
	if (service == SERVICE_FETCH)
		headers = curl_slist_append(headers, "Git-Protocol: version=2");
	curl_easy_setopt(self->curl, CURLOPT_HTTPHEADER, headers);
	for (int i = 0; i <= REDIRECTS_MAX; i++) {
		AUTO_FREE char *url = xasprintf("%s%s", self->url, suffix);
		struct transfer transfer = {.self = self,
					    .service = service,
					    .kind = "advertisement",
					    .reader = first,
					    .err = err};
		long status = 0;

		curl_easy_setopt(self->curl, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(self->curl, CURLOPT_URL, url);
		if (perform(&transfer, &status, err) < 0)
			return -1;
		if (status == 200)
			return transfer.done ? 0
					     : err_set(err, ERR_NETWORK,
						       "the server's answer is cut off");
		if (status < 300 || status >= 400)
			return refused(self->base.endpoint, status, err);
		if (follow(self, suffix, err) < 0)
			return -1;
	}
	return err_set(err, ERR_GIT, "the server redirects more than %d times", REDIRECTS_MAX);
}

static int https_open(const struct endpoint *endpoint, enum git_service service,
		      struct pkt_reader *first, struct transport **ret, struct err *err)
{
	CLEANUP(https_closep) struct https_transport *self = xcalloc(1, sizeof(*self));
	const struct https_settings settings = {
		.username = endpoint->username,
		.password = endpoint->password,
		.ca = endpoint->ca,
		.proxy = endpoint->proxy,
	};
	size_t len = strlen(endpoint->url.text);

	while (len > 0 && endpoint->url.text[len - 1] == '/')
		len--;
	self->url = xstrndup(endpoint->url.text, len);
	self->base.endpoint = endpoint;
	self->curl = https_handle(&settings, err);
	if (!self->curl || get_refs(self, service, first, err) < 0)
		return -1;
	*ret = &STEAL(self)->base;
	return 0;
}

static int https_exchange(struct transport *transport, const struct strbuf *request,
			  struct pkt_reader *answer, struct err *err)
{
	struct https_transport *self = (struct https_transport *)transport;
	const char *service = service_name(transport->service);
	AUTO_FREE char *url = xasprintf("%s/%s", self->url, service);
	AUTO_FREE char *type = xasprintf("Content-Type: application/x-%s-request", service);
	AUTO_FREE char *accept = xasprintf("Accept: application/x-%s-result", service);
	CLEANUP(slist_freep) struct curl_slist *headers = NULL;
	struct transfer transfer = {.self = self,
				    .service = transport->service,
				    .kind = "result",
				    .reader = answer,
				    .err = err};
	long status = 0;

	/* A polite end of the conversation is nothing that HTTP knows. */
	if (!answer)
		return 0;
	headers = curl_slist_append(headers, type);
	headers = curl_slist_append(headers, accept);
	headers = curl_slist_append(headers, "Expect:");
	if (transport->service == SERVICE_FETCH)
		headers = curl_slist_append(headers, "Git-Protocol: version=2");
	curl_easy_setopt(self->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(self->curl, CURLOPT_URL, url);
	curl_easy_setopt(self->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS, request->buf);
	curl_easy_setopt(self->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
	if (perform(&transfer, &status, err) < 0)
		return -1;
	if (status != 200)
		return refused(transport->endpoint, status, err);
	return transfer.done ? 0 : err_set(err, ERR_NETWORK, "the server's answer is cut off");
}

const struct transport_ops transport_https = {
	.scheme = URL_HTTPS,
	.open = https_open,
	.exchange = https_exchange,
	.close = https_close,
};
