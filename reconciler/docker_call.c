#include "reconciler/docker_call.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define TIMEOUT_MS 10000
#define REPLY_MAX (32 << 20)
#define TAIL_MAX (256 << 10)
/* A request that took so long and failed was not refused: it hung. */
#define HUNG_MS 1000
#define QUIET_FIRST_MS 5000
#define QUIET_MAX_MS 60000

void docker_init(struct docker *docker, const char *socket)
{
	*docker = (struct docker) {.socket = socket};
}

static int64_t quiet_ms(unsigned timeouts)
{
	int64_t quiet = QUIET_FIRST_MS;

	while (--timeouts && quiet < QUIET_MAX_MS)
		quiet *= 2;
	return quiet < QUIET_MAX_MS ? quiet : QUIET_MAX_MS;
}

static int hung(struct docker *docker, const struct docker_call *call, struct err *err)
{
	err_set(err, ERR_DOCKER, "docker at '%s' takes requests and does not answer",
		docker->socket);
	/* A long call may be long for its own reasons. */
	if (call->timeout_ms > TIMEOUT_MS)
		return -1;
	docker->timeouts++;
	docker->why = *err;
	docker->quiet_until_ms = clock_ms() + quiet_ms(docker->timeouts);
	return -1;
}

int docker_do(struct docker *docker, const struct docker_call *call, struct http_reply *reply,
	      struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf url = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf auth = STRBUF_INIT;
	AUTO_FREE char *body = call->body ? json_dumps(call->body, JSON_COMPACT) : NULL;
	const char *headers[3] = {"Content-Type: application/json"};
	int64_t began = clock_ms();
	int failed;

	if (clock_ms() < docker->quiet_until_ms) {
		*err = docker->why;
		return -1;
	}
	/* Without a version in the path: old ones are refused some day, and what is asked here is in
	 * all of them. */
	strbuf_addf(&url, "http://docker%s", call->path);
	strbuf_addf(&auth, "X-Registry-Auth: %s", call->auth ? call->auth : "");
	headers[1] = call->auth ? auth.buf : NULL;
	const struct http_request req = {
		.url = url.buf,
		.unix_socket = docker->socket,
		.method = call->method,
		.headers = headers,
		.body = body ? body : "",
		.body_len = body ? strlen(body) : 0,
		.timeout_ms = call->timeout_ms ? call->timeout_ms : TIMEOUT_MS,
		.stall_ms = call->stall_ms,
		.reply_limit = call->keep_tail ? TAIL_MAX : REPLY_MAX,
		.keep_tail = call->keep_tail,
	};
	failed = http_do(&req, reply, err);
	explicit_bzero(auth.buf, auth.len);
	if (!failed) {
		docker->timeouts = 0;
		return 0;
	}
	if (err->code == ERR_NETWORK && clock_ms() - began >= HUNG_MS)
		return hung(docker, call, err);
	if (err->code == ERR_NETWORK)
		return err_set(err, ERR_DOCKER, "docker does not answer at '%s': is it running?",
			       docker->socket);
	err->code = ERR_DOCKER;
	return -1;
}

/* Docker answers {"message":"..."}. */
int docker_refused(const struct docker_call *call, const struct http_reply *reply,
		   enum err_code code, struct err *err)
{
	json_t *body = json_loadb(reply->body.buf, reply->body.len, 0, NULL);
	const char *text = json_string_value(json_object_get(body, "message"));

	err_set(err, code, "docker: %.*s", DOCKER_TEXT_MAX, text ? text : "no reason given");
	if (!text)
		err_wrap(err, "%s %.80s: HTTP %ld", call->method ? call->method : "GET", call->path,
			 reply->status);
	json_decref(body);
	return -1;
}

int docker_order(struct docker *docker, const struct docker_call *call, bool gone_is_fine,
		 struct err *err)
{
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;

	if (docker_do(docker, call, &reply, err) < 0)
		return -1;
	if (reply.status < 400 || (gone_is_fine && reply.status == 404))
		return 0;
	return docker_refused(call, &reply, ERR_APPLY, err);
}

int docker_ask(struct docker *docker, const char *path, json_t **ret, struct err *err)
{
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	const struct docker_call call = {.path = path};

	*ret = NULL;
	if (docker_do(docker, &call, &reply, err) < 0)
		return -1;
	if (reply.status == 404)
		return 0;
	if (reply.status != 200)
		return docker_refused(&call, &reply, ERR_DOCKER, err);
	*ret = json_loadb(reply.body.buf, reply.body.len, JSON_REJECT_DUPLICATES, NULL);
	if (!*ret)
		return err_set(err, ERR_DOCKER, "docker: GET %.80s: the answer is no JSON", path);
	return 0;
}

void docker_encode(struct strbuf *url, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (isalnum(*s) || strchr("-_.~", *s))
			strbuf_addch(url, (char)*s);
		else
			strbuf_addf(url, "%%%02X", *s);
	}
}

void docker_filter(struct strbuf *url, const char *label, const char *value)
{
	json_t *filter = json_pack("{s[o]}", "label", json_sprintf("%s=%s", label, value));
	AUTO_FREE char *text = json_dumps(filter, JSON_COMPACT);

	json_decref(filter);
	strbuf_addstr(url, "filters=");
	docker_encode(url, text);
}

const char *docker_text(const json_t *object, const char *key, struct pool *pool)
{
	const char *text = json_string_value(json_object_get(object, key));
	char *copy;

	if (!text)
		return "";
	copy = pool_memdup(pool, text, strnlen(text, DOCKER_TEXT_MAX));
	str_mask_controls(copy);
	return copy;
}

bool docker_is_id(const char *id)
{
	size_t len = strlen(id);

	return len >= 12 && len <= 64 && strspn(id, "0123456789abcdef") == len;
}
