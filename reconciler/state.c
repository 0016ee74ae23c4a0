#include "reconciler/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define STATE_VERSION 1
#define STATE_SIZE_MAX (64 << 20)

void state_init(struct state *state)
{
	memset(state, 0, sizeof(*state));
	state->pool = pool_new();
}

void state_release(struct state *state)
{
	json_decref(state->inputs);
	pool_free(state->pool);
	memset(state, 0, sizeof(*state));
}

bool rejection_was_tried(const struct rejection *r)
{
	return r->code == ERR_APPLY || r->code == ERR_HEALTH;
}

void state_key(const char *revision, const json_t *inputs, char ret[SHA256_HEX_SIZE])
{
	char *text = inputs ? json_dumps(inputs, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	struct sha256 *digest = sha256_begin();

	sha256_add_str(digest, revision);
	sha256_add_str(digest, text ? text : "");
	sha256_end(digest, ret);
	free(text);
}

static json_t *trial_to_json(const struct trial *trial)
{
	json_t *excused = json_array();

	for (size_t i = 0; i < trial->n_excused; i++)
		json_array_append_new(excused, json_string(trial->excused[i]));
	return json_pack("{ss ss sI sI so}", "revision", trial->revision, "back_to", trial->back_to,
			 "until", (json_int_t)trial->until_s, "timeout",
			 (json_int_t)trial->timeout_s, "excused", excused);
}

static json_t *to_json(const struct state *s)
{
	json_t *object = json_pack("{si ss ss sO? sb ss sI sI}", "version", STATE_VERSION,
				   "revision", s->revision, "key", s->key, "inputs", s->inputs,
				   "needs_peers", s->needs_peers, "published", s->published,
				   "published_at", (json_int_t)s->published_at_s, "good_generation",
				   (json_int_t)s->good_generation);

	if (s->rejected.revision[0])
		json_object_set_new(object, "rejected",
				    json_pack("{ss ss si ss}", "revision", s->rejected.revision,
					      "key", s->rejected.key, "code", (int)s->rejected.code,
					      "message", s->rejected.message));
	if (s->trial.revision[0])
		json_object_set_new(object, "trial", trial_to_json(&s->trial));
	if (s->has_watch)
		json_object_set_new(object, "watch", watch_to_json(&s->watch));
	json_object_set_new(object, "containers", records_to_json(&s->containers));
	if (s->status.node)
		json_object_set_new(object, "status", status_to_json(&s->status));
	return object;
}

int state_write(const struct root *root, const struct state *state, struct err *err)
{
	json_t *object = to_json(state);
	char *text = json_dumps(object, JSON_COMPACT);
	int failed = file_replace_in(root->fd, PATH_STATE, text, strlen(text), 0600, err);

	free(text);
	json_decref(object);
	return failed;
}

static void take_hex(const json_t *object, const char *key, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text && strlen(text) == size - 1)
		memcpy(ret, text, size);
}

static void take_rejection(const json_t *object, struct pool *pool, struct rejection *ret)
{
	const char *message = json_string_value(json_object_get(object, "message"));

	take_hex(object, "revision", ret->revision, sizeof(ret->revision));
	take_hex(object, "key", ret->key, sizeof(ret->key));
	ret->code = (enum err_code)json_integer_value(json_object_get(object, "code"));
	ret->message = pool_strdup(pool, message ? message : "");
}

static void take_trial(const json_t *object, struct pool *pool, struct trial *ret)
{
	const json_t *excused = json_object_get(object, "excused");
	size_t n = json_array_size(excused);

	take_hex(object, "revision", ret->revision, sizeof(ret->revision));
	take_hex(object, "back_to", ret->back_to, sizeof(ret->back_to));
	ret->until_s = (int64_t)json_integer_value(json_object_get(object, "until"));
	ret->timeout_s = (int64_t)json_integer_value(json_object_get(object, "timeout"));
	ret->excused = pool_calloc(pool, n + 1, sizeof(*ret->excused));
	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(excused, i));

		if (name)
			ret->excused[ret->n_excused++] = pool_strdup(pool, name);
	}
}

static int from_json(const json_t *object, struct state *ret)
{
	const json_t *status = json_object_get(object, "status");
	struct err ignored;

	if (json_integer_value(json_object_get(object, "version")) != STATE_VERSION)
		return -1;
	take_hex(object, "revision", ret->revision, sizeof(ret->revision));
	take_hex(object, "key", ret->key, sizeof(ret->key));
	take_hex(object, "published", ret->published, sizeof(ret->published));
	ret->published_at_s = (int64_t)json_integer_value(json_object_get(object, "published_at"));
	ret->good_generation =
		(int64_t)json_integer_value(json_object_get(object, "good_generation"));
	ret->needs_peers = json_is_true(json_object_get(object, "needs_peers"));
	ret->inputs = json_incref(json_object_get(object, "inputs"));
	take_rejection(json_object_get(object, "rejected"), ret->pool, &ret->rejected);
	take_trial(json_object_get(object, "trial"), ret->pool, &ret->trial);
	ret->has_watch = watch_from_json(json_object_get(object, "watch"), ret->pool, &ret->watch);
	records_from_json(json_object_get(object, "containers"), ret->pool, &ret->containers);
	if (status && status_from_object(status, ret->pool, &ret->status, &ignored) < 0)
		return -1;
	return 0;
}

bool state_heeds_peers(const struct state *state)
{
	return state->needs_peers || state->rejected.code == ERR_UNNAMED;
}

int state_read(const struct root *root, struct state *ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	int there = file_stat_in(root->fd, PATH_STATE, NULL, err);
	json_error_t problem;
	json_t *object;
	int failed;

	if (there <= 0)
		return there;
	if (file_read_in(root->fd, PATH_STATE, STATE_SIZE_MAX, &text, err) < 0)
		return -1;
	object = json_loadb(text.buf, text.len, 0, &problem);
	failed = object ? from_json(object, ret) : -1;
	json_decref(object);
	if (!failed)
		return 1;
	state_release(ret);
	state_init(ret);
	return err_set(err, ERR_SYSTEM, "'%s' is damaged, or of another version of dynia",
		       PATH_STATE);
}
