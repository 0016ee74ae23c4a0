#include "tests/unit/git_fixture.h"

#include <sys/resource.h>

#include "base/pool.h"
#include "gitsync/mirror.h"

static int setup(void **state)
{
	struct fixture *fx = xcalloc(1, sizeof(*fx));

	fixture_init(fx);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	fixture_release(*state);
	free(*state);
	return 0;
}

static void test_create_new_and_again(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *path = fixture_path(fx, "repo.git");
	struct stat st;
	bool replaced = true;

	for (int i = 0; i < 2; i++) {
		CLEANUP(mirror_freep) struct mirror *m = NULL;

		assert_ok(mirror_create(path, &m, &replaced, &err), &err);
		assert_false(replaced);
		assert_null(mirror_workdir(m));
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_false(fixture_has(fx, "repo.git/hooks/pre-commit.sample"));
	assert_false(fixture_has(fx, "repo.git.broken"));
}

static void test_create_in_empty_folder(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *path = fixture_path(fx, "repo.git/");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	bool replaced = true;

	assert_int_equal(mkdirat(fx->fd, "repo.git", 0700), 0);
	assert_ok(mirror_create(path, &m, &replaced, &err), &err);
	assert_false(replaced);
}

static void test_create_without_parent(void **state)
{
	struct err err = {0};
	AUTO_FREE char *path = fixture_path(*state, "no/such/repo.git");
	struct mirror *m;

	assert_fails(mirror_create(path, &m, NULL, &err), &err, ERR_SYSTEM, "no/such/repo.git");
}

/* A bare clone of a work tree with one commit, as the mirror. */
static char *make_mirror(struct fixture *fx)
{
	char *oid = fixture_work(fx);

	fixture_run(fx, ".", "clone", "-q", "--bare", "work", "repo.git", NULL);
	return oid;
}

static void test_sound_mirror_is_kept(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *oid = make_mirror(fx);
	AUTO_FREE char *path = fixture_path(fx, "repo.git");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	bool replaced = true;
	char got[GIT_OID_HEX];

	fixture_write(fx, "repo.git/refs/heads/main.lock", "");
	fixture_write(fx, "repo.git/objects/pack/pack_git2_x1y2z3", "half a pack");
	assert_ok(mirror_create(path, &m, &replaced, &err), &err);
	assert_false(replaced);
	assert_ok(mirror_resolve(m, "refs/heads/main", got, &err), &err);
	assert_string_equal(got, oid);
	assert_false(fixture_has(fx, "repo.git/refs/heads/main.lock"));
	assert_false(fixture_has(fx, "repo.git/objects/pack/pack_git2_x1y2z3"));
}

static void damage_head(struct fixture *fx, const char *oid)
{
	(void)oid;
	fixture_write(fx, "repo.git/HEAD", "garbage\n");
}

static void damage_config(struct fixture *fx, const char *oid)
{
	(void)oid;
	fixture_write(fx, "repo.git/config", "[core\nbare");
}

static void damage_ref(struct fixture *fx, const char *oid)
{
	(void)oid;
	fixture_write(fx, "repo.git/refs/heads/main", "");
}

static void damage_dangling(struct fixture *fx, const char *oid)
{
	(void)oid;
	fixture_write(fx, "repo.git/refs/heads/main", "1234567890123456789012345678901234567890\n");
}

static void damage_object(struct fixture *fx, const char *oid)
{
	AUTO_FREE char *path = xasprintf("repo.git/objects/%.2s/%s", oid, oid + 2);

	assert_true(fixture_has(fx, path));
	fixture_write(fx, path, "this is no zlib stream");
}

static void damage_folder(struct fixture *fx, const char *oid)
{
	struct err err = {0};

	(void)oid;
	assert_ok(file_remove_tree_in(fx->fd, "repo.git", &err), &err);
	fixture_write(fx, "repo.git", "a file");
}

static void damage_objects(struct fixture *fx, const char *oid)
{
	struct err err = {0};

	(void)oid;
	assert_ok(file_remove_tree_in(fx->fd, "repo.git/objects", &err), &err);
}

static void test_damaged_mirror_is_replaced(void **state)
{
	static void (*const damages[])(struct fixture *, const char *) = {
		damage_head,   damage_config, damage_ref,     damage_dangling,
		damage_object, damage_folder, damage_objects,
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct fixture fx;
		struct err err = {0};
		CLEANUP(mirror_freep) struct mirror *m = NULL;
		AUTO_FREE char *oid = NULL, *path = NULL;
		bool replaced = false;
		char got[GIT_OID_HEX];

		fixture_init(&fx);
		oid = make_mirror(&fx);
		path = fixture_path(&fx, "repo.git");
		fixture_write(&fx, "repo.git.broken/old", "of the time before");
		damages[i](&fx, oid);
		assert_ok(mirror_create(path, &m, &replaced, &err), &err);
		if (!replaced)
			fail_msg("damage %zu was not found", i);
		assert_true(fixture_has(&fx, "repo.git.broken"));
		assert_false(fixture_has(&fx, "repo.git.broken/old"));
		assert_fails(mirror_resolve(m, "main", got, &err), &err, ERR_GIT, "no revision");
		fixture_release(&fx);
	}
}

/* A process that runs out of descriptors must not throw its mirror away. */
static void test_no_descriptors_is_no_damage(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *oid = make_mirror(fx);
	AUTO_FREE char *path = fixture_path(fx, "repo.git");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	struct rlimit old, few;
	char got[GIT_OID_HEX];
	int failures = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t more = 0; more < 64 && !m; more++) {
		int rc, next = dup(fx->fd);

		close(next);
		few = (struct rlimit) {.rlim_cur = (rlim_t)next + more, .rlim_max = old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		rc = mirror_create(path, &m, NULL, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(rc == 0 || more < 63);
		failures += rc < 0;
	}
	assert_true(failures > 2);
	mirror_freep(&m);
	assert_false(fixture_has(fx, "repo.git.broken"));
	assert_ok(mirror_create(path, &m, NULL, &err), &err);
	assert_ok(mirror_resolve(m, "main", got, &err), &err);
	assert_string_equal(got, oid);
}

static void test_open_work_tree(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *oid = fixture_work(fx);
	AUTO_FREE char *below = fixture_path(fx, "work/clusters/shop");
	AUTO_FREE char *root = fixture_path(fx, "work");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	char got[GIT_OID_HEX];

	assert_ok(mirror_open(below, &m, &err), &err);
	assert_string_equal(mirror_workdir(m), root);
	assert_ok(mirror_resolve(m, "HEAD", got, &err), &err);
	assert_string_equal(got, oid);
}

static void test_open_other_owners(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *oid = fixture_work(fx);
	AUTO_FREE char *path = fixture_path(fx, "work");
	AUTO_FREE char *git_dir = fixture_path(fx, "work/.git");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	char got[GIT_OID_HEX];

	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_int_equal(chown(git_dir, 12345, 12345), 0);
	}
	assert_ok(mirror_open(path, &m, &err), &err);
	assert_ok(mirror_resolve(m, "HEAD", got, &err), &err);
	assert_string_equal(got, oid);
}

static void test_open_nothing(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	struct mirror *m;
	AUTO_FREE char *missing = fixture_path(fx, "missing");

	assert_fails(mirror_open(fx->root, &m, &err), &err, ERR_GIT, "is in no git repository");
	assert_fails(mirror_open(missing, &m, &err), &err, ERR_GIT, "missing");
}

static void test_resolve(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *first = fixture_work(fx);
	AUTO_FREE char *second = fixture_commit(fx, "work", "second");
	AUTO_FREE char *path = fixture_path(fx, "work");
	AUTO_FREE char *prefix = xstrndup(second, 12);
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	const char *good[] = {"HEAD", "main", "refs/heads/main", "v1", second, prefix};
	char got[GIT_OID_HEX];

	fixture_run(fx, "work", "tag", "-a", "-m", "a tag", "v1", NULL);
	fixture_run(fx, "work", "tag", "blob", "HEAD:clusters/shop/cluster.yaml", NULL);
	assert_ok(mirror_open(path, &m, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_ok(mirror_resolve(m, good[i], got, &err), &err);
		assert_string_equal(got, second);
	}
	assert_ok(mirror_resolve(m, "HEAD~1", got, &err), &err);
	assert_string_equal(got, first);
	assert_fails(mirror_resolve(m, "nope", got, &err), &err, ERR_GIT, "no revision 'nope' in");
	assert_fails(mirror_resolve(m, "HEAD~9", got, &err), &err, ERR_GIT, "no revision 'HEAD~9'");
	assert_fails(mirror_resolve(m, "a..b", got, &err), &err, ERR_GIT, "no revision");
	assert_fails(mirror_resolve(m, "HEAD^{", got, &err), &err, ERR_GIT, "no revision");
	assert_fails(mirror_resolve(m, "", got, &err), &err, ERR_GIT, "'' is no revision");
	assert_fails(mirror_resolve(m, "--all", got, &err), &err, ERR_GIT, "is no revision");
	assert_fails(mirror_resolve(m, "ma\nin", got, &err), &err, ERR_GIT, "is no revision");
	assert_fails(mirror_resolve(m, "blob", got, &err), &err, ERR_GIT, "is no commit");
}

static void test_resolve_ambiguous(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *path = fixture_path(fx, "work");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	char got[GIT_OID_HEX];

	free(fixture_work(fx));
	/* The ids of these two blobs begin with the same four digits. */
	fixture_write(fx, "work/a", "195\n");
	fixture_write(fx, "work/b", "389\n");
	free(fixture_commit(fx, "work", "two alike"));
	assert_ok(mirror_open(path, &m, &err), &err);
	assert_fails(mirror_resolve(m, "6bb2", got, &err), &err, ERR_GIT, "could be several");
}

static void test_is_ancestor(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *first = fixture_work(fx);
	AUTO_FREE char *second = fixture_commit(fx, "work", "second");
	AUTO_FREE char *other = NULL;
	AUTO_FREE char *path = fixture_path(fx, "work");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	const char *unknown = "1234567890123456789012345678901234567890";

	fixture_run(fx, "work", "checkout", "-q", "--orphan", "other", NULL);
	other = fixture_commit(fx, "work", "another root");
	assert_ok(mirror_open(path, &m, &err), &err);
	assert_int_equal(mirror_is_ancestor(m, first, second, &err), 1);
	assert_int_equal(mirror_is_ancestor(m, second, second, &err), 1);
	assert_int_equal(mirror_is_ancestor(m, second, first, &err), 0);
	assert_int_equal(mirror_is_ancestor(m, other, second, &err), 0);
	assert_int_equal(mirror_is_ancestor(m, unknown, second, &err), 0);
	assert_fails(mirror_is_ancestor(m, first, unknown, &err), &err, ERR_GIT, unknown);
	assert_fails(mirror_is_ancestor(m, "xyz", second, &err), &err, ERR_GIT, "'xyz'");
	assert_fails(mirror_is_ancestor(m, first, "xyz", &err), &err, ERR_GIT, "'xyz'");
}

static void test_commit_info(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	AUTO_FREE char *first = fixture_work(fx);
	AUTO_FREE char *hostile = NULL, *broad = NULL;
	AUTO_FREE char *path = fixture_path(fx, "work");
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_release) struct strbuf umlauts = STRBUF_INIT;
	struct commit_info info;

	/* Made by hand: git would mend a message that is no UTF-8. */
	fixture_write(fx, "work/object",
		      "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
		      "author a\033b <a@example.com> 99999999999999 +0000\n"
		      "committer C <c@example.com> 5 +0000\n\n"
		      "red \033[31m \xe2\x80\xae \xff\xc0\xaf\xed\xa0\x80 end\nbody\n");
	hostile = fixture_git(fx, "work", "hash-object", "-t", "commit", "-w", "--literally",
			      "object", NULL);
	for (int i = 0; i < 150; i++)
		strbuf_addstr(&umlauts, "\xc3\xa4");
	strbuf_addch(&umlauts, 'x');
	broad = fixture_commit(fx, "work", umlauts.buf);
	assert_ok(mirror_open(path, &m, &err), &err);
	assert_ok(mirror_commit_info(m, first, pool, &info, &err), &err);
	assert_string_equal(info.subject, "first: a cluster");
	assert_string_equal(info.author, "A U Thor");
	assert_int_equal(info.time_s, 1700000000);
	assert_ok(mirror_commit_info(m, hostile, pool, &info, &err), &err);
	assert_string_equal(info.subject, "red ?[31m ? ?????? end");
	assert_string_equal(info.author, "a?b");
	assert_int_equal(info.time_s, 253402300799);
	assert_ok(mirror_commit_info(m, broad, pool, &info, &err), &err);
	assert_int_equal(strlen(info.subject), 200);
	assert_memory_equal(info.subject, umlauts.buf, 200);
	assert_fails(mirror_commit_info(m, "HEAD", pool, &info, &err), &err, ERR_GIT, "'HEAD'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create_new_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_in_empty_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_without_parent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sound_mirror_is_kept, setup, teardown),
		cmocka_unit_test(test_damaged_mirror_is_replaced),
		cmocka_unit_test_setup_teardown(test_no_descriptors_is_no_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_work_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_other_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resolve_ambiguous, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_ancestor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_info, setup, teardown),
	};

	return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
