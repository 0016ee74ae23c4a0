#include "tests/unit/git_fixture.h"

#include "base/clock.h"
#include "base/pool.h"
#include "gitsync/mirror.h"
#include "spec/source.h"

struct env {
	struct fixture fx;
	struct mirror *m;
	struct source *src;
	struct pool *pool;
};

static int setup(void **state)
{
	struct env *env = xcalloc(1, sizeof(*env));

	fixture_init(&env->fx);
	env->pool = pool_new();
	free(fixture_work(&env->fx));
	*state = env;
	return 0;
}

static int teardown(void **state)
{
	struct env *env = *state;

	source_free(env->src);
	mirror_free(env->m);
	pool_free(env->pool);
	fixture_release(&env->fx);
	free(env);
	return 0;
}

/* The files of a commit of "work". */
static void open_at(struct env *env, const char *rev)
{
	struct err err = {0};
	AUTO_FREE char *path = fixture_path(&env->fx, "work");
	char oid[GIT_OID_HEX];

	assert_ok(mirror_open(path, &env->m, &err), &err);
	assert_ok(mirror_resolve(env->m, rev, oid, &err), &err);
	assert_ok(snapshot_open(env->m, oid, &env->src, &err), &err);
}

static void test_list(void **state)
{
	static const struct source_entry want[] = {
		{"a", SOURCE_DIR, false},        {"a.yaml", SOURCE_FILE, false},
		{"clusters", SOURCE_DIR, false}, {"link", SOURCE_SYMLINK, false},
		{"module", SOURCE_OTHER, false}, {"run.sh", SOURCE_FILE, true},
	};
	struct env *env = *state;
	struct err err = {0};
	struct source_list list;

	fixture_write(&env->fx, "work/a.yaml", "x");
	fixture_write(&env->fx, "work/a/b", "x");
	fixture_write(&env->fx, "work/run.sh", "x");
	assert_int_equal(fchmodat(env->fx.fd, "work/run.sh", 0755, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", env->fx.fd, "work/link"), 0);
	fixture_run(&env->fx, "work", "update-index", "--add", "--cacheinfo",
		    "160000,1234567890123456789012345678901234567890,module", NULL);
	assert_int_equal(mkdirat(env->fx.fd, "work/module", 0755), 0);
	free(fixture_commit(&env->fx, "work", "all kinds"));
	open_at(env, "HEAD");
	assert_int_equal(source_list(env->src, "", env->pool, &list, &err), 1);
	assert_int_equal(list.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < list.n; i++) {
		assert_string_equal(list.v[i].name, want[i].name);
		assert_int_equal(list.v[i].type, want[i].type);
		assert_int_equal(list.v[i].executable, want[i].executable);
	}
	assert_int_equal(source_list(env->src, "clusters/shop", env->pool, &list, &err), 1);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.v[0].name, "cluster.yaml");
	assert_int_equal(source_list(env->src, "nope", env->pool, &list, &err), 0);
	assert_int_equal(source_list(env->src, "clusters/shop/cluster.yaml", env->pool, &list,
				     &err),
			 0);
	assert_int_equal(source_list(env->src, "module", env->pool, &list, &err), 0);
	assert_int_equal(source_list(env->src, "link", env->pool, &list, &err), 0);
}

static void test_read(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	const char *data;
	size_t len;

	fixture_write(&env->fx, "work/top", "0123456789");
	assert_int_equal(symlinkat("top", env->fx.fd, "work/link"), 0);
	free(fixture_commit(&env->fx, "work", "more"));
	open_at(env, "HEAD");
	assert_int_equal(source_read(env->src, "clusters/shop/cluster.yaml", 100, env->pool, &data,
				     &len, &err),
			 1);
	assert_string_equal(data, "version: 1\n");
	assert_int_equal(len, strlen("version: 1\n"));
	assert_int_equal(source_read(env->src, "top", 10, env->pool, &data, &len, &err), 1);
	assert_string_equal(data, "0123456789");
	assert_fails(source_read(env->src, "top", 9, env->pool, &data, &len, &err), &err, ERR_LIMIT,
		     "'top' is larger than 9 bytes");
	assert_int_equal(source_read(env->src, "nope", 9, env->pool, &data, &len, &err), 0);
	assert_int_equal(source_read(env->src, "no/pe", 9, env->pool, &data, &len, &err), 0);
	assert_int_equal(source_read(env->src, "top/x", 9, env->pool, &data, &len, &err), 0);
	assert_int_equal(source_read(env->src, "clusters", 9, env->pool, &data, &len, &err), 0);
	assert_int_equal(source_read(env->src, "link", 9, env->pool, &data, &len, &err), 0);
	assert_fails(source_read(env->src, "../top", 9, env->pool, &data, &len, &err), &err,
		     ERR_CONFIG, "no path inside");
}

/* What the work tree says does not matter, nor what came later. */
static void test_is_of_its_commit(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	const char *data;
	size_t len;

	fixture_write(&env->fx, "work/clusters/shop/cluster.yaml", "version: 2\n");
	free(fixture_commit(&env->fx, "work", "second"));
	fixture_write(&env->fx, "work/clusters/shop/cluster.yaml", "version: 3\n");
	open_at(env, "HEAD~1");
	assert_int_equal(source_read(env->src, "clusters/shop/cluster.yaml", 100, env->pool, &data,
				     &len, &err),
			 1);
	assert_string_equal(data, "version: 1\n");
}

static void test_no_such_commit(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	AUTO_FREE char *path = fixture_path(&env->fx, "work");
	AUTO_FREE char *tree = fixture_git(&env->fx, "work", "rev-parse", "HEAD^{tree}", NULL);

	assert_ok(mirror_open(path, &env->m, &err), &err);
	assert_fails(snapshot_open(env->m, "1234567890123456789012345678901234567890", &env->src,
				   &err),
		     &err, ERR_GIT, "read commit 1234567890");
	assert_fails(snapshot_open(env->m, tree, &env->src, &err), &err, ERR_GIT, tree);
	assert_fails(snapshot_open(env->m, "main", &env->src, &err), &err, ERR_GIT, "'main'");
}

/* A commit whose tree is what the text says, in the form of a tree object. */
static void commit_raw_tree(struct env *env, const char *mode, const char *name)
{
	AUTO_FREE char *blob =
		fixture_git(&env->fx, "work", "rev-parse", "HEAD:clusters/shop/cluster.yaml", NULL);
	CLEANUP(strbuf_release) struct strbuf raw = STRBUF_INIT;
	AUTO_FREE char *tree = NULL, *commit = NULL;
	struct err err = {0};

	for (int twice = 0; twice < 2; twice++) {
		strbuf_addf(&raw, "%s %s", mode, name);
		strbuf_addch(&raw, '\0');
		for (size_t i = 0; i < 40; i += 2) {
			char byte[3] = {blob[i], blob[i + 1], '\0'};

			strbuf_addch(&raw, (char)strtol(byte, NULL, 16));
		}
	}
	assert_ok(file_replace_in(env->fx.fd, "work/raw", raw.buf, raw.len, 0644, &err), &err);
	tree = fixture_git(&env->fx, "work", "hash-object", "-t", "tree", "-w", "--literally",
			   "raw", NULL);
	commit = fixture_git(&env->fx, "work", "commit-tree", "-m", "hostile", tree, NULL);
	fixture_run(&env->fx, "work", "update-ref", "refs/heads/hostile", commit, NULL);
}

static void test_hostile_names(void **state)
{
	static const struct {
		const char *name, *error;
	} cases[] = {
		{"..", "holds an entry named '..'"},
		{".", "holds an entry named '.'"},
		{"../../etc/passwd", "holds an entry named '../../etc/passwd'"},
		{".git", "holds an entry named '.git'"},
		{"same", "holds 'same' twice"},
	};
	struct env *env = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};
		struct source_list list;

		commit_raw_tree(env, "100644", cases[i].name);
		open_at(env, "hostile");
		assert_fails(source_list(env->src, "", env->pool, &list, &err), &err, ERR_CONFIG,
			     cases[i].error);
		source_freep(&env->src);
		mirror_freep(&env->m);
	}
}

static void test_missing_object(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct source_list list;
	const char *data;
	size_t len;
	AUTO_FREE char *blob =
		fixture_git(&env->fx, "work", "rev-parse", "HEAD:clusters/shop/cluster.yaml", NULL);
	AUTO_FREE char *tree = fixture_git(&env->fx, "work", "rev-parse", "HEAD:clusters", NULL);
	AUTO_FREE char *blob_file = xasprintf("work/.git/objects/%.2s/%s", blob, blob + 2);
	AUTO_FREE char *tree_file = xasprintf("work/.git/objects/%.2s/%s", tree, tree + 2);

	assert_ok(file_remove_in(env->fx.fd, blob_file, &err), &err);
	open_at(env, "HEAD");
	assert_fails(source_read(env->src, "clusters/shop/cluster.yaml", 100, env->pool, &data,
				 &len, &err),
		     &err, ERR_GIT, "read 'clusters/shop/cluster.yaml'");
	source_freep(&env->src);
	mirror_freep(&env->m);
	assert_ok(file_remove_in(env->fx.fd, tree_file, &err), &err);
	open_at(env, "HEAD");
	assert_fails(source_list(env->src, "clusters", env->pool, &list, &err), &err, ERR_GIT,
		     "read 'clusters'");
}

static void test_many_files(void **state)
{
	enum { FILES = 1000 };
	struct env *env = *state;
	struct err err = {0};
	struct source_list list;
	int64_t started;

	assert_int_equal(mkdirat(env->fx.fd, "work/many", 0755), 0);
	for (int i = 0; i < FILES; i++) {
		AUTO_FREE char *path = xasprintf("%s/work/many/%04d.yaml", env->fx.root, i);
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fprintf(file, "n: %d\n", i);
		fclose(file);
	}
	free(fixture_commit(&env->fx, "work", "many"));
	open_at(env, "HEAD");
	started = clock_ms();
	assert_int_equal(source_list(env->src, "many", env->pool, &list, &err), 1);
	assert_int_equal(list.n, FILES);
	for (int i = 0; i < FILES; i++) {
		AUTO_FREE char *path = xasprintf("many/%s", list.v[i].name);
		AUTO_FREE char *want = xasprintf("n: %d\n", i);
		const char *data;
		size_t len;

		assert_int_equal(source_read(env->src, path, 100, env->pool, &data, &len, &err), 1);
		assert_string_equal(data, want);
	}
	assert_true(clock_ms() - started < 2000);
}

static void test_too_many_entries(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct source_list list;
	CLEANUP(strbuf_release) struct strbuf lines = STRBUF_INIT;
	AUTO_FREE char *tree = NULL, *commit = NULL, *blob = NULL;

	blob = fixture_git(&env->fx, "work", "rev-parse", "HEAD:clusters/shop/cluster.yaml", NULL);
	for (int i = 0; i <= SOURCE_DIR_MAX; i++)
		strbuf_addf(&lines, "%d\n", i);
	fixture_write(&env->fx, "names", lines.buf);
	tree = fixture_git(&env->fx, "work", "-c",
			   "alias.manytree=!f() { sed \"s/.*/100644 blob $1\\t&/\" ../names | git "
			   "mktree; }; f",
			   "manytree", blob, NULL);
	commit = fixture_git(&env->fx, "work", "commit-tree", "-m", "huge", tree, NULL);
	open_at(env, commit);
	assert_fails(source_list(env->src, "", env->pool, &list, &err), &err, ERR_LIMIT,
		     "more than 10000 entries");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_of_its_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_such_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_object, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_entries, setup, teardown),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
