#include "base/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

static void test_zeroed_and_aligned(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	static const char zeros[512];

	(void)state;
	for (size_t size = 0; size < sizeof(zeros); size++) {
		char *p = pool_alloc(pool, size);

		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		assert_memory_equal(p, zeros, size);
		memset(p, 0xff, size); /* would show where it overlaps the next */
	}
}

static void test_large_ones_leave_the_chunk(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	char *before;
	char *large;
	char *after;

	(void)state;
	before = pool_alloc(pool, 16);
	large = pool_alloc(pool, (size_t)1 << 20);
	after = pool_alloc(pool, 16);
	memset(large, 0xff, (size_t)1 << 20);
	assert_ptr_equal(after, before + 16);
	assert_int_equal(after[0], 0);
}

static void test_large_one_first(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	int *v = pool_calloc(pool, 100000, sizeof(*v));

	(void)state;
	assert_int_equal(v[99999], 0);
	assert_string_equal(pool_strdup(pool, "x"), "x");
}

static void test_strings(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *made = pool_printf(pool, "%s-%500d", "a", 7);

	(void)state;
	assert_string_equal(pool_strdup(pool, "owl"), "owl");
	assert_string_equal(pool_strdup(pool, ""), "");
	assert_memory_equal(pool_memdup(pool, "a\0b", 3), "a\0b", 4);
	assert_string_equal(pool_memdup(pool, NULL, 0), "");
	assert_int_equal(strlen(made), 502);
	assert_memory_equal(made, "a- ", 3);
}

static void test_used(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)state;
	assert_int_equal(pool_used(pool), 0);
	pool_alloc(pool, 1000);
	assert_in_range(pool_used(pool), 1000, 1100);
	pool_alloc(pool, 1000000);
	assert_in_range(pool_used(pool), 1001000, 1001200);
}

static void test_free_of_nothing(void **state)
{
	struct pool *pool = NULL;

	(void)state;
	pool_freep(&pool);
	assert_null(pool);
	pool = pool_new();
	pool_freep(&pool);
	assert_null(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_aligned),
		cmocka_unit_test(test_large_ones_leave_the_chunk),
		cmocka_unit_test(test_large_one_first),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_used),
		cmocka_unit_test(test_free_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
