/* state.c and watch.c: what the agent remembers, and what becomes of it where the file is not as it
 * was written. */
#include "reconciler/state.h"

#include "base/cleanup.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define OID "0123456789abcdef0123456789abcdef01234567"
#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct root root_of(const struct scratch *dir)
{
	return (struct root) {.fd = dir->fd, .path = (char *)dir->path};
}

static void fill_watch(struct watch *watch, struct watched_service *services)
{
	services[0] = (struct watched_service) {"api", "api.example.com", "/health", 30000, 5000, 3,
						20000};
	services[1] = (struct watched_service) {.name = "other"};
	*watch = (struct watch) {
		.at = {.runtime = RUNTIME_PROCESS,
		       .haproxy_file = "/h",
		       .haproxy_socket = "/s",
		       .haproxy_master = "/m",
		       .caddy_file = "/c",
		       .caddy_socket = "/cs",
		       .caddy_data = "/d",
		       .caddy_health = "http://127.0.0.1:1/",
		       .keepalived_file = "/etc/keepalived/keepalived.conf",
		       .ingress_host = "127.0.0.1",
		       .probe_from = "127.0.0.1",
		       .ingress_port = 443,
		       .ingress_tls = true},
		.address = "10.0.0.1",
		.caddy_config = KEY,
		.services = services,
		.n_services = 2,
	};
}

static void fill(struct state *state, struct watched_service *services)
{
	state_init(state);
	memcpy(state->revision, OID, sizeof(OID));
	memcpy(state->key, KEY, sizeof(KEY));
	memcpy(state->published, KEY, sizeof(KEY));
	state->published_at_s = 1700000000;
	state->needs_peers = true;
	state->inputs = json_pack("{ss}", "ipv6", "true");
	memcpy(state->rejected.revision, OID, sizeof(OID));
	state->rejected.code = ERR_CHECK;
	state->rejected.message = "haproxy says no";
	state->has_watch = true;
	fill_watch(&state->watch, services);
	state->status = (struct node_status) {.cluster = "shop",
					      .node = "panda",
					      .agent_version = "1",
					      .arch = "a",
					      .os = "o",
					      .generation = 7};
}

static void test_written_and_read_back(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(state_release) struct state out;
	CLEANUP(state_release) struct state in;
	struct watched_service services[2];
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	fill(&out, services);
	state_init(&in);
	assert_int_equal(state_write(&root, &out, &err), 0);
	assert_int_equal(state_read(&root, &in, &err), 1);
	assert_string_equal(in.revision, OID);
	assert_string_equal(in.key, KEY);
	assert_true(in.needs_peers);
	assert_int_equal(in.published_at_s, 1700000000);
	assert_string_equal(json_string_value(json_object_get(in.inputs, "ipv6")), "true");
	assert_int_equal(in.rejected.code, ERR_CHECK);
	assert_string_equal(in.rejected.message, "haproxy says no");
	assert_true(in.has_watch);
	assert_int_equal(in.watch.n_services, 2);
	assert_string_equal(in.watch.services[0].path, "/health");
	assert_int_equal(in.watch.services[0].start_period_ms, 20000);
	assert_null(in.watch.services[1].host);
	assert_string_equal(in.watch.at.caddy_socket, "/cs");
	assert_true(in.watch.at.ingress_tls);
	assert_string_equal(in.watch.caddy_config, KEY);
	assert_string_equal(in.watch.haproxy_config, "");
	assert_null(in.watch.public_address);
	assert_int_equal(in.status.generation, 7);
}

/* The first state of all has no inputs, watch, status or rejection. */
static void test_empty(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(state_release) struct state out;
	CLEANUP(state_release) struct state in;
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	state_init(&out);
	state_init(&in);
	assert_int_equal(state_read(&root, &in, &err), 0);
	assert_int_equal(state_write(&root, &out, &err), 0);
	assert_int_equal(state_read(&root, &in, &err), 1);
	assert_string_equal(in.revision, "");
	assert_false(in.has_watch);
	assert_null(in.status.node);
	assert_string_equal(in.rejected.revision, "");
}

static void assert_empty(const struct state *state)
{
	assert_string_equal(state->revision, "");
	assert_false(state->has_watch);
	assert_non_null(state->pool);
}

static void put(const struct root *root, const char *text, size_t len)
{
	struct err err = {0};

	if (file_replace_in(root->fd, PATH_STATE, text, len, 0600, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_truncated(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(state_release) struct state out;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct watched_service services[2];
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	fill(&out, services);
	assert_int_equal(state_write(&root, &out, &err), 0);
	assert_int_equal(file_read_in(root.fd, PATH_STATE, 1 << 20, &text, &err), 0);
	for (size_t len = 0; len < text.len; len += 7) {
		CLEANUP(state_release) struct state in;

		state_init(&in);
		put(&root, text.buf, len);
		assert_int_equal(state_read(&root, &in, &err), -1);
		assert_empty(&in);
	}
}

static void test_another_version_or_none_at_all(void **unused)
{
	static const char *const texts[] = {"{}",
					    "[]",
					    "{\"version\": 2}",
					    "{\"version\": null}",
					    "null",
					    "{\"version\": 1, \"status\": {\"version\": 2}}"};
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP(state_release) struct state in;

		state_init(&in);
		put(&root, texts[i], strlen(texts[i]));
		assert_int_equal(state_read(&root, &in, &err), -1);
		assert_empty(&in);
	}
}

/* Of other types than they are written with: as good as not there. */
static void test_wrong_types(void **unused)
{
	static const char *const texts[] = {
		"{\"version\": 1, \"revision\": 5, \"key\": [], \"inputs\": 3, \"rejected\": "
		"\"x\", \"watch\": 1}",
		"{\"version\": 1, \"revision\": \"short\", \"rejected\": {\"revision\": \"" OID
		"x\", \"code\": -5}}",
		"{\"version\": 1, \"watch\": {\"runtime\": 77}}",
		"{\"version\": 1, \"watch\": {\"runtime\": 2, \"services\": [1, 2]}}",
		"{\"version\": 1, \"watch\": []}",
	};
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP(state_release) struct state in;
		char key[SHA256_HEX_SIZE];

		state_init(&in);
		put(&root, texts[i], strlen(texts[i]));
		assert_int_equal(state_read(&root, &in, &err), 1);
		assert_empty(&in);
		assert_string_equal(in.rejected.revision, "");
		state_key(OID, in.inputs, key);
	}
}

static void test_no_file_and_not_writable(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(state_release) struct state state;
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	state_init(&state);
	assert_int_equal(file_mkdirs_in(root.fd, PATH_STATE, 0755, &err), 0);
	assert_int_equal(state_read(&root, &state, &err), -1);
	assert_empty(&state);
	assert_int_equal(state_write(&root, &state, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
}

static void test_key(void **unused)
{
	json_t *a = json_pack("{ss ss}", "x", "1", "y", "2");
	json_t *b = json_pack("{ss ss}", "y", "2", "x", "1");
	char of_a[SHA256_HEX_SIZE], of_b[SHA256_HEX_SIZE], of_none[SHA256_HEX_SIZE];

	(void)unused;
	state_key(OID, a, of_a);
	state_key(OID, b, of_b);
	state_key(OID, NULL, of_none);
	assert_string_equal(of_a, of_b);
	assert_string_not_equal(of_a, of_none);
	json_object_set_new(b, "x", json_string("3"));
	state_key(OID, b, of_b);
	assert_string_not_equal(of_a, of_b);
	json_decref(a);
	json_decref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_and_read_back),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_another_version_or_none_at_all),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_no_file_and_not_writable),
		cmocka_unit_test(test_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
