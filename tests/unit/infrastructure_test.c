#include "reconciler/infrastructure.h"

#include "base/cleanup.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define GIB (1ULL << 30)
#define MIB (1ULL << 20)

static struct pool *pool;

static int setup(void **unused)
{
	(void)unused;
	pool = pool_new();
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	pool_free(pool);
	return 0;
}

static void assert_level(struct level_health *level, const char *health, const char *reason)
{
	level_end(level, REASON_HEALTHY);
	assert_string_equal(level->health, health);
	assert_string_equal(level->reason, reason);
}

static void test_file_systems(void **unused)
{
	static const struct {
		uint64_t bytes, free_bytes, inodes, free_inodes;
		unsigned long flags;
		bool was_ill;
		const char *health, *reason;
	} cases[] = {
		{20 * GIB, 10 * GIB, 1000, 900, 0, false, "healthy", "Healthy"},
		{20 * GIB, 1 * GIB, 1000, 900, 0, false, "degraded", "DiskNearlyFull"},
		/* A tenth of a large disk is plenty, and much of a small one is not little. */
		{2000 * GIB, 50 * GIB, 1000, 900, 0, false, "healthy", "Healthy"},
		{100 * MIB, 50 * MIB, 1000, 900, 0, false, "healthy", "Healthy"},
		{20 * GIB, 50 * MIB, 1000, 900, 0, false, "failed", "DiskFull"},
		{20 * GIB, 0, 1000, 900, 0, false, "failed", "DiskFull"},
		{20 * GIB, 10 * GIB, 1000, 40, 0, false, "degraded", "DiskNearlyFull"},
		{20 * GIB, 10 * GIB, 1000, 0, 0, false, "failed", "DiskFull"},
		/* btrfs has no number of inodes */
		{20 * GIB, 10 * GIB, 0, 0, 0, false, "healthy", "Healthy"},
		{20 * GIB, 10 * GIB, 1000, 900, ST_RDONLY, false, "failed", "DiskReadOnly"},
		/* What was ill has to get clearly better. */
		{20 * GIB, 2 * GIB - 1, 1000, 60, 0, false, "degraded", "DiskNearlyFull"},
		{18 * GIB, 2 * GIB - 1, 1000, 60, 0, false, "healthy", "Healthy"},
		{18 * GIB, 2 * GIB - 1, 1000, 900, 0, true, "degraded", "DiskNearlyFull"},
		/* not one at all: proc, or a stranger's */
		{0, 0, 0, 0, 0, false, "healthy", "Healthy"},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct statvfs fs = {
			.f_bsize = 4096,
			.f_frsize = 1024,
			.f_blocks = cases[i].bytes / 1024,
			.f_bavail = cases[i].free_bytes / 1024,
			.f_files = cases[i].inodes,
			.f_favail = cases[i].free_inodes,
			.f_flag = cases[i].flags,
		};
		struct level_health level = {0};

		file_system_judge(&fs, "/var/lib/dynia", cases[i].was_ill, pool, &level);
		assert_level(&level, cases[i].health, cases[i].reason);
	}
}

static void test_memory(void **unused)
{
	static const struct {
		const char *text;
		bool was_ill;
		const char *health, *reason;
	} cases[] = {
		{"MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 500 kB\n", false, "healthy",
		 "Healthy"},
		{"MemTotal: 1000 kB\nMemAvailable: 79 kB\n", false, "degraded", "MemoryLow"},
		{"MemTotal: 1000 kB\nMemAvailable: 90 kB\n", false, "healthy", "Healthy"},
		{"MemTotal: 1000 kB\nMemAvailable: 90 kB\n", true, "degraded", "MemoryLow"},
		{"MemTotal: 1000 kB\nMemAvailable: 19 kB\n", false, "failed", "MemoryExhausted"},
		/* whatever else may be in it */
		{NULL, false, "unknown", "NotObserved"},
		{"", false, "unknown", "NotObserved"},
		{"MemTotal:", false, "unknown", "NotObserved"},
		{"MemTotal: 1000 kB\n", false, "unknown", "NotObserved"},
		{"MemTotal: 0 kB\nMemAvailable: 0 kB\n", false, "unknown", "NotObserved"},
		{"MemTotal: 1000\nMemAvailable: -5\n", false, "unknown", "NotObserved"},
		{"xMemTotal: 5\n MemAvailable: x", false, "unknown", "NotObserved"},
		{"MemTotal: 99999999999999999999999\nMemAvailable: 1\n", false, "failed",
		 "MemoryExhausted"},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct level_health level = {0};

		memory_judge(cases[i].text, cases[i].was_ill, pool, &level);
		assert_level(&level, cases[i].health, cases[i].reason);
	}
}

static void test_certificates(void **unused)
{
	struct certificate v[] = {
		{.file = "good.pem", .not_after_s = 1000 + 15 * 86400},
		{.file = "soon.pem", .not_after_s = 1000 + 13 * 86400},
		{.file = "half.pem", .broken = "it holds no certificate in PEM"},
	};
	const struct certificates all = {.v = v, .n = 3};
	struct level_health level = {0};

	(void)unused;
	certificates_judge(&all, 1000, pool, &level);
	assert_level(&level, "degraded", "CertificateExpires");
	assert_string_equal(level.message, "certificate soon.pem ends on 1970-01-14; certificate "
					   "half.pem is not used: it holds no certificate in PEM");
	level = (struct level_health) {0};
	certificates_judge(&(struct certificates) {.v = v + 2, .n = 1}, 1000, pool, &level);
	assert_level(&level, "degraded", "CertificateBroken");
	level = (struct level_health) {0};
	certificates_judge(&all, 1000 + 14 * 86400, pool, &level);
	assert_level(&level, "failed", "CertificateExpired");
	assert_string_equal(level.message, "certificate good.pem ends on 1970-01-16; certificate "
					   "soon.pem ended on 1970-01-14; certificate "
					   "half.pem is not used: it holds no certificate in PEM");
}

/* Folders that are missing, and a file in the place of one. */
static void test_a_root_with_nothing_in_it(void **unused)
{
	struct scratch dir = scratch_make();
	const struct root root = {.fd = dir.fd, .path = dir.path};
	struct level_health level = {0};
	struct err err = {0};

	(void)unused;
	assert_int_equal(file_replace_in(dir.fd, "/opt/dynia", "x", 1, 0644, &err), 0);
	infrastructure_look(&root, NULL, 0, false, pool, &level);
	level_end(&level, REASON_HEALTHY);
	assert_non_null(level.health);
	scratch_release(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file_systems, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_certificates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_root_with_nothing_in_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
