/* health.c, levels.c and reasons.c */
#include "reconciler/levels.h"

#include "base/cleanup.h"
#include "tests/unit/test.h"

static void test_the_worst_counts_and_all_is_told(void **unused)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct level_health level = {0};

	(void)unused;
	level_add(&level, pool, "unknown", REASON_NOT_OBSERVED, "one");
	level_add(&level, pool, "failed", REASON_DISK_FULL, "two\n");
	level_add(&level, pool, "degraded", REASON_MEMORY_LOW, "three");
	level_end(&level, REASON_HEALTHY);
	assert_string_equal(level.health, "failed");
	assert_string_equal(level.reason, "DiskFull");
	assert_string_equal(level.message, "one; two?; three");
	for (int i = 0; i < 1000; i++)
		level_add(&level, pool, "degraded", REASON_MEMORY_LOW, "much more");
	assert_true(strlen(level.message) <= 400);
	assert_false(health_is_good("nonsense"));
	assert_true(health_is_worse("degraded", "nonsense"));
	assert_true(health_is_worse("healthy", NULL));
}

static void judge(const struct observation *seen, const struct probe *probes, size_t n,
		  struct pool *pool, struct level_health levels[LEVEL_COUNT])
{
	static struct watched_service services[] = {{.name = "api"}, {.name = "web"}};
	const struct watch watch = {.services = services, .n_services = n};

	memset(levels, 0, LEVEL_COUNT * sizeof(*levels));
	levels_judge(seen, &watch, probes, pool, levels);
}

static void test_levels(void **unused)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct probe probes[] = {{.health = "healthy"}, {.health = "healthy"}};
	struct observation seen = {
		.haproxy = {.running = true, .answers = true},
		.caddy = {.running = true, .answers = true},
		.haproxy_health = "healthy",
		.caddy_health = "healthy",
		.has_servers = true,
		.servers = {.all = 2, .up = 1},
	};
	struct level_health levels[LEVEL_COUNT];

	(void)unused;
	judge(NULL, probes, 2, pool, levels);
	assert_string_equal(levels[LEVEL_APPLICATION].health, "unknown");
	assert_string_equal(levels_worst(levels)->reason, "NotObserved");
	judge(&seen, probes, 2, pool, levels);
	assert_null(levels_worst(levels));
	assert_string_equal(levels[LEVEL_CONTAINER].reason, "NoContainers");
	/* Another node's server is down: that is not this node's health. This one's own is. */
	seen.servers.up = 0;
	judge(&seen, probes, 2, pool, levels);
	assert_string_equal(levels[LEVEL_SERVICE].reason, "NoServerUp");
	seen.servers.up = 2;
	seen.caddy_health = "degraded";
	judge(&seen, probes, 2, pool, levels);
	assert_string_equal(levels[LEVEL_SERVICE].health, "degraded");
	assert_string_equal(levels[LEVEL_SERVICE].reason, "WrongConfiguration");
	seen.caddy_health = "healthy";
	probes[0].health = "unknown";
	probes[1].health = "degraded";
	judge(&seen, probes, 2, pool, levels);
	assert_string_equal(levels_worst(levels)->reason, "ServiceFailing");
	assert_string_equal(levels_worst(levels)->message,
			    "service api is unknown; service web is degraded");
	seen.container = (struct level_health) {"failed", "X", "exited"};
	judge(&seen, probes, 2, pool, levels);
	assert_string_equal(levels_worst(levels)->message, "exited");
}

static void test_every_reason_is_explained(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < REASON_COUNT; i++) {
		assert_non_null(reason_name((enum reason)i));
		assert_true(strlen(reason_meaning((enum reason)i)) > 10);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(reason_name((enum reason)i),
						reason_name((enum reason)k));
	}
	for (int code = ERR_CONFIG; code <= ERR_LIMIT; code++)
		assert_string_equal(reason_name(reason_of((enum err_code)code)),
				    err_code_reason((enum err_code)code));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_worst_counts_and_all_is_told),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_every_reason_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
