#include "tests/unit/test.h"

#include "base/cleanup.h"
#include "render/facts.h"
#include "render/fileset.h"
#include "render/layout.h"

static void add(struct fileset *set, const char *path)
{
	fileset_add(set, &(struct out_file) {.path = path, .data = path, .len = strlen(path)});
}

static void test_sorted_and_found(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(fileset_release) struct fileset set;
	struct err err;

	(void)state;
	fileset_init(&set, pool);
	assert_null(fileset_find(&set, "/a"));
	assert_int_equal(fileset_finish(&set, &err), 0);
	for (int i = 99; i >= 0; i--)
		add(&set, pool_printf(pool, "/f%02d", i));
	assert_int_equal(fileset_finish(&set, &err), 0);
	assert_int_equal(set.n, 100);
	for (size_t i = 0; i < set.n; i++)
		assert_string_equal(set.v[i].path, pool_printf(pool, "/f%02zu", i));
	assert_string_equal(fileset_find(&set, "/f42")->data, "/f42");
	assert_null(fileset_find(&set, "/f4"));
}

static void test_path_twice(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(fileset_release) struct fileset set;
	struct err err;

	(void)state;
	fileset_init(&set, pool);
	add(&set, "/b");
	add(&set, "/a");
	add(&set, "/b");
	assert_int_equal(fileset_finish(&set, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "'/b'"));
}

static void test_program_names(void **state)
{
	(void)state;
	for (int i = 0; i < PROGRAM_COUNT; i++)
		assert_true(*program_name((enum program)i));
	assert_string_equal(program_name(PROGRAM_HAPROXY), "haproxy");
	assert_string_equal(program_name(PROGRAM_LOGROTATE), "logrotate");
}

static void test_layout(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)state;
	for (int what = 0; what < LAYOUT_COUNT; what++)
		for (int runtime = RUNTIME_SYSTEM; runtime <= RUNTIME_PROCESS; runtime++)
			assert_int_equal(layout_path((enum layout)what, runtime)[0], '/');
	assert_string_equal(layout_path(LAYOUT_HAPROXY, RUNTIME_SYSTEM), "/etc/haproxy");
	assert_string_equal(layout_path(LAYOUT_HAPROXY, RUNTIME_PROCESS), "/opt/dynia/haproxy");
	assert_string_equal(layout_file(pool, "/r", LAYOUT_CADDY, RUNTIME_CONTAINER, "Caddyfile"),
			    "/r/opt/dynia/caddy/Caddyfile");
	assert_string_equal(layout_file(pool, "", LAYOUT_KEEPALIVED, RUNTIME_SYSTEM, NULL),
			    "/etc/keepalived/keepalived.conf");
}

static void test_facts(void **state)
{
	const struct peer_fact peers[] = {{"a", "10.0.0.1", NULL}, {"b", "10.0.0.2", NULL}};
	const struct facts facts = {.root = "", .peers = peers, .n_peers = 2};
	const struct node published = {.name = "b"};
	const struct node given = {.name = "b", .address = "10.9.9.9"};
	const struct node unknown = {.name = "c"};
	const struct node loopback = {.name = "d", .address = "127.0.0.3"};

	(void)state;
	assert_string_equal(facts_address(&facts, &published), "10.0.0.2");
	assert_string_equal(facts_address(&facts, &given), "10.9.9.9");
	assert_null(facts_address(&facts, &unknown));
	assert_string_equal(facts_loopback(&facts, &given), "127.0.0.1");
	assert_string_equal(facts_loopback(&facts, &unknown), "127.0.0.1");
	assert_string_equal(facts_loopback(&facts, &loopback), "127.0.0.3");
	assert_null(facts_bind_address(&facts, &given));
	assert_null(facts_bind_address(&facts, &unknown));
	assert_string_equal(facts_bind_address(&facts, &loopback), "127.0.0.3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_and_found),
		cmocka_unit_test(test_path_twice),
		cmocka_unit_test(test_program_names),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
