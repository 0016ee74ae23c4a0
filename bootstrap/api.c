#include "bootstrap/api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/strbuf.h"

#define REPLY_MAX ((size_t)16 << 20)
#define TRIES 6
#define TIMEOUT_DEFAULT_MS 30000
#define WAIT_DEFAULT_MS 1000
#define WAIT_MOST_MS (10 * 60 * 1000)
#define BACKOFF_MOST_MS 30000
#define MINUTE_MS 60000
#define TOKEN_MAX 4096
#define SHOWN_MAX 300

enum { HEADER_RETRY_AFTER, HEADER_RESET, HEADER_COUNT };

/* --- open ------------------------------------------------------------------------------ */

static int duration_from(const char *variable, int64_t def_ms, int64_t *ret_ms, struct err *err)
{
	const char *word = getenv(variable);

	*ret_ms = def_ms;
	if (!word || !*word)
		return 0;
	if (parse_duration_ms(word, ret_ms, err) < 0) {
		err->code = ERR_USAGE;
		return err_wrap(err, "%s", variable);
	}
	if (*ret_ms < 1 || *ret_ms > MINUTE_MS * 10)
		return err_set(err, ERR_USAGE, "%s: '%s' is not between 1ms and 10m", variable,
			       word);
	return 0;
}

/* https, or http to loopback; no user part, query or fragment. */
static bool is_trusted(const char *url)
{
	bool secure = strncmp(url, "https://", 8) == 0;
	const char *host = url + (secure ? 8 : 7);
	bool bracket = host[0] == '[';
	size_t len;
	AUTO_FREE char *name = NULL;

	if ((!secure && strncmp(url, "http://", 7) != 0) || strpbrk(url, "@?#\\ \t\r\n"))
		return false;
	len = bracket ? strcspn(++host, "]") : strcspn(host, ":/");
	if (!len)
		return false;
	name = xstrndup(host, len);
	return secure || strcmp(name, "localhost") == 0 || (is_address(name) && is_loopback(name));
}

static int take_url(struct api *api, struct err *err)
{
	const char *url = getenv(api->kind->url_variable);

	if (!url || !*url)
		url = api->kind->url;
	if (!is_trusted(url))
		return err_set(
			err, ERR_USAGE,
			"%s: a token is sent by https:// only, or by http:// to this machine "
			"itself",
			api->kind->url_variable);
	api->url = xstrdup(url);
	for (size_t len = strlen(url); len && api->url[len - 1] == '/'; len--)
		api->url[len - 1] = '\0';
	return 0;
}

static int take_token(struct api *api, const char *token, struct err *err)
{
	if (!token)
		token = getenv(api->kind->token_variable);
	if (!token || !*token)
		return err_set(err, ERR_USAGE,
			       "%s is not set: put a token of %s there that has these permissions: "
			       "%s",
			       api->kind->token_variable, api->kind->name, api->kind->permissions);
	if (strlen(token) > TOKEN_MAX)
		return err_set(err, ERR_USAGE, "%s: is too long for a token",
			       api->kind->token_variable);
	for (const char *c = token; *c; c++)
		if (*c <= ' ' || *c > '~')
			return err_set(err, ERR_USAGE,
				       "%s: a token holds no space or special character",
				       api->kind->token_variable);
	api->authorization = xasprintf("Authorization: Bearer %s", token);
	return 0;
}

int api_open(struct api *api, const struct api_kind *kind, const char *token, struct err *err)
{
	int64_t timeout_ms;

	*api = (struct api) {.kind = kind, .tries = TRIES, .wait_most_ms = WAIT_MOST_MS};
	if (take_url(api, err) < 0 || take_token(api, token, err) < 0 ||
	    duration_from(API_TIMEOUT_VARIABLE, TIMEOUT_DEFAULT_MS, &timeout_ms, err) < 0 ||
	    duration_from(API_WAIT_VARIABLE, WAIT_DEFAULT_MS, &api->wait_ms, err) < 0) {
		api_release(api);
		return -1;
	}
	api->timeout_ms = (int)timeout_ms;
	api->session = http_session_new();
	api->sent_ms = xcalloc(kind->per_minute, sizeof(*api->sent_ms));
	return 0;
}

void api_release(struct api *api)
{
	free(api->url);
	if (api->authorization)
		explicit_bzero(api->authorization, strlen(api->authorization));
	free(api->authorization);
	free(api->sent_ms);
	http_session_freep(&api->session);
	*api = (struct api)API_INIT;
}

/* --- waiting --------------------------------------------------------------------------- */

static void tell_wait(const struct api *api, int64_t ms, const char *why)
{
	if (api->on_wait)
		api->on_wait(api->on_arg, ms, why);
}

static void wait_ms(const struct api *api, int64_t ms, const char *why)
{
	if (ms <= 0)
		return;
	tell_wait(api, ms, why);
	clock_sleep_ms(ms);
	tell_wait(api, 0, "");
}

/* No more than per_minute in any minute: the oldest of them makes room when its minute is over. */
static void keep_pace(struct api *api)
{
	int64_t *oldest = &api->sent_ms[api->calls % api->kind->per_minute];

	if (api->calls >= api->kind->per_minute)
		wait_ms(api, *oldest + MINUTE_MS - clock_ms(), "to stay within the rate limit");
	*oldest = clock_ms();
	api->calls++;
}

/* Between a half and the whole of it, so that two who failed together do not come back together. */
static int64_t jitter(int64_t ms)
{
	uint16_t dice = 0;

	if (getrandom(&dice, sizeof(dice), 0) < 0)
		dice = UINT16_MAX / 2;
	return ms / 2 + ms / 2 * dice / UINT16_MAX;
}

static int64_t backoff(const struct api *api, unsigned tried)
{
	int64_t ms = api->wait_ms;

	while (--tried && ms < BACKOFF_MOST_MS)
		ms *= 2;
	return jitter(ms < BACKOFF_MOST_MS ? ms : BACKOFF_MOST_MS);
}

/* Decimal seconds, as Retry-After has them; -1 where they are not. */
static int64_t seconds_of(const char *text)
{
	struct err ignored = {0};
	int64_t seconds;

	return parse_int(text, 0, INT32_MAX, &seconds, &ignored) < 0 ? -1 : seconds;
}

static int64_t said_wait(const struct http_header *headers)
{
	int64_t after = seconds_of(headers[HEADER_RETRY_AFTER].value);
	int64_t reset =
		headers[HEADER_RESET].value[0] ? seconds_of(headers[HEADER_RESET].value) : -1;

	if (after >= 0)
		return after * 1000;
	reset = reset > 0 ? reset - clock_wall_s() : -1;
	return reset > 0 ? reset * 1000 : -1;
}

int api_pause(struct api *api, unsigned tried, struct err *err)
{
	int64_t ms = api->said_ms >= 0 ? api->said_ms : backoff(api, tried);
	char until[CLOCK_TEXT_SIZE];

	if (ms > api->wait_most_ms) {
		clock_format(clock_wall_s() + ms / 1000, until);
		return err_set(err, ERR_NETWORK,
			       "%s: the rate limit of this token is used up: run it again after %s",
			       api->kind->name, until);
	}
	if (tried >= api->tries)
		return err_wrap(err, "tried %u times", tried);
	wait_ms(api, ms, err->msg);
	return 0;
}

/* --- one request ----------------------------------------------------------------------- */

const char *json_text(const json_t *object, const char *key, struct pool *pool)
{
	const json_t *value = json_object_get(object, key);
	char *text;

	if (!json_is_string(value))
		return NULL;
	text = pool_strdup(pool, json_string_value(value));
	str_mask_controls(text);
	return text;
}

int64_t json_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

int api_need_list(const struct api *api, const json_t *answer, const char *key, const json_t **ret,
		  struct err *err)
{
	*ret = json_object_get(answer, key);
	if (json_is_array(*ret))
		return 0;
	return err_set(err, ERR_NETWORK, "%s's answer has no list '%s'", api->kind->name, key);
}

const char *api_escape(struct pool *pool, const char *word)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	for (const unsigned char *c = (const unsigned char *)word; *c; c++) {
		if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		    (*c >= '0' && *c <= '9') || strchr("-_.~", *c))
			strbuf_addch(&out, (char)*c);
		else
			strbuf_addf(&out, "%%%02X", *c);
	}
	return pool_strdup(pool, out.buf);
}

/* What the API itself says is wrong: DigitalOcean's message, or Cloudflare's first error. */
static const char *said(struct api *api, const json_t *document, struct pool *pool)
{
	const json_t *first = json_array_get(json_object_get(document, "errors"), 0);
	const char *text = json_text(document, "message", pool);

	api->code = json_number(first, "code");
	if (!text)
		text = json_text(first, "message", pool);
	return text ? pool_printf(pool, ": %.*s", SHOWN_MAX, text) : "";
}

/* Refused for something that is under way: an action, a droplet that is about to go. */
static bool is_passing(long status, const char *text)
{
	return (status == 422 && strstr(text, "pending event")) ||
	       (status == 403 && strstr(text, "with members"));
}

static int refused(struct api *api, const char *what, const json_t *document, bool *ret_again,
		   struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *text = said(api, document, pool);
	const char *name = api->kind->name;
	long status = api->status;

	*ret_again = status == 429 || status >= 500 || is_passing(status, text);
	if (status == 401 || (status == 403 && !*ret_again))
		return err_set(err, ERR_CONFIG,
			       "%s refuses %s (%ld%s): is %s right, and has it these permissions: "
			       "%s?",
			       name, what, status, text, api->kind->token_variable,
			       api->kind->permissions);
	if (status == 429)
		return err_set(err, ERR_NETWORK, "%s: %s: too many requests%s", name, what, text);
	if (status >= 500)
		return err_set(err, ERR_NETWORK, "%s: %s: trouble on its side (%ld%s)", name, what,
			       status, text);
	if (status < 200 || (status >= 300 && status < 400))
		return err_set(err, ERR_NETWORK, "%s: %s: unexpected answer %ld: is %s right?",
			       name, what, status, api->kind->url_variable);
	return err_set(err, ERR_CONFIG, "%s: %s: %ld%s", name, what, status, text);
}

/* The answer's document: an object, or nothing at all with 204. */
static int read_answer(struct api *api, const char *what, const struct http_reply *reply,
		       json_t **ret, bool *ret_again, struct err *err)
{
	json_error_t error;
	json_t *document = NULL;
	bool good = reply->status >= 200 && reply->status < 300;

	api->status = reply->status;
	if (reply->status != 204)
		document = json_loadb(reply->body.buf, reply->body.len, JSON_REJECT_DUPLICATES,
				      &error);
	if (good && reply->status != 204 && !json_is_object(document)) {
		json_decref(document);
		*ret_again = true;
		return err_set(err, ERR_NETWORK, "%s: %s: the answer is no JSON object",
			       api->kind->name, what);
	}
	/* Cloudflare: the status alone does not say it. */
	if (!good || json_is_false(json_object_get(document, "success"))) {
		refused(api, what, document, ret_again, err);
		json_decref(document);
		return -1;
	}
	*ret = document ? document : json_null();
	/* What went wrong in an earlier try is of no interest any more. */
	err_clear(err);
	return 0;
}

int api_try(struct api *api, const char *method, const char *path, const json_t *body, json_t **ret,
	    bool *ret_again, struct err *err)
{
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	struct http_header wanted[HEADER_COUNT] = {
		[HEADER_RETRY_AFTER] = {.name = "retry-after"},
		[HEADER_RESET] = {.name = "ratelimit-reset"},
	};
	AUTO_FREE char *url = xasprintf("%s%s", api->url, path);
	AUTO_FREE char *what = xasprintf("%s %.*s", method, (int)strcspn(path, "?"), path);
	AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *headers[] = {api->authorization, "Accept: application/json",
				 text ? "Content-Type: application/json" : NULL, NULL};
	struct http_request req = {
		.url = url,
		.method = method,
		.headers = headers,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = api->timeout_ms,
		.reply_limit = REPLY_MAX,
		.wanted = wanted,
		.n_wanted = HEADER_COUNT,
		.on_tick = api->on_tick,
		.on_tick_arg = api->on_arg,
		.session = api->session,
	};

	keep_pace(api);
	*ret_again = false;
	api->status = 0;
	api->code = 0;
	api->said_ms = -1;
	if (http_do(&req, &reply, err) < 0) {
		*ret_again = err->code == ERR_NETWORK;
		return -1;
	}
	if (reply.status == 429)
		api->said_ms = said_wait(wanted);
	return read_answer(api, what, &reply, ret, ret_again, err);
}

/* --- with another try ------------------------------------------------------------------- */

static int repeat(struct api *api, const char *method, const char *path, const json_t *body,
		  json_t **ret, struct err *err)
{
	for (unsigned tried = 1;; tried++) {
		bool again;

		if (api_try(api, method, path, body, ret, &again, err) == 0)
			return 0;
		if (!again || api_pause(api, tried, err) < 0)
			return -1;
	}
}

int api_get(struct api *api, const char *path, json_t **ret, struct err *err)
{
	return repeat(api, "GET", path, NULL, ret, err);
}

int api_send(struct api *api, const char *method, const char *path, const json_t *body,
	     json_t **ret, struct err *err)
{
	json_t *answer = NULL;

	if (repeat(api, method, path, body, &answer, err) < 0) {
		if (api->status != 404 || strcmp(method, "DELETE") != 0)
			return -1;
		err_clear(err);
		answer = json_null();
	}
	if (ret)
		*ret = answer;
	else
		json_decref(answer);
	return 0;
}

/* No answer came, and the request may still be on its way through the API: one that is made meanwhile
 * would be made twice. Looks for as long again as a request may take. */
static int look_until_settled(struct api *api, api_find_fn *find, void *arg, struct err *err)
{
	int64_t end = clock_ms() + api->timeout_ms;
	int found = 0;

	tell_wait(api, api->timeout_ms, "no answer came, and it may be made all the same");
	while (!found && clock_ms() < end) {
		clock_sleep_ms(api->wait_ms);
		found = find(arg, err);
	}
	tell_wait(api, 0, "");
	return found;
}

/* Refused: another run may have made it since we looked. */
static int look_at_refused(const struct api *api, api_find_fn *find, void *arg, struct err *err)
{
	const struct err why = *err;

	if ((api->status == 409 || api->status == 422) && find(arg, err) > 0) {
		err_clear(err);
		return 1;
	}
	*err = why;
	return -1;
}

int api_create(struct api *api, const char *path, const json_t *body, api_find_fn *find, void *arg,
	       json_t **ret, struct err *err)
{
	for (unsigned tried = 1;; tried++) {
		int found = find(arg, err);
		bool again;

		if (found)
			return found;
		if (api_try(api, "POST", path, body, ret, &again, err) == 0)
			return 0;
		if (!again)
			return look_at_refused(api, find, arg, err);
		if (api->status == 0) {
			struct err why = *err;

			found = look_until_settled(api, find, arg, err);
			if (found)
				return found;
			*err = why;
		}
		if (api_pause(api, tried, err) < 0)
			return -1;
	}
}
