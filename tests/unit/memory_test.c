#include "base/memory.h"

#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "tests/unit/test.h"

/* Pages of files that are mapped and in memory: RssFile of proc(5), in KiB. */
static long mapped_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "RssFile:", strlen("RssFile:")) == 0)
			kib = strtol(line + strlen("RssFile:"), NULL, 10);
	fclose(file);
	assert_true(kib > 0);
	return kib;
}

static const char *name = "changed before the code is given back";
static int counted = 1;

static void test_code_comes_back_and_data_stays(void **unused)
{
	char digest[SHA256_HEX_SIZE];
	long before, after;

	(void)unused;
	git_libgit2_init();
	sha256_hex("x", 1, digest);
	name = "changed";
	counted++;
	before = mapped_kib();
	memory_give_back();
	after = mapped_kib();
	assert_true(after < before * 3 / 4);
	assert_string_equal(name, "changed");
	assert_int_equal(counted, 2);
	sha256_hex("x", 1, digest);
	assert_string_equal(digest,
			    "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
	for (int i = 0; i < 100; i++)
		memory_give_back();
	assert_int_equal(git_libgit2_shutdown(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_comes_back_and_data_stays),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
