#include "tests/unit/git_fixture.h"

#include "base/pool.h"
#include "gitsync/mirror.h"
#include "gitsync/status_ref.h"

#define UNKNOWN "1234567890123456789012345678901234567890"

struct env {
	struct fixture fx;
	struct mirror *m;
	struct pool *pool;
};

static int setup(void **state)
{
	struct env *env = xcalloc(1, sizeof(*env));
	struct err err = {0};
	AUTO_FREE char *path = NULL;

	fixture_init(&env->fx);
	path = fixture_path(&env->fx, "repo.git");
	env->pool = pool_new();
	assert_ok(mirror_create(path, &env->m, NULL, &err), &err);
	*state = env;
	return 0;
}

static int teardown(void **state)
{
	struct env *env = *state;

	mirror_free(env->m);
	pool_free(env->pool);
	fixture_release(&env->fx);
	free(env);
	return 0;
}

static void commit(struct env *env, const char *node, const char *json, const char *message,
		   int64_t time_s, int64_t keep)
{
	struct err err = {0};

	assert_ok(status_ref_commit(env->m, "shop", node, json, strlen(json), message, time_s, keep,
				    NULL, &err),
		  &err);
}

static char *git(struct env *env, const char *command, const char *arg, const char *rev)
{
	return fixture_git(&env->fx, "repo.git", command, arg, rev, NULL);
}

static void test_name(void **state)
{
	struct env *env = *state;

	assert_string_equal(status_ref_name(env->pool, "shop", "brave-panda"),
			    "refs/heads/status/shop/brave-panda");
}

/* Git itself reads what was written. */
static void test_commit(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *log = NULL, *files = NULL, *json = NULL, *check = NULL;

	commit(env, "brave-panda", "{\"n\": 1}", "brave-panda: healthy", 1700000000, 0);
	commit(env, "brave-panda", "{\"n\": 2}", "brave-panda: degraded", 1700000060, 0);
	log = git(env, "log", "--format=%an|%ae|%cn|%at|%s|%b", "status/shop/brave-panda");
	assert_string_equal(log,
			    "brave-panda|brave-panda@shop.dynia.invalid|brave-panda|1700000060|"
			    "brave-panda: degraded|\n"
			    "brave-panda|brave-panda@shop.dynia.invalid|brave-panda|1700000000|"
			    "brave-panda: healthy|");
	files = git(env, "ls-tree", "-r", "status/shop/brave-panda");
	assert_non_null(strstr(files, "100644 blob"));
	assert_null(strchr(files, '\n'));
	json = git(env, "cat-file", "blob", "status/shop/brave-panda:status.json");
	assert_string_equal(json, "{\"n\": 2}");
	check = git(env, "fsck", "--strict", "--full");
	assert_string_equal(check, "");
}

static void test_commit_refused(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	assert_fails(status_ref_commit(env->m, "../x", "n", "{}", 2, "m", 0, 0, NULL, &err), &err,
		     ERR_CONFIG, "'../x' is no name of a cluster");
	assert_fails(status_ref_commit(env->m, "shop", "N", "{}", 2, "m", 0, 0, NULL, &err), &err,
		     ERR_CONFIG, "'N' is no name of a node");
}

/* A ref's name below another ref cannot be written. */
static void test_commit_cannot_write(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	fixture_write(&env->fx, "repo.git/refs/heads/status/shop", UNKNOWN "\n");
	assert_fails(status_ref_commit(env->m, "shop", "node", "{}", 2, "m", 0, 0, NULL, &err),
		     &err, ERR_GIT, "refs/heads/status/shop/node");
}

static size_t history_length(struct env *env)
{
	AUTO_FREE char *count = git(env, "rev-list", "--count", "status/shop/node");

	return strtoul(count, NULL, 10);
}

static void test_history_is_bounded(void **state)
{
	enum { KEEP = 8, ROUNDS = 40 };
	struct env *env = *state;
	AUTO_FREE char *log = NULL, *check = NULL;
	size_t longest = 0, shortened = 0;
	CLEANUP(strbuf_release) struct strbuf want = STRBUF_INIT;

	for (int i = 0; i < ROUNDS; i++) {
		AUTO_FREE char *text = xasprintf("node: %d", i);
		size_t before = i > 0 ? history_length(env) : 0, after;

		commit(env, "node", text, text, 1700000000 + i, KEEP);
		after = history_length(env);
		longest = after > longest ? after : longest;
		shortened += after <= before;
		assert_true(after == before + 1 || after == KEEP);
	}
	assert_int_equal(longest, KEEP + KEEP / 4);
	/* Only every third time: to cut is dearer than to add. */
	assert_int_equal(shortened, (ROUNDS - longest + KEEP / 4) / (KEEP / 4 + 1));
	log = git(env, "log", "--format=%s %at %an", "status/shop/node");
	for (size_t i = 0; i < history_length(env); i++)
		strbuf_addf(&want, "%snode: %zu %zu node", i ? "\n" : "", ROUNDS - 1 - i,
			    1700000000 + ROUNDS - 1 - i);
	assert_string_equal(log, want.buf);
	check = git(env, "fsck", "--strict", "--no-dangling");
	assert_string_equal(check, "");
}

static void test_history_of_one(void **state)
{
	struct env *env = *state;

	for (int i = 0; i < 3; i++) {
		commit(env, "node", "{}", "m", 1700000000 + i, 1);
		assert_int_equal(history_length(env), 1);
	}
}

static void test_list(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct status_entries list;

	assert_ok(status_ref_list(env->m, NULL, env->pool, &list, &err), &err);
	assert_int_equal(list.n, 0);
	commit(env, "b", "{}", "b: of old", 1700000000, 0);
	commit(env, "b", "{}", "b: healthy\nmore", 1700000001, 0);
	commit(env, "a", "{}", "a: \033[31mred", 1700000002, 0);
	assert_ok(status_ref_commit(env->m, "blog", "z", "{}", 2, "z: healthy", 5, 0, NULL, &err),
		  &err);
	assert_ok(status_ref_list(env->m, NULL, env->pool, &list, &err), &err);
	assert_int_equal(list.n, 3);
	assert_string_equal(list.v[0].cluster, "blog");
	assert_string_equal(list.v[0].node, "z");
	assert_string_equal(list.v[1].node, "a");
	assert_string_equal(list.v[1].subject, "a: ?[31mred");
	assert_string_equal(list.v[2].cluster, "shop");
	assert_string_equal(list.v[2].node, "b");
	assert_string_equal(list.v[2].subject, "b: healthy");
	assert_int_equal(list.v[2].time_s, 1700000001);
	assert_ok(status_ref_list(env->m, "shop", env->pool, &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_ok(status_ref_list(env->m, "sho", env->pool, &list, &err), &err);
	assert_int_equal(list.n, 0);
}

static void test_list_leaves_out_strangers(void **state)
{
	static const char *const refs[] = {
		"refs/heads/status/shop/UPPER", "refs/heads/status/shop/a/b",
		"refs/heads/status/alone",      "refs/heads/status/sh_op/node",
		"refs/tags/status/shop/node",
	};
	struct env *env = *state;
	struct err err = {0};
	struct status_entries list;
	AUTO_FREE char *oid = NULL, *blob = NULL;

	commit(env, "node", "{}", "node: healthy", 1700000000, 0);
	oid = git(env, "rev-parse", "--verify", "status/shop/node");
	blob = git(env, "rev-parse", "--verify", "status/shop/node:status.json");
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		fixture_run(&env->fx, "repo.git", "update-ref", refs[i], oid, NULL);
	fixture_write(&env->fx, "repo.git/refs/heads/status/shop/blob", blob);
	fixture_write(&env->fx, "repo.git/refs/heads/status/shop/gone", UNKNOWN "\n");
	fixture_run(&env->fx, "repo.git", "symbolic-ref", "refs/heads/status/shop/link",
		    "refs/heads/status/shop/node", NULL);
	assert_ok(status_ref_list(env->m, NULL, env->pool, &list, &err), &err);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.v[0].node, "node");
	assert_string_equal(list.v[0].oid, oid);
}

/* In a clone the refs are at refs/remotes/origin; the newer of two counts. */
static void test_list_of_clone(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct status_entries list, log;
	AUTO_FREE char *path = fixture_path(&env->fx, "clone");
	CLEANUP(mirror_freep) struct mirror *clone = NULL;

	commit(env, "node", "{}", "node: old", 1700000000, 0);
	commit(env, "other", "{}", "other: fine", 1700000000, 0);
	fixture_run(&env->fx, ".", "clone", "-q", "-b", "status/shop/node", "repo.git", "clone",
		    NULL);
	commit(env, "node", "{}", "node: new", 1700000010, 0);
	fixture_run(&env->fx, "clone", "fetch", "-q", NULL);
	assert_ok(mirror_open(path, &clone, &err), &err);
	assert_ok(status_ref_list(clone, "shop", env->pool, &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].subject, "node: new");
	assert_string_equal(list.v[1].subject, "other: fine");
	assert_ok(status_ref_log(clone, "shop", "node", 10, env->pool, &log, &err), &err);
	assert_int_equal(log.n, 2);
	assert_string_equal(log.v[0].subject, "node: new");
}

static void test_read(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	AUTO_FREE char *oid = NULL, *huge = xmalloc(STATUS_SIZE_MAX + 2), *other = NULL;
	const char *json;
	size_t len;

	commit(env, "node", "{\"version\": 1}", "m", 1700000000, 0);
	oid = git(env, "rev-parse", "--verify", "status/shop/node");
	assert_ok(status_ref_read(env->m, oid, env->pool, &json, &len, &err), &err);
	assert_string_equal(json, "{\"version\": 1}");
	assert_int_equal(len, 14);
	assert_fails(status_ref_read(env->m, UNKNOWN, env->pool, &json, &len, &err), &err, ERR_GIT,
		     UNKNOWN);
	memset(huge, 'x', STATUS_SIZE_MAX + 1);
	huge[STATUS_SIZE_MAX + 1] = '\0';
	commit(env, "node", huge, "m", 1700000000, 0);
	free(oid);
	oid = git(env, "rev-parse", "--verify", "status/shop/node");
	assert_fails(status_ref_read(env->m, oid, env->pool, &json, &len, &err), &err, ERR_LIMIT,
		     "larger than 1048576 bytes");
	other = fixture_git(&env->fx, "repo.git", "commit-tree", "-m", "nothing in it",
			    "4b825dc642cb6eb9a060e54bf8d69288fbee4904", NULL);
	assert_fails(status_ref_read(env->m, other, env->pool, &json, &len, &err), &err, ERR_GIT,
		     "holds no status.json");
}

static void test_log(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct status_entries log;

	for (int i = 0; i < 5; i++) {
		AUTO_FREE char *text = xasprintf("node: %d", i);

		commit(env, "node", text, text, 1700000000 + i, 0);
	}
	assert_ok(status_ref_log(env->m, "shop", "node", 3, env->pool, &log, &err), &err);
	assert_int_equal(log.n, 3);
	assert_string_equal(log.v[0].subject, "node: 4");
	assert_string_equal(log.v[2].subject, "node: 2");
	assert_int_equal(log.v[2].time_s, 1700000002);
	assert_string_equal(log.v[0].cluster, "shop");
	assert_string_equal(log.v[0].node, "node");
	assert_ok(status_ref_log(env->m, "shop", "node", 100, env->pool, &log, &err), &err);
	assert_int_equal(log.n, 5);
	assert_ok(status_ref_log(env->m, "shop", "nobody", 3, env->pool, &log, &err), &err);
	assert_int_equal(log.n, 0);
	assert_fails(status_ref_log(env->m, "shop", "../x", 3, env->pool, &log, &err), &err,
		     ERR_CONFIG, "'../x'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_cannot_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history_of_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_leaves_out_strangers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_of_clone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests_name("status_ref", tests, NULL, NULL);
}
