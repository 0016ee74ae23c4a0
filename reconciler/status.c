#include "reconciler/status.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "gitsync/text.h"

#define HEARTBEATS_MISSED 3
#define STATUS_VERSION 1

/* --- writing ------------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *time_or_null(int64_t wall_s)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall_s <= 0)
		return json_null();
	clock_format(wall_s, text);
	return json_string(text);
}

static json_t *conditions_to_json(const struct node_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_conditions; i++) {
		const struct condition *c = &s->conditions[i];

		json_array_append_new(list, json_pack("{ss ss ss ss so}", "type", c->type, "status",
						      c->status, "reason", c->reason, "message",
						      c->message ? c->message : "", "since",
						      time_or_null(c->since_s)));
	}
	return list;
}

static json_t *levels_to_json(const struct node_status *s)
{
	json_t *all = json_object();

	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		const struct level_health *level = &s->levels[i];

		if (level->health)
			json_object_set_new(all, level_name((enum level)i),
					    json_pack("{ss ss ss}", "health", level->health,
						      "reason", level->reason, "message",
						      level->message ? level->message : ""));
	}
	return all;
}

static json_t *containers_to_json(const struct service_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_containers; i++) {
		const struct container_status *c = &s->containers[i];

		json_array_append_new(list, json_pack("{ss ss ss ss ss sI}", "name", c->name,
						      "state", c->state, "health", c->health,
						      "image", c->image, "image_id", c->image_id,
						      "restarts", (json_int_t)c->restarts));
	}
	return list;
}

static json_t *services_to_json(const struct node_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_services; i++) {
		const struct service_status *v = &s->services[i];
		json_t *one = json_pack("{ss ss so}", "name", v->name, "health", v->health, "since",
					time_or_null(v->since_s));

		if (v->message)
			json_object_set_new(one, "message", json_string(v->message));
		if (v->n_containers)
			json_object_set_new(one, "containers", containers_to_json(v));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *texts_to_json(const char *const *texts, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *certificates_to_json(const struct node_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_certificates; i++) {
		json_t *names = texts_to_json(s->certificates[i].names, s->certificates[i].n_names);

		json_array_append_new(list,
				      json_pack("{so so}", "names", names, "not_after",
						time_or_null(s->certificates[i].not_after_s)));
	}
	return list;
}

static json_t *ingress_to_json(const struct node_status *s)
{
	json_t *ingress = json_object();

	if (s->haproxy_health)
		json_object_set_new(ingress, "haproxy",
				    json_pack("{ss sI sI so}", "health", s->haproxy_health,
					      "servers_up", (json_int_t)s->servers_up, "servers",
					      (json_int_t)s->servers, "nodes",
					      texts_to_json(s->server_nodes, s->n_server_nodes)));
	if (s->caddy_health)
		json_object_set_new(ingress, "caddy", json_pack("{ss}", "health", s->caddy_health));
	if (s->keepalived_health)
		json_object_set_new(ingress, "vrrp",
				    json_pack("{ss so so}", "health", s->keepalived_health, "state",
					      text_or_null(s->vrrp_state), "since",
					      time_or_null(s->vrrp_since_s)));
	json_object_set_new(ingress, "certificates", certificates_to_json(s));
	return ingress;
}

static json_t *drift_to_json(const struct node_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_drift; i++)
		json_array_append_new(list,
				      json_pack("{so ss sb}", "at", time_or_null(s->drift[i].at_s),
						"what", s->drift[i].what, "repaired",
						s->drift[i].repaired));
	return list;
}

static json_t *causes_to_json(const struct node_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_causes; i++)
		json_array_append_new(list, json_pack("{ss ss}", "action", s->causes[i].action,
						      "because", s->causes[i].because));
	return list;
}

static json_t *took_to_json(const struct took *took)
{
	json_t *parts;

	if (!took->revision[0])
		return json_null();
	parts = json_object();
	for (size_t i = 0; i < TOOK_PARTS; i++)
		json_object_set_new(parts, took_part_name((enum took_part)i),
				    json_integer(took->ms[i]));
	return json_pack("{ss sI so}", "revision", took->revision, "total_ms",
			 (json_int_t)took_total_ms(took), "parts_ms", parts);
}

json_t *status_to_json(const struct node_status *s)
{
	json_t *agent = json_pack("{ss so sI}", "version", s->agent_version, "started_at",
				  time_or_null(s->started_at_s), "heartbeat_seconds",
				  (json_int_t)s->heartbeat_s);
	json_t *revision =
		json_pack("{so so so so}", "desired", text_or_null(s->desired), "applied",
			  text_or_null(s->applied), "last_good", text_or_null(s->last_good),
			  "quarantined", text_or_null(s->quarantined));
	json_t *facts =
		json_pack("{so so ss ss sI}", "address", text_or_null(s->address), "public_address",
			  text_or_null(s->public_address), "arch", s->arch, "os", s->os,
			  "memory_bytes", (json_int_t)s->memory_bytes);

	return json_pack("{si ss ss so so so sI so so so so so so so so so so}", "version",
			 STATUS_VERSION, "cluster", s->cluster, "node", s->node, "agent", agent,
			 "revision", revision, "high_water", text_or_null(s->high_water),
			 "generation", (json_int_t)s->generation, "changed_at",
			 time_or_null(s->changed_at_s), "observed_at",
			 time_or_null(s->observed_at_s), "conditions", conditions_to_json(s),
			 "health", levels_to_json(s), "services", services_to_json(s), "ingress",
			 ingress_to_json(s), "drift", drift_to_json(s), "causes", causes_to_json(s),
			 "took", took_to_json(&s->took), "facts", facts);
}

/* --- reading ------------------------------------------------------------------------- */

static const char *clean(const char *text, struct pool *pool)
{
	return text_clean(pool, text, STATUS_TEXT_MAX);
}

static const char *take_text(const json_t *object, const char *key, struct pool *pool,
			     const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? clean(text, pool) : otherwise;
}

static int64_t take_time(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? clock_parse(text) : 0;
}

static int64_t take_int(const json_t *object, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(object, key));
}

static size_t list_size(const json_t *list)
{
	size_t n = json_array_size(list);

	return n < STATUS_LIST_MAX ? n : STATUS_LIST_MAX;
}

static void take_conditions(const json_t *list, struct pool *pool, struct node_status *ret)
{
	ret->n_conditions = list_size(list);
	ret->conditions = pool_calloc(pool, ret->n_conditions + 1, sizeof(*ret->conditions));
	for (size_t i = 0; i < ret->n_conditions; i++) {
		const json_t *one = json_array_get(list, i);

		ret->conditions[i] = (struct condition) {
			.type = take_text(one, "type", pool, ""),
			.status = take_text(one, "status", pool, "Unknown"),
			.reason = take_text(one, "reason", pool, ""),
			.message = take_text(one, "message", pool, ""),
			.since_s = take_time(one, "since"),
		};
	}
}

static void take_levels(const json_t *all, struct pool *pool, struct node_status *ret)
{
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		const json_t *one = json_object_get(all, level_name((enum level)i));

		if (!json_is_object(one))
			continue;
		ret->levels[i] = (struct level_health) {
			.health = take_text(one, "health", pool, "unknown"),
			.reason = take_text(one, "reason", pool, ""),
			.message = take_text(one, "message", pool, ""),
		};
	}
}

static void take_containers(const json_t *list, struct pool *pool, struct service_status *ret)
{
	ret->n_containers = list_size(list);
	ret->containers = pool_calloc(pool, ret->n_containers + 1, sizeof(*ret->containers));
	for (size_t i = 0; i < ret->n_containers; i++) {
		const json_t *one = json_array_get(list, i);

		ret->containers[i] = (struct container_status) {
			.name = take_text(one, "name", pool, ""),
			.state = take_text(one, "state", pool, ""),
			.health = take_text(one, "health", pool, ""),
			.image = take_text(one, "image", pool, ""),
			.image_id = take_text(one, "image_id", pool, ""),
			.restarts = (int64_t)json_integer_value(json_object_get(one, "restarts")),
		};
	}
}

static void take_services(const json_t *list, struct pool *pool, struct node_status *ret)
{
	ret->n_services = list_size(list);
	ret->services = pool_calloc(pool, ret->n_services + 1, sizeof(*ret->services));
	for (size_t i = 0; i < ret->n_services; i++) {
		const json_t *one = json_array_get(list, i);

		ret->services[i] = (struct service_status) {
			.name = take_text(one, "name", pool, ""),
			.health = take_text(one, "health", pool, "unknown"),
			.message = take_text(one, "message", pool, NULL),
			.since_s = take_time(one, "since"),
		};
		take_containers(json_object_get(one, "containers"), pool, &ret->services[i]);
	}
}

static const char **take_texts(const json_t *list, struct pool *pool, size_t *ret_n)
{
	const char **texts = pool_calloc(pool, list_size(list) + 1, sizeof(*texts));

	*ret_n = 0;
	for (size_t i = 0; i < list_size(list); i++)
		if (json_is_string(json_array_get(list, i)))
			texts[(*ret_n)++] = clean(json_string_value(json_array_get(list, i)), pool);
	return texts;
}

static void take_certificates(const json_t *list, struct pool *pool, struct node_status *ret)
{
	ret->n_certificates = list_size(list);
	ret->certificates = pool_calloc(pool, ret->n_certificates + 1, sizeof(*ret->certificates));
	for (size_t i = 0; i < ret->n_certificates; i++) {
		const json_t *one = json_array_get(list, i);
		struct certificate_status *cert = &ret->certificates[i];

		cert->not_after_s = take_time(one, "not_after");
		cert->names = take_texts(json_object_get(one, "names"), pool, &cert->n_names);
	}
}

static void take_ingress(const json_t *ingress, struct pool *pool, struct node_status *ret)
{
	const json_t *haproxy = json_object_get(ingress, "haproxy");
	const json_t *caddy = json_object_get(ingress, "caddy");
	const json_t *vrrp = json_object_get(ingress, "vrrp");

	ret->haproxy_health = take_text(haproxy, "health", pool, NULL);
	ret->servers_up = take_int(haproxy, "servers_up");
	ret->servers = take_int(haproxy, "servers");
	ret->server_nodes =
		take_texts(json_object_get(haproxy, "nodes"), pool, &ret->n_server_nodes);
	ret->caddy_health = take_text(caddy, "health", pool, NULL);
	ret->keepalived_health = take_text(vrrp, "health", pool, NULL);
	ret->vrrp_state = take_text(vrrp, "state", pool, NULL);
	ret->vrrp_since_s = take_time(vrrp, "since");
	take_certificates(json_object_get(ingress, "certificates"), pool, ret);
}

static void take_drift(const json_t *list, struct pool *pool, struct node_status *ret)
{
	ret->n_drift = list_size(list);
	ret->drift = pool_calloc(pool, ret->n_drift + 1, sizeof(*ret->drift));
	for (size_t i = 0; i < ret->n_drift; i++) {
		const json_t *one = json_array_get(list, i);

		ret->drift[i] = (struct drift_status) {
			.at_s = take_time(one, "at"),
			.what = take_text(one, "what", pool, ""),
			.repaired = json_is_true(json_object_get(one, "repaired")),
		};
	}
}

static void take_causes(const json_t *list, struct pool *pool, struct node_status *ret)
{
	ret->n_causes = list_size(list);
	ret->causes = pool_calloc(pool, ret->n_causes + 1, sizeof(*ret->causes));
	for (size_t i = 0; i < ret->n_causes; i++) {
		const json_t *one = json_array_get(list, i);

		ret->causes[i] = (struct cause_status) {
			.action = take_text(one, "action", pool, ""),
			.because = take_text(one, "because", pool, ""),
		};
	}
}

/* A stranger's numbers: a sum of them must not overflow. */
static void take_took(const json_t *object, struct took *ret)
{
	const char *revision = json_string_value(json_object_get(object, "revision"));
	const json_t *parts = json_object_get(object, "parts_ms");

	if (!revision || strlen(revision) != GIT_OID_HEX - 1 ||
	    strspn(revision, "0123456789abcdef") != GIT_OID_HEX - 1)
		return;
	memcpy(ret->revision, revision, GIT_OID_HEX);
	for (size_t i = 0; i < TOOK_PARTS; i++) {
		int64_t ms = take_int(parts, took_part_name((enum took_part)i));

		ret->ms[i] = ms > 0 && ms < INT32_MAX ? ms : 0;
	}
}

static void take_rest(const json_t *object, struct pool *pool, struct node_status *ret)
{
	const json_t *agent = json_object_get(object, "agent");
	const json_t *revision = json_object_get(object, "revision");
	const json_t *facts = json_object_get(object, "facts");

	ret->agent_version = take_text(agent, "version", pool, "");
	ret->started_at_s = take_time(agent, "started_at");
	ret->heartbeat_s = take_int(agent, "heartbeat_seconds");
	ret->desired = take_text(revision, "desired", pool, NULL);
	ret->applied = take_text(revision, "applied", pool, NULL);
	ret->last_good = take_text(revision, "last_good", pool, NULL);
	ret->quarantined = take_text(revision, "quarantined", pool, NULL);
	ret->high_water = take_text(object, "high_water", pool, NULL);
	ret->generation = take_int(object, "generation");
	ret->changed_at_s = take_time(object, "changed_at");
	ret->observed_at_s = take_time(object, "observed_at");
	ret->address = take_text(facts, "address", pool, NULL);
	ret->public_address = take_text(facts, "public_address", pool, NULL);
	ret->arch = take_text(facts, "arch", pool, "");
	ret->os = take_text(facts, "os", pool, "");
	ret->memory_bytes = take_int(facts, "memory_bytes");
}

int status_from_object(const json_t *object, struct pool *pool, struct node_status *ret,
		       struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	if (take_int(object, "version") != STATUS_VERSION)
		return err_set(err, ERR_CONFIG, "no status of version %d", STATUS_VERSION);
	ret->cluster = take_text(object, "cluster", pool, "");
	ret->node = take_text(object, "node", pool, "");
	take_rest(object, pool, ret);
	take_conditions(json_object_get(object, "conditions"), pool, ret);
	take_levels(json_object_get(object, "health"), pool, ret);
	take_services(json_object_get(object, "services"), pool, ret);
	take_ingress(json_object_get(object, "ingress"), pool, ret);
	take_drift(json_object_get(object, "drift"), pool, ret);
	take_causes(json_object_get(object, "causes"), pool, ret);
	take_took(json_object_get(object, "took"), &ret->took);
	return 0;
}

int status_from_json(const char *data, size_t len, struct pool *pool, struct node_status *ret,
		     struct err *err)
{
	json_error_t problem;
	json_t *object = json_loadb(data, len, JSON_REJECT_DUPLICATES, &problem);
	int failed;

	if (!object)
		return err_set(err, ERR_CONFIG, "no JSON: %s", problem.text);
	failed = status_from_object(object, pool, ret, err);
	json_decref(object);
	return failed;
}

/* --- looking ------------------------------------------------------------------------- */

const struct condition *status_condition(const struct node_status *status, const char *type)
{
	for (size_t i = 0; i < status->n_conditions; i++)
		if (strcmp(status->conditions[i].type, type) == 0)
			return &status->conditions[i];
	return NULL;
}

bool condition_is(const struct node_status *status, const char *type, const char *value)
{
	const struct condition *c = status_condition(status, type);

	return c && strcmp(c->status, value) == 0;
}

static bool is_failed(const char *health)
{
	return health && strcmp(health, "failed") == 0;
}

bool status_is_silent(const struct node_status *status, int64_t now_s)
{
	return status->heartbeat_s > 0 &&
	       (now_s - status->observed_at_s) / HEARTBEATS_MISSED > status->heartbeat_s;
}

/* What is amiss with a node that is at its commit, and serves; NULL: nothing. */
static const struct condition *amiss(const struct node_status *status)
{
	static const char *const types[] = {"MachineHealthy", "Holding"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (condition_is(status, types[i], "False"))
			return status_condition(status, types[i]);
	return NULL;
}

const char *status_trouble(const struct node_status *status)
{
	const struct condition *ready = status_condition(status, "Ready");

	if (!ready || strcmp(ready->status, "True") == 0)
		ready = amiss(status);
	return ready ? ready->message : "";
}

const char *status_health(const struct node_status *status)
{
	if (condition_is(status, "Ready", "True"))
		return amiss(status) ? "degraded" : "healthy";
	if (!status->applied || is_failed(status->caddy_health) ||
	    is_failed(status->haproxy_health))
		return "failed";
	return status_condition(status, "Ready") ? "degraded" : "unknown";
}
