#include "base/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/notify.h"

struct http_session {
	CURL *curl;
};

/* What the callbacks of one transfer know. */
struct transfer {
	const struct http_request *req;
	struct http_reply *reply;
	bool body_too_large;
	bool header_too_large;
	int socket_error; /* why there was no socket; 0 */
};

void http_reply_release(struct http_reply *reply)
{
	strbuf_release(&reply->body);
}

struct http_session *http_session_new(void)
{
	return xcalloc(1, sizeof(struct http_session));
}

void http_session_freep(struct http_session **session)
{
	if (!*session)
		return;
	curl_easy_cleanup((*session)->curl);
	free(*session);
}

/* The session's, as new but for its connections; else one of its own, in *ret_own. */
static CURL *easy_for(const struct http_request *req, CURL **ret_own)
{
	struct http_session *session = req->session;

	if (!session)
		return *ret_own = curl_easy_init();
	if (session->curl)
		curl_easy_reset(session->curl);
	else
		session->curl = curl_easy_init();
	return session->curl;
}

static void easy_cleanup(CURL **curl)
{
	curl_easy_cleanup(*curl);
}

static void slist_cleanup(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

/* Drops what came first. */
static void make_room(struct strbuf *body, size_t limit, size_t n)
{
	size_t keep = limit / 2 < body->len ? limit / 2 : body->len;

	if (n <= limit - body->len)
		return;
	memmove(body->buf, body->buf + body->len - keep, keep);
	strbuf_setlen(body, keep);
}

/* Returning another number than it was given makes libcurl end the transfer. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *transfer = arg;
	struct strbuf *body = &transfer->reply->body;

	if (transfer->req->keep_tail && size * n <= transfer->req->reply_limit / 2)
		make_room(body, transfer->req->reply_limit, size * n);
	if (size * n > transfer->req->reply_limit - body->len) {
		transfer->body_too_large = true;
		return 0;
	}
	strbuf_add(body, data, size * n);
	return size * n;
}

/* The value of "Name: value\r\n", where that is the name; its length goes to *len. */
static const char *header_value(const char *line, const char *name, size_t *len)
{
	size_t name_len = strlen(name);

	if (*len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
		return NULL;
	line += name_len + 1;
	*len -= name_len + 1;
	while (*len > 0 && strchr(" \t", *line)) {
		line++;
		(*len)--;
	}
	while (*len > 0 && strchr(" \t\r\n", line[*len - 1]))
		(*len)--;
	return line;
}

static void clear_headers(struct transfer *transfer)
{
	transfer->reply->header[0] = '\0';
	for (size_t i = 0; i < transfer->req->n_wanted; i++)
		transfer->req->wanted[i].value[0] = '\0';
}

static void take_wanted(const struct http_request *req, const char *line, size_t line_len)
{
	for (size_t i = 0; i < req->n_wanted; i++) {
		struct http_header *wanted = &req->wanted[i];
		size_t len = line_len;
		const char *value = header_value(line, wanted->name, &len);

		if (!value || len >= sizeof(wanted->value))
			continue;
		memcpy(wanted->value, value, len);
		wanted->value[len] = '\0';
	}
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *transfer = arg;
	char *kept = transfer->reply->header;
	size_t len = size * n;
	const char *value;

	/* A new status line: what came before was an interim answer. */
	if (len > 5 && strncmp(data, "HTTP/", 5) == 0)
		clear_headers(transfer);
	take_wanted(transfer->req, data, len);
	if (!transfer->req->want_header)
		return size * n;
	value = header_value(data, transfer->req->want_header, &len);
	if (!value)
		return size * n;
	if (len >= sizeof(transfer->reply->header)) {
		transfer->header_too_large = true;
		return 0;
	}
	memcpy(kept, value, len);
	kept[len] = '\0';
	return size * n;
}

/* Called about once a second, also while nothing comes. */
static int on_progress(void *arg, curl_off_t to_get, curl_off_t got, curl_off_t to_put,
		       curl_off_t put)
{
	const struct http_request *req = arg;

	(void)to_get;
	(void)got;
	(void)to_put;
	(void)put;
	notify_alive();
	if (req->on_tick)
		req->on_tick(req->on_tick_arg);
	return 0;
}

static void set_protocols(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* libcurl keeps no errno of socket(2). */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = arg;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	transfer->socket_error = fd < 0 ? errno : 0;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void set_limits(CURL *curl, struct transfer *transfer)
{
	const struct http_request *req = transfer->req;

	set_protocols(curl);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, req);
	if (req->stall_ms > 0) {
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(req->stall_ms + 999) / 1000);
	}
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	if (req->want_header || req->n_wanted) {
		curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	}
}

static void set_request(CURL *curl, const struct http_request *req)
{
	const char *method = req->method ? req->method : "GET";

	curl_easy_setopt(curl, CURLOPT_URL, req->url);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "dynia/" DYNIA_VERSION);
	if (req->unix_socket)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, req->unix_socket);
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (req->body || strcmp(method, "POST") == 0)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, req->body ? req->body : "");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
			 (curl_off_t)(req->body ? req->body_len : 0));
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, (long)(strcmp(method, "GET") != 0));
	if (req->insecure) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

/* The caller's headers, and none that libcurl would add to a body by itself. */
static struct curl_slist *header_list(const struct http_request *req)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (const char *const *header = req->headers; header && *header; header++)
		list = curl_slist_append(list, *header);
	return list;
}

/* Method and URL for a message, without what may be secret: the user part and the query. */
static void describe(struct strbuf *to, const struct http_request *req)
{
	const char *scheme_end = strstr(req->url, "://");
	const char *host = scheme_end ? scheme_end + 3 : req->url;
	const char *at = memchr(host, '@', strcspn(host, "/?#"));

	strbuf_addf(to, "%s '", req->method ? req->method : "GET");
	strbuf_add(to, req->url, (size_t)(host - req->url));
	if (at)
		host = at + 1;
	strbuf_add(to, host, strcspn(host, "?#"));
	strbuf_addstr(to, "'");
	if (req->unix_socket)
		strbuf_addf(to, " at '%s'", req->unix_socket);
}

/* "Connection refused", which libcurl does not say. */
static void add_reason(const struct transfer *transfer, CURL *curl, struct err *err)
{
	const struct err said = *err;
	char text[128];
	long error = transfer->socket_error;

	if (error || (curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error) == CURLE_OK && error))
		err_set(err, said.code, "%s: %s", said.msg,
			strerror_r((int)error, text, sizeof(text)));
}

static int failed(const struct transfer *transfer, CURL *curl, CURLcode code, const char *text,
		  struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf what = STRBUF_INIT;
	const struct http_request *req = transfer->req;

	describe(&what, req);
	if (transfer->body_too_large)
		return err_set(err, ERR_LIMIT, "%s: the reply is larger than %zu bytes", what.buf,
			       req->reply_limit);
	if (transfer->header_too_large)
		return err_set(err, ERR_LIMIT, "%s: header '%s' of the reply is too long", what.buf,
			       req->want_header);
	/* These two texts hold how long it took; the same trouble shall read the same each time. */
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT)
		text = "";
	err_set(err, ERR_NETWORK, "%s: %s", what.buf, *text ? text : curl_easy_strerror(code));
	if (code == CURLE_COULDNT_CONNECT)
		add_reason(transfer, curl, err);
	return -1;
}

int http_do(const struct http_request *req, struct http_reply *reply, struct err *err)
{
	struct transfer transfer = {.req = req, .reply = reply};
	CLEANUP(easy_cleanup) CURL *own = NULL;
	CURL *curl = easy_for(req, &own);
	CLEANUP(slist_cleanup) struct curl_slist *headers = header_list(req);
	CLEANUP(slist_cleanup) struct curl_slist *connect_to = NULL;
	char text[CURL_ERROR_SIZE] = "";
	char source[128];
	CURLcode code;

	strbuf_clear(&reply->body);
	reply->status = 0;
	clear_headers(&transfer);
	if (!curl)
		return err_set(err, ERR_SYSTEM, "libcurl does not start");
	if (req->connect_to)
		connect_to = curl_slist_append(NULL, req->connect_to);
	/* "host!": an address, never the name of an interface. */
	snprintf(source, sizeof(source), "host!%s", req->source_address ? req->source_address : "");
	set_limits(curl, &transfer);
	set_request(curl, req);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to);
	if (req->source_address)
		curl_easy_setopt(curl, CURLOPT_INTERFACE, source);
	curl_easy_setopt(curl, CURLOPT_HAPROXYPROTOCOL, (long)req->proxy_header);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		return failed(&transfer, curl, code, text, err);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
	return 0;
}
