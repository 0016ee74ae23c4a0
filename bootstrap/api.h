/*
 * A client of one cloud API: bounded in time and size, within its rate limits, and with a second try
 * where one does no harm.
 *
 *	CLEANUP(api_release) struct api api = API_INIT;
 *	if (api_open(&api, &digitalocean_api, NULL, err) < 0) …       token and address from the environment
 *	api_get(&api, "/v2/sizes?per_page=200", &answer, err);
 *
 * What can be repeated without harm (api_get(), api_send()) is: after no answer, 429 and 5xx, with a
 * growing distance, or when the API says. A create is not: its answer may have been lost on the way.
 * api_create() looks for the thing before each try.
 *
 * The token goes nowhere but into the header: not into an error, not to another host than the
 * address in use. Plain http is for loopback only.
 */
#ifndef BOOTSTRAP_API_H
#define BOOTSTRAP_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/pool.h"

/* One row an API. */
struct api_kind {
	const char *name;           /* "DigitalOcean" */
	const char *url;            /* where it is, without a slash at the end */
	const char *url_variable;   /* in the environment: another address, for tests and proxies */
	const char *token_variable; /* in the environment */
	const char *permissions;    /* what the token needs, for a person */
	unsigned per_minute; /* our own limit, below the API's: others use the account, too */
};

/* In the environment, as durations: how long one request may take (30s), and the first distance
 * between two tries and between two looks at something that takes its time (1s). */
#define API_TIMEOUT_VARIABLE "DYNIA_API_TIMEOUT"
#define API_WAIT_VARIABLE "DYNIA_API_WAIT"

struct api {
	const struct api_kind *kind;
	char *url;
	char *authorization;
	struct http_session *session;
	int timeout_ms;
	int64_t wait_ms;
	unsigned tries;       /* for one request */
	int64_t wait_most_ms; /* a limit that holds longer than this is an error */
	int64_t *sent_ms;     /* when the last per_minute requests went out */
	unsigned calls;
	long status;     /* of the last answer; 0: there was none */
	int64_t said_ms; /* when the last 429 said to come back; -1: it did not */
	int64_t code;    /* Cloudflare's number in the last error; 0: none */
	/* Told of each wait as it begins, and with 0 and "" when it is over; NULL: nobody. */
	void (*on_wait)(void *arg, int64_t ms, const char *why);
	/* Called at least once a second while an answer is waited for; NULL: nobody. */
	void (*on_tick)(void *arg);
	void *on_arg; /* for both */
};

#define API_INIT                                                                                   \
	{                                                                                          \
		.kind = NULL                                                                       \
	}

/* token NULL: from the environment. ERR_USAGE where there is none, or the address is not to be
 * trusted with it. */
int api_open(struct api *api, const struct api_kind *kind, const char *token, struct err *err);
void api_release(struct api *api);

/* Any 2xx is 0; *ret is the document (an object; json_null() where there is none) for the caller to
 * release. Another status is -1: ERR_CONFIG where it is the token or what was asked (4xx),
 * ERR_NETWORK where the API is not itself. */
int api_get(struct api *api, const char *path, json_t **ret, struct err *err);
/* PUT, PATCH, DELETE: a second time changes nothing more. That a DELETE finds nothing is success. */
int api_send(struct api *api, const char *method, const char *path, const json_t *body,
	     json_t **ret, struct err *err);
/* POST. find: 1 it is there, 0 it is not, -1 error; asked before each try, and where no answer came
 * until the request cannot be under way any more, and once more where it is refused: another run may have
 * been first. 1 where it was found (*ret is untouched), 0 where it was made. */
typedef int api_find_fn(void *arg, struct err *err);
int api_create(struct api *api, const char *path, const json_t *body, api_find_fn *find, void *arg,
	       json_t **ret, struct err *err);

/* One try, for callers with a loop of their own. *ret_again: it may come out better next time, and
 * api_pause() knows when; tried counts from 1. -1 from api_pause(): not again, with err as it was or
 * with when the limit ends. */
int api_try(struct api *api, const char *method, const char *path, const json_t *body, json_t **ret,
	    bool *ret_again, struct err *err);
int api_pause(struct api *api, unsigned tried, struct err *err);

/* --- reading what a stranger sent ------------------------------------------------------- */

/* A string member, with control characters masked, in the pool; NULL where it is none. */
const char *json_text(const json_t *object, const char *key, struct pool *pool);
/* An integer member; 0 where it is none. */
int64_t json_number(const json_t *object, const char *key);
/* The list below a key, or -1: "DigitalOcean's answer has no list 'droplets'". */
int api_need_list(const struct api *api, const json_t *answer, const char *key, const json_t **ret,
		  struct err *err);
/* A string for a path or a query: everything but A-Z a-z 0-9 - _ . ~ as %XX. */
const char *api_escape(struct pool *pool, const char *word);

#endif
