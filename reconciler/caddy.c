#include "reconciler/caddy.h"

#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/http.h"
#include "render/layout.h"

#define HEALTH_TIMEOUT_MS 2000
/* Caddy waits for its listeners and, at worst, for its grace period. */
#define LOAD_TIMEOUT_MS 30000
#define REPLY_MAX (1 << 20)

int caddy_loaded(const char *health_url, char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	const struct http_request req = {
		.url = health_url,
		.timeout_ms = HEALTH_TIMEOUT_MS,
		.reply_limit = REPLY_MAX,
		.want_header = CONFIG_HEADER,
	};

	ret_digest[0] = '\0';
	if (http_do(&req, &reply, err) < 0)
		return -1;
	if (strlen(reply.header) == SHA256_HEX_SIZE - 1)
		memcpy(ret_digest, reply.header, SHA256_HEX_SIZE);
	return 0;
}

/* Caddy answers {"error":"..."}. */
static int refused(const struct http_reply *reply, struct err *err)
{
	json_t *body = json_loadb(reply->body.buf, reply->body.len, 0, NULL);
	const char *text = json_string_value(json_object_get(body, "error"));

	err_set(err, ERR_APPLY, "caddy refused the configuration (HTTP %ld): %s", reply->status,
		text ? text : "no reason given");
	json_decref(body);
	return -1;
}

int caddy_load(const char *admin_socket, const char *caddyfile, size_t len, struct err *err)
{
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	/* On a unix socket Caddy 2.6 allows an empty Host and no other. */
	static const char *const headers[] = {"Host;", "Content-Type: text/caddyfile", NULL};
	const struct http_request req = {
		.url = "http://localhost/load",
		.unix_socket = admin_socket,
		.method = "POST",
		.headers = headers,
		.body = caddyfile,
		.body_len = len,
		.timeout_ms = LOAD_TIMEOUT_MS,
		.reply_limit = REPLY_MAX,
	};

	if (http_do(&req, &reply, err) < 0)
		return err_wrap(err, "reload caddy");
	if (reply.status != 200)
		return refused(&reply, err);
	return 0;
}
