#include "gitsync/upkeep.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/pool.h"
#include "gitsync/mirror.h"
#include "tests/unit/git_fixture.h"

#define MIRROR "work/.git"
#define PACKS 45

struct env {
	struct fixture fx;
	struct mirror *m;
};

/* A repository with 45 packs, a few loose objects, and one that no ref leads to. */
static int setup(void **state)
{
	struct env *env = xcalloc(1, sizeof(*env));
	struct err err = {0};
	AUTO_FREE char *path = NULL;

	fixture_init(&env->fx);
	free(fixture_work(&env->fx));
	for (int i = 0; i < PACKS; i++) {
		AUTO_FREE char *text = xasprintf("version %d\n", i);

		fixture_write(&env->fx, "work/a.txt", text);
		fixture_run(&env->fx, "work", "add", "a.txt", NULL);
		fixture_run(&env->fx, "work", "commit", "-q", "-m", text, NULL);
		fixture_run(&env->fx, "work", "repack", "-q", NULL);
		fixture_run(&env->fx, "work", "prune-packed", "-q", NULL);
	}
	fixture_write(&env->fx, "work/a.txt", "the last one\n");
	fixture_run(&env->fx, "work", "commit", "-q", "-a", "-m", "the last one", NULL);
	fixture_write(&env->fx, "work/b.txt", "of no commit\n");
	fixture_run(&env->fx, "work", "hash-object", "-w", "b.txt", NULL);
	fixture_run(&env->fx, "work", "config", "core.bare", "true", NULL);
	path = fixture_path(&env->fx, MIRROR);
	assert_ok(mirror_create(path, &env->m, NULL, &err), &err);
	*state = env;
	return 0;
}

static int teardown(void **state)
{
	struct env *env = *state;

	mirror_free(env->m);
	fixture_release(&env->fx);
	free(env);
	return 0;
}

/* Every object, reachable or not, by id; and whether git finds anything amiss. */
static char *objects(struct env *env)
{
	fixture_run(&env->fx, MIRROR, "fsck", "--full", "--strict", "--no-dangling", NULL);
	return fixture_git(&env->fx, MIRROR, "cat-file", "--batch-all-objects", "--batch-check",
			   NULL);
}

static size_t count(struct env *env, const char *folder, const char *ending)
{
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;
	AUTO_FREE char *path = xasprintf(MIRROR "/objects/%s", folder);
	struct err err = {0};
	size_t n = 0;

	assert_ok(file_list_in(env->fx.fd, path, &names, &err), &err);
	for (size_t i = 0; i < names.n; i++)
		n += strlen(names.v[i]) > strlen(ending) &&
		     strcmp(names.v[i] + strlen(names.v[i]) - strlen(ending), ending) == 0;
	return n;
}

static size_t loose(struct env *env)
{
	size_t n = 0;

	for (int i = 0; i < 256; i++) {
		char folder[3];

		snprintf(folder, sizeof(folder), "%02x", i);
		n += count(env, folder, "");
	}
	return n;
}

static void test_one_pack_with_everything(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *before = objects(env);
	AUTO_FREE char *after = NULL;
	char name[GIT_OID_HEX], tip[GIT_OID_HEX];
	struct err err = {0};

	assert_true(mirror_is_cluttered(env->m));
	assert_true(loose(env) >= 4);
	assert_ok(mirror_pack(env->m, name, &err), &err);
	assert_int_equal(count(env, "pack", ".pack"), PACKS + 1);
	assert_ok(mirror_prune(env->m, name, &err), &err);
	assert_int_equal(count(env, "pack", ".pack"), 1);
	assert_int_equal(count(env, "pack", ".idx"), 1);
	assert_int_equal(loose(env), 0);
	after = objects(env);
	assert_string_equal(after, before);
	assert_false(mirror_is_cluttered(env->m));
	assert_ok(mirror_resolve(env->m, "HEAD~44", tip, &err), &err);
}

static void test_what_comes_in_meanwhile_stays(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *before = NULL;
	AUTO_FREE char *after = NULL;
	char name[GIT_OID_HEX];
	struct err err = {0};

	assert_ok(mirror_pack(env->m, name, &err), &err);
	fixture_write(&env->fx, "work/c.txt", "came in meanwhile\n");
	fixture_run(&env->fx, "work", "hash-object", "-w", "c.txt", NULL);
	before = objects(env);
	assert_ok(mirror_prune(env->m, name, &err), &err);
	after = objects(env);
	assert_string_equal(after, before);
	assert_int_equal(loose(env), 1);
}

/* Killed between the two, and begun anew. */
static void test_begun_twice(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *before = objects(env);
	AUTO_FREE char *after = NULL;
	char name[GIT_OID_HEX];
	struct err err = {0};

	for (int i = 0; i < 2; i++)
		assert_ok(mirror_pack(env->m, name, &err), &err);
	assert_ok(mirror_prune(env->m, name, &err), &err);
	after = objects(env);
	assert_string_equal(after, before);
	assert_int_equal(count(env, "pack", ".pack"), 1);
}

static void test_a_full_disk_changes_nothing(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *before = objects(env);
	AUTO_FREE char *after = NULL;
	const struct rlimit none = {.rlim_cur = 512, .rlim_max = RLIM_INFINITY};
	struct rlimit whole;
	char name[GIT_OID_HEX];
	struct err err = {0};
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	rc = mirror_pack(env->m, name, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(err.msg, "write a pack"));
	assert_int_equal(count(env, "pack", ".idx"), PACKS);
	after = objects(env);
	assert_string_equal(after, before);
}

static void test_a_pack_that_is_not_there(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *before = objects(env);
	AUTO_FREE char *after = NULL;
	char tip[GIT_OID_HEX];
	struct err err = {0};

	assert_fails(mirror_prune(env->m, "0123456789012345678901234567890123456789", &err), &err,
		     ERR_SYSTEM, "pack-0123");
	after = objects(env);
	assert_string_equal(after, before);
	assert_ok(mirror_resolve(env->m, "HEAD", tip, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_pack_with_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_comes_in_meanwhile_stays, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_begun_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_disk_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_pack_that_is_not_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
