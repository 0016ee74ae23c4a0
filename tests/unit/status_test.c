#include "reconciler/status.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "tests/unit/test.h"

#define TOOK "0123456789abcdef0123456789abcdef01234567"

static int parse(const char *json, struct pool *pool, struct node_status *ret, struct err *err)
{
	return status_from_json(json, strlen(json), pool, ret, err);
}

/* It can be written again, and what is written can be read. */
static void assert_writes_again(const struct node_status *status, struct pool *pool)
{
	json_t *object = status_to_json(status);
	struct node_status again;
	struct err err = {0};
	char *text;

	assert_non_null(object);
	text = json_dumps(object, 0);
	assert_non_null(text);
	assert_int_equal(parse(text, pool, &again, &err), 0);
	assert_int_equal(again.n_conditions, status->n_conditions);
	assert_int_equal(again.n_services, status->n_services);
	assert_int_equal(again.n_causes, status->n_causes);
	assert_int_equal(again.n_drift, status->n_drift);
	free(text);
	json_decref(object);
}

static void test_written_and_read_back(void **unused)
{
	static struct condition conditions[] = {
		{"Ready", "False", "Unhealthy", "it does not answer", 1700000000},
		{"Healthy", "False", "Unhealthy", "", 0},
	};
	static struct container_status containers[] = {
		{"dynia-api_api_1", "running", "healthy", "x/api:1", "sha256:abc", 3}};
	static struct service_status services[] = {
		{"api", "degraded", "/ answers 500", 1700000001, containers, 1}};
	static struct drift_status drift[] = {{1700000002, "/opt/dynia/caddy/Caddyfile", true}};
	static struct cause_status causes[] = {{"update /x", "a.yaml:4 image 1 → 2"}};
	static const char *nodes[] = {"panda", "owl"};
	static const char *names[] = {"*.example.com", "example.com"};
	static struct certificate_status certificates[] = {{names, 2, 1800000000}};
	const struct node_status out = {
		.cluster = "shop",
		.node = "panda",
		.agent_version = "1",
		.started_at_s = 1700000000,
		.heartbeat_s = 900,
		.desired = "d",
		.applied = "a",
		.last_good = "l",
		.quarantined = "q",
		.generation = 12,
		.changed_at_s = 1700000003,
		.observed_at_s = 1700000004,
		.conditions = conditions,
		.n_conditions = 2,
		.levels = {[LEVEL_SERVICE] = {"failed", "ProgramFailed", "caddy does not run"}},
		.services = services,
		.n_services = 1,
		.haproxy_health = "healthy",
		.keepalived_health = "healthy",
		.vrrp_state = "MASTER",
		.vrrp_since_s = 1700000000,
		.servers_up = 1,
		.servers = 2,
		.server_nodes = nodes,
		.n_server_nodes = 2,
		.caddy_health = "failed",
		.certificates = certificates,
		.n_certificates = 1,
		.drift = drift,
		.n_drift = 1,
		.causes = causes,
		.n_causes = 1,
		.took = {.revision = TOOK, .ms = {80, 12, 200, 230, 118}},
		.address = "10.0.0.1",
		.public_address = "203.0.113.1",
		.arch = "amd64",
		.os = "Debian 12",
		.memory_bytes = 1 << 30,
	};
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	json_t *object = status_to_json(&out);
	struct node_status in;
	struct err err = {0};

	(void)unused;
	assert_int_equal(status_from_object(object, pool, &in, &err), 0);
	json_decref(object);
	assert_string_equal(in.cluster, "shop");
	assert_string_equal(in.desired, "d");
	assert_string_equal(in.applied, "a");
	assert_string_equal(in.last_good, "l");
	assert_string_equal(in.quarantined, "q");
	assert_int_equal(in.generation, 12);
	assert_int_equal(in.heartbeat_s, 900);
	assert_int_equal(in.observed_at_s, 1700000004);
	assert_string_equal(in.conditions[0].message, "it does not answer");
	assert_int_equal(in.conditions[0].since_s, 1700000000);
	assert_int_equal(in.conditions[1].since_s, 0);
	assert_string_equal(in.levels[LEVEL_SERVICE].health, "failed");
	assert_string_equal(in.levels[LEVEL_SERVICE].reason, "ProgramFailed");
	assert_string_equal(in.levels[LEVEL_SERVICE].message, "caddy does not run");
	assert_null(in.levels[LEVEL_CONTAINER].health);
	assert_string_equal(in.services[0].message, "/ answers 500");
	assert_int_equal(in.services[0].n_containers, 1);
	assert_string_equal(in.services[0].containers[0].name, "dynia-api_api_1");
	assert_string_equal(in.services[0].containers[0].state, "running");
	assert_string_equal(in.services[0].containers[0].health, "healthy");
	assert_string_equal(in.services[0].containers[0].image, "x/api:1");
	assert_string_equal(in.services[0].containers[0].image_id, "sha256:abc");
	assert_int_equal(in.services[0].containers[0].restarts, 3);
	assert_int_equal(in.servers, 2);
	assert_int_equal(in.n_server_nodes, 2);
	assert_string_equal(in.server_nodes[1], "owl");
	assert_string_equal(in.certificates[0].names[1], "example.com");
	assert_int_equal(in.certificates[0].not_after_s, 1800000000);
	assert_true(in.drift[0].repaired);
	assert_string_equal(in.causes[0].because, "a.yaml:4 image 1 → 2");
	assert_string_equal(in.took.revision, TOOK);
	assert_memory_equal(in.took.ms, out.took.ms, sizeof(in.took.ms));
	assert_string_equal(in.public_address, "203.0.113.1");
	assert_int_equal(in.memory_bytes, 1 << 30);
	assert_string_equal(status_health(&in), "failed");
}

static void test_refused(void **unused)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"null",
		"1",
		"\"\"",
		"{}",
		"{\"version\": 2}",
		"{\"version\": \"1\"}",
		"{\"version\": 1, \"version\": 1}",
		"{\"version\": 1} x",
		"{\"version\": 1, \"node\": \"\\u0000\"}",
		"{\"version\": 1, \"node\": \"\xff\"}",
		"{\"version\": 99999999999999999999}",
	};
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct node_status status;
		struct err err = {0};

		if (parse(texts[i], pool, &status, &err) != -1)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(err.code, ERR_CONFIG);
	}
}

/* What has another type than it should is left out. */
static void test_wrong_types(void **unused)
{
	static const char *const values[] = {"null",       "[]",
					     "{}",         "1",
					     "1e300",      "-1",
					     "true",       "\"x\"",
					     "[[[]]]",     "[1, \"a\", null, {}]",
					     "{\"0\": {}}"};
	static const char *const keys[] = {"cluster",    "node",       "agent",       "revision",
					   "generation", "changed_at", "observed_at", "conditions",
					   "services",   "ingress",    "drift",       "causes",
					   "facts"};
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)unused;
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			char *text = pool_printf(pool, "{\"version\": 1, \"%s\": %s}", keys[k],
						 values[i]);
			struct node_status status;
			struct err err = {0};

			assert_int_equal(parse(text, pool, &status, &err), 0);
			assert_non_null(status.cluster);
			assert_non_null(status.arch);
			assert_non_null(status_health(&status));
			assert_writes_again(&status, pool);
		}
}

static void test_ingress_of_wrong_types(void **unused)
{
	static const char text[] =
		"{\"version\": 1, \"ingress\": {\"haproxy\": [], \"caddy\": 1, \"certificates\":"
		" [{\"names\": \"a\"}, {\"names\": [1, \"b\", null]}, 7]}}";
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct node_status status;
	struct err err = {0};

	(void)unused;
	assert_int_equal(parse(text, pool, &status, &err), 0);
	assert_null(status.haproxy_health);
	assert_int_equal(status.n_certificates, 3);
	assert_int_equal(status.certificates[0].n_names, 0);
	assert_int_equal(status.certificates[1].n_names, 1);
	assert_string_equal(status.certificates[1].names[0], "b");
	assert_int_equal(status.certificates[2].n_names, 0);
}

/* Escape sequences of a terminal: C0, DEL, and C1 as UTF-8. */
static void test_control_characters(void **unused)
{
	static const char text[] =
		"{\"version\": 1, \"node\": \"a\\u001b[2Jb\", \"revision\": {\"applied\": "
		"\"x\\u009b31m\"},"
		" \"services\": [{\"name\": \"n\\n\\u007f\", \"message\": \"\\r\"}],"
		" \"ingress\": {\"certificates\": [{\"names\": [\"\\u001b]0;x\"]}]}}";
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct node_status status;
	struct err err = {0};

	(void)unused;
	assert_int_equal(parse(text, pool, &status, &err), 0);
	assert_string_equal(status.node, "a?[2Jb");
	assert_null(strchr(status.applied, '\x9b'));
	assert_string_equal(status.services[0].name, "n??");
	assert_string_equal(status.services[0].message, "?");
	assert_string_equal(status.certificates[0].names[0], "?]0;x");
}

/* Cut to a length, also where that is in the middle of a character: it can still be written as
 * JSON. */
static void test_long_texts(void **unused)
{
	(void)unused;
	for (size_t before = STATUS_TEXT_MAX - 4; before <= STATUS_TEXT_MAX; before++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
		struct node_status status;
		struct err err = {0};

		strbuf_addstr(&text,
			      "{\"version\": 1, \"causes\": [{\"action\": \"a\", \"because\": \"");
		for (size_t i = 0; i < before; i++)
			strbuf_addch(&text, 'x');
		strbuf_addstr(&text, "→→\"}], \"node\": \"");
		for (size_t i = 0; i < before; i++)
			strbuf_addch(&text, 'x');
		strbuf_addstr(&text, "→→\"}");
		assert_int_equal(parse(text.buf, pool, &status, &err), 0);
		assert_int_equal(status.n_causes, 1);
		assert_in_range(strlen(status.node), STATUS_TEXT_MAX - 2, STATUS_TEXT_MAX);
		assert_writes_again(&status, pool);
	}
}

static void test_long_lists(void **unused)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct node_status status;
	struct err err = {0};

	(void)unused;
	strbuf_addstr(&text, "{\"version\": 1, \"services\": [0");
	for (size_t i = 0; i < STATUS_LIST_MAX + 5; i++)
		strbuf_addstr(&text, ",0");
	strbuf_addstr(&text, "]}");
	assert_int_equal(parse(text.buf, pool, &status, &err), 0);
	assert_int_equal(status.n_services, STATUS_LIST_MAX);
	assert_string_equal(status.services[STATUS_LIST_MAX - 1].health, "unknown");
}

static void test_deep_nesting(void **unused)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct node_status status;
	struct err err = {0};

	(void)unused;
	strbuf_addstr(&text, "{\"version\": 1, \"x\": ");
	for (int i = 0; i < 400000; i++)
		strbuf_addch(&text, '[');
	assert_int_equal(parse(text.buf, pool, &status, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
}

static void test_times_that_are_none(void **unused)
{
	static const char text[] =
		"{\"version\": 1, \"changed_at\": \"yesterday\", \"observed_at\":"
		" \"2026-99-99T99:99:99Z\", \"agent\": {\"started_at\": 5}}";
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct node_status status;
	struct err err = {0};

	(void)unused;
	assert_int_equal(parse(text, pool, &status, &err), 0);
	assert_true(status.changed_at_s <= 0);
	assert_true(status.observed_at_s <= 0);
	assert_int_equal(status.started_at_s, 0);
	assert_writes_again(&status, pool);
}

static void test_health(void **unused)
{
	struct condition conditions[] = {{"Ready", "True", "", "", 0},
					 {"Healthy", "True", "", "", 0}};
	struct node_status status = {.conditions = conditions, .n_conditions = 2, .applied = "a"};

	(void)unused;
	assert_string_equal(status_health(&status), "healthy");
	conditions[0].status = "False";
	assert_string_equal(status_health(&status), "degraded");
	conditions[1].status = "False";
	assert_string_equal(status_health(&status), "degraded");
	status.caddy_health = "failed";
	assert_string_equal(status_health(&status), "failed");
	status.caddy_health = "healthy";
	status.n_conditions = 0;
	assert_string_equal(status_health(&status), "unknown");
	status.applied = NULL;
	assert_string_equal(status_health(&status), "failed");
	assert_null(status_condition(&status, "Ready"));
	assert_false(condition_is(&status, "Ready", "True"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_and_read_back),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_ingress_of_wrong_types),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_times_that_are_none),
		cmocka_unit_test(test_health),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
