#include "gitsync/poll.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "gitsync/credentials.h"
#include "gitsync/https.h"

/* The repository's and the status repository's are kept. */
#define CONNECTIONS_MAX 2
/* So often a server that cannot do it is not asked. */
#define REST_POLLS 20
#define RESULT_TYPE "application/x-git-upload-pack-result"

struct connection {
	char *url;
	json_t *who; /* what the handle was made with */
	CURL *curl;
	struct curl_slist *headers;
	unsigned rest;
};

struct poller {
	struct connection v[CONNECTIONS_MAX];
	size_t oldest;
};

struct answer {
	CURL *curl;
	struct pkt_reader reader;
	struct err err;
	bool strange; /* no answer to ls-refs, or one that cannot be read */
	bool done;
};

static void json_freep(json_t **p)
{
	json_decref(*p);
}

struct poller *poller_new(void)
{
	return xcalloc(1, sizeof(struct poller));
}

static void connection_close(struct connection *connection)
{
	curl_easy_cleanup(connection->curl);
	curl_slist_free_all(connection->headers);
	json_decref(connection->who);
	free(connection->url);
	*connection = (struct connection) {0};
}

void poller_free(struct poller *poller)
{
	if (!poller)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		connection_close(&poller->v[i]);
	free(poller);
}

static const char *text_of(const json_t *who, const char *key)
{
	return json_string_value(json_object_get(who, key));
}

static int connection_make(struct connection *connection, const char *url, json_t *who,
			   struct err *err)
{
	const struct https_settings settings = {
		.username = text_of(who, "username"),
		.password = text_of(who, "password"),
		.ca = text_of(who, "ca"),
		.proxy = text_of(who, "proxy"),
	};
	size_t len = strlen(url);
	AUTO_FREE char *target = NULL;

	connection_close(connection);
	connection->curl = https_handle(&settings, err);
	if (!connection->curl)
		return -1;
	connection->url = xstrdup(url);
	connection->who = json_incref(who);
	while (len > 0 && url[len - 1] == '/')
		len--;
	target = xasprintf("%.*s/git-upload-pack", (int)len, url);
	curl_easy_setopt(connection->curl, CURLOPT_URL, target);
	connection->headers = curl_slist_append(NULL, "Git-Protocol: version=2");
	connection->headers =
		curl_slist_append(connection->headers,
				  "Content-Type: application/x-git-upload-pack-request");
	connection->headers = curl_slist_append(connection->headers, "Accept: " RESULT_TYPE);
	connection->headers = curl_slist_append(connection->headers, "Expect:");
	curl_easy_setopt(connection->curl, CURLOPT_HTTPHEADER, connection->headers);
	curl_easy_setopt(connection->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	return 0;
}

/* The kept connection to the URL, or a new one in the place of the oldest. */
static struct connection *connection_to(struct poller *poller, const struct remote *remote,
					struct err *err)
{
	CLEANUP(json_freep) json_t *who = json_object();
	struct connection *connection = NULL;

	if (credentials_add(remote, URL_HTTPS, who, NULL, err) < 0)
		return NULL;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (poller->v[i].url && strcmp(poller->v[i].url, remote->url) == 0)
			connection = &poller->v[i];
	}
	if (connection && json_equal(connection->who, who))
		return connection;
	if (!connection) {
		connection = &poller->v[poller->oldest];
		poller->oldest = (poller->oldest + 1) % CONNECTIONS_MAX;
	}
	return connection_make(connection, remote->url, who, err) < 0 ? NULL : connection;
}

static bool is_result(CURL *curl)
{
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	return status == 200 && type && strcasecmp(type, RESULT_TYPE) == 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct answer *answer = arg;
	int rc = is_result(answer->curl) ? pkt_feed(&answer->reader, data, size * n, &answer->err)
					 : -1;

	answer->strange = rc < 0;
	answer->done = rc > 0;
	return rc < 0 ? 0 : size * n;
}

static int perform(struct connection *connection, const struct remote *remote,
		   const struct strbuf *request, struct answer *answer, struct err *err)
{
	CURL *curl = connection->curl;
	char text[CURL_ERROR_SIZE] = "";
	CURLcode code;

	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
	curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, request->buf);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)remote->deadline_ms);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	code = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	if (answer->strange || (code == CURLE_OK && !answer->done))
		return 0;
	return code == CURLE_OK ? 1 : https_failed(code, text, err);
}

int poller_ask(struct poller *poller, const struct remote *remote, const char *const *prefixes,
	       size_t n, struct ls_refs *refs, struct err *err)
{
	struct connection *connection = connection_to(poller, remote, err);
	CLEANUP(strbuf_release) struct strbuf request = STRBUF_INIT;
	struct answer answer = {.reader = {.on_packet = ls_refs_on_answer, .arg = refs}};
	int rc;

	if (!connection)
		return -1;
	if (connection->rest > 0) {
		connection->rest--;
		return 0;
	}
	ls_refs_request(&request, refs, prefixes, n);
	answer.curl = connection->curl;
	rc = perform(connection, remote, &request, &answer, err);
	pkt_reader_release(&answer.reader);
	if (rc == 0)
		connection->rest = REST_POLLS;
	return rc;
}
