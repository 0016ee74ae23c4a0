/* One request to the Engine API; what docker.c and docker_list.c share. */
#ifndef RECONCILER_DOCKER_CALL_H
#define RECONCILER_DOCKER_CALL_H

#include <jansson.h>

#include "base/http.h"
#include "base/strbuf.h"
#include "reconciler/docker.h"

#define DOCKER_TEXT_MAX 512

struct docker_call {
	const char *method; /* NULL: GET */
	const char *path;   /* with the query, without the version */
	const json_t *body; /* NULL: none */
	const char *auth;   /* X-Registry-Auth, or NULL */
	int timeout_ms;     /* 0: the usual */
	int stall_ms;
	bool keep_tail;
};

/* The status and the body; an answer of any status is one. ERR_DOCKER where there is none. */
int docker_do(struct docker *docker, const struct docker_call *call, struct http_reply *reply,
	      struct err *err);
/* The same, where a status from 400 on is an error with Docker's own words; `gone_is_fine`: 404 and
 * 304 are none. */
int docker_order(struct docker *docker, const struct docker_call *call, bool gone_is_fine,
		 struct err *err);
/* The answer as JSON; *ret NULL where the status is 404. The caller releases it. */
int docker_ask(struct docker *docker, const char *path, json_t **ret, struct err *err);
/* Docker's words in an answer, cut and cleaned. Sets err, returns -1. */
int docker_refused(const struct docker_call *call, const struct http_reply *reply,
		   enum err_code code, struct err *err);
/* Appends the text as a part of a query. */
void docker_encode(struct strbuf *url, const char *text);
/* "filters={"label":[...]}" of one label. */
void docker_filter(struct strbuf *url, const char *label, const char *value);
/* A string of the object, cut and cleaned, in the pool; "" where there is none. */
const char *docker_text(const json_t *object, const char *key, struct pool *pool);
/* Is it what Docker names things by: 12 to 64 digits of hex? */
bool docker_is_id(const char *id);

#endif
