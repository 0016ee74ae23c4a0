#include "tests/unit/test.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "spec/source.h"
#include "tests/unit/scratch.h"

struct fixture {
	struct scratch dir;
	struct pool *pool;
	struct source *src;
	struct err err;
};

static void put(const struct fixture *f, const char *path, const char *text, mode_t mode)
{
	struct err err = {0};

	assert_int_equal(file_replace_in(f->dir.fd, path, text, strlen(text), mode, &err), 0);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = scratch_make();
	f->pool = pool_new();
	put(f, "clusters/b.yaml", "b", 0644);
	put(f, "clusters/a/run", "run", 0755);
	put(f, "clusters/A", "A", 0644);
	put(f, ".git/config", "x", 0644);
	assert_int_equal(symlinkat("b.yaml", f->dir.fd, "clusters/link"), 0);
	assert_int_equal(symlinkat("clusters", f->dir.fd, "linked"), 0);
	assert_int_equal(mkfifoat(f->dir.fd, "clusters/pipe", 0600), 0);
	f->src = source_from_dir(f->dir.path, &f->err);
	assert_non_null(f->src);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	source_free(f->src);
	pool_free(f->pool);
	scratch_release(&f->dir);
	free(f);
	return 0;
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct source_list list;

	assert_int_equal(source_list(f->src, "clusters", f->pool, &list, &f->err), 1);
	assert_int_equal(list.n, 5);
	assert_string_equal(list.v[0].name, "A");
	assert_int_equal(list.v[0].type, SOURCE_FILE);
	assert_false(list.v[0].executable);
	assert_string_equal(list.v[1].name, "a");
	assert_int_equal(list.v[1].type, SOURCE_DIR);
	assert_string_equal(list.v[2].name, "b.yaml");
	assert_string_equal(list.v[3].name, "link");
	assert_int_equal(list.v[3].type, SOURCE_SYMLINK);
	assert_string_equal(list.v[4].name, "pipe");
	assert_int_equal(list.v[4].type, SOURCE_OTHER);
	assert_int_equal(source_list(f->src, "clusters/a", f->pool, &list, &f->err), 1);
	assert_true(list.v[0].executable);
}

static void test_root_hides_git(void **state)
{
	struct fixture *f = *state;
	struct source_list list;

	assert_int_equal(source_list(f->src, "", f->pool, &list, &f->err), 1);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].name, "clusters");
	assert_string_equal(list.v[1].name, "linked");
}

static void test_what_is_not_there(void **state)
{
	static const char *const dirs[] = {"nowhere", "clusters/b.yaml", "clusters/link", "linked",
					   "linked/a"};
	static const char *const files[] = {"nowhere",       "clusters/a",    "clusters/link",
					    "linked/b.yaml", "clusters/pipe", "clusters/b.yaml/x"};
	struct fixture *f = *state;
	struct source_list list;
	const char *data;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(source_list(f->src, dirs[i], f->pool, &list, &f->err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_int_equal(source_read(f->src, files[i], 100, f->pool, &data, &len, &f->err),
				 0);
	assert_int_equal(f->err.code, ERR_NONE);
}

static void test_read(void **state)
{
	struct fixture *f = *state;
	const char *data;
	size_t len;

	assert_int_equal(source_read(f->src, "clusters/a/run", 3, f->pool, &data, &len, &f->err),
			 1);
	assert_int_equal(len, 3);
	assert_string_equal(data, "run");
	assert_int_equal(source_read(f->src, "clusters/a/run", 2, f->pool, &data, &len, &f->err),
			 -1);
	assert_int_equal(f->err.code, ERR_LIMIT);
}

static void test_paths_are_checked(void **state)
{
	static const char *const bad[] = {"/etc/passwd", "../x",      "clusters/../x",
					  "clusters/..", ".",         "clusters/.",
					  "clusters//a", "clusters/", "./clusters"};
	struct fixture *f = *state;
	struct source_list list;
	const char *data;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(source_list(f->src, bad[i], f->pool, &list, &f->err), -1);
		assert_int_equal(source_read(f->src, bad[i], 10, f->pool, &data, &len, &f->err),
				 -1);
		assert_int_equal(f->err.code, ERR_CONFIG);
	}
	assert_int_equal(source_read(f->src, "", 10, f->pool, &data, &len, &f->err), -1);
}

static void test_too_many_entries(void **state)
{
	struct fixture *f = *state;
	struct source_list list;
	char name[32];

	assert_int_equal(mkdirat(f->dir.fd, "many", 0755), 0);
	for (int i = 0; i <= SOURCE_DIR_MAX; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		close(openat(f->dir.fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	}
	assert_int_equal(source_list(f->src, "many", f->pool, &list, &f->err), -1);
	assert_int_equal(f->err.code, ERR_LIMIT);
}

static void test_no_folder(void **state)
{
	struct fixture *f = *state;

	assert_null(source_from_dir("/tmp/dynia-source-that-is-not-there", &f->err));
	assert_int_equal(f->err.code, ERR_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_root_hides_git, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_folder, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
