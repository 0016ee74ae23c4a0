#include "tests/unit/remote_fixture.h"

#include <sys/resource.h>

/* Replaces the file of an object by something else, and forgets what was read of the mirror before.
 */
static void wreck_object(struct env *env, const char *rev)
{
	struct err err = {0};
	AUTO_FREE char *oid = fixture_git(&env->fx, "repo.git", "rev-parse", rev, NULL);
	AUTO_FREE char *file = xasprintf("repo.git/objects/%.2s/%s", oid, oid + 2);
	AUTO_FREE char *path = fixture_path(&env->fx, "repo.git");

	fixture_run(&env->fx, "repo.git", "-c",
		    "alias.unpack=!mv objects/pack/*.pack . && rm objects/pack/* && "
		    "cat *.pack | git unpack-objects -q && rm *.pack",
		    "unpack", NULL);
	assert_true(fixture_has(&env->fx, file));
	fixture_write(&env->fx, file, "this is no object");
	mirror_freep(&env->m);
	assert_ok(mirror_create(path, &env->m, NULL, &err), &err);
}

/* A file that cannot be read any more shows only when it is read; the next talk with the remote
 * mends it. */
static void test_damage_found_by_reading(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	CLEANUP(source_freep) struct source *src = NULL;
	const char *data;
	size_t len;

	fetch(env);
	wreck_object(env, "main:clusters/shop/cluster.yaml");
	assert_ok(snapshot_open(env->m, env->first, &src, &err), &err);
	assert_fails(source_read(src, "clusters/shop/cluster.yaml", 100, env->pool, &data, &len,
				 &err),
		     &err, ERR_GIT, "read 'clusters/shop/cluster.yaml'");
	assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_GIT,
		     "damaged and in use");
	source_freep(&src);
	assert_ok(remote_poll(env->m, &env->remote, &refs, &err), &err);
	assert_no_ref(env, "refs/heads/main");
	fetch(env);
	assert_ok(snapshot_open(env->m, env->first, &src, &err), &err);
	assert_int_equal(source_read(src, "clusters/shop/cluster.yaml", 100, env->pool, &data, &len,
				     &err),
			 1);
	assert_true(fixture_has(&env->fx, "repo.git.broken"));
}

/* The object of the branch's new tip is there by name, so it is not fetched, and cannot be read. */
static void test_damage_found_by_fetching(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *second = NULL, *file = NULL;
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/server.git", start_daemon(env));

	env->remote.url = url;
	fetch(env);
	fixture_write(&env->fx, "work/new.yaml", "new");
	second = fixture_commit(&env->fx, "work", "second");
	fixture_run(&env->fx, "work", "push", "-q", env->server, "main", NULL);
	file = xasprintf("repo.git/objects/%.2s/%s", second, second + 2);
	fixture_write(&env->fx, file, "this is no object");
	fetch(env);
	assert_at(env, "refs/heads/main", second);
	assert_true(fixture_has(&env->fx, "repo.git.broken"));
	fixture_run(&env->fx, "repo.git", "fsck", "--full", "--strict", NULL);
}

/* Where the new mirror cannot be made either, there is an error each time, and no crash. */
static void test_damage_that_cannot_be_mended(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	CLEANUP(source_freep) struct source *src = NULL;
	struct rlimit old, few;
	char got[GIT_OID_HEX];
	const char *data;
	size_t len;

	fetch(env);
	wreck_object(env, "main:clusters/shop/cluster.yaml");
	assert_ok(snapshot_open(env->m, env->first, &src, &err), &err);
	assert_fails(source_read(src, "clusters/shop/cluster.yaml", 100, env->pool, &data, &len,
				 &err),
		     &err, ERR_GIT, "read 'clusters/shop/cluster.yaml'");
	source_freep(&src);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit) {.rlim_cur = 20, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 2; i++)
		assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_SYSTEM,
			     "repo.git");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_ok(mirror_resolve(env->m, "main", got, &err), &err);
	fetch(env);
	assert_at(env, "refs/heads/main", env->first);
}

/* A fetch that failed leaves nothing, of itself or of one before that was killed. */
static void test_nothing_left_after_failure(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	fixture_write(&env->fx, "repo.git.incoming/pack_git2_abc123", "half");
	env->remote.branch = "nope";
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_GIT, "no branch");
	assert_false(fixture_has(&env->fx, "repo.git.incoming"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_damage_found_by_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_found_by_fetching, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_that_cannot_be_mended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_left_after_failure, setup, teardown),
	};

	return cmocka_run_group_tests_name("remote_damage", tests, NULL, NULL);
}
