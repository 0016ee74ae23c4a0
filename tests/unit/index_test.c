#include "reconciler/index.h"

#include <sys/stat.h>

#include "base/cleanup.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define SHA_X "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" /* "x" */
#define OID "0123456789abcdef0123456789abcdef01234567"

static struct root root_of(const struct scratch *dir)
{
	return (struct root) {.fd = dir->fd, .path = (char *)dir->path};
}

static void put(const struct root *root, const char *path, const char *text)
{
	struct err err = {0};

	if (file_replace_in(root->fd, path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct index_entry entry_of(const char *path)
{
	return (struct index_entry) {.path = path,
				     .mode = 0644,
				     .sha256 = SHA_X,
				     .program = PROGRAM_CADDY};
}

static void test_written_and_read_back(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(index_release) struct index out, in;
	struct root root = root_of(&dir);
	struct err err = {0};
	struct index_entry e = entry_of("/opt/b with blank");

	(void)unused;
	index_init(&out);
	index_init(&in);
	memcpy(out.revision, OID, sizeof(OID));
	out.generation = 12;
	e.service = "api";
	e.size = 1;
	e.inode = UINT64_C(1) << 40;
	e.mtime_ns = 1700000000123456789;
	e.ctime_ns = -1;
	index_add(&out, &e);
	e = (struct index_entry) {.path = "/opt/a", .mode = 0600};
	index_add(&out, &e);
	index_sort(&out);
	assert_int_equal(index_write(&root, PATH_INDEX, &out, &err), 0);
	assert_int_equal(index_read(&root, PATH_INDEX, &in, &err), 1);
	assert_string_equal(in.revision, OID);
	assert_int_equal(in.generation, 12);
	assert_int_equal(in.n, 2);
	assert_string_equal(in.v[0].path, "/opt/a");
	assert_string_equal(in.v[0].sha256, "");
	assert_null(in.v[0].service);
	assert_string_equal(in.v[1].path, "/opt/b with blank");
	assert_string_equal(in.v[1].sha256, SHA_X);
	assert_string_equal(in.v[1].service, "api");
	assert_int_equal(in.v[1].inode, UINT64_C(1) << 40);
	assert_int_equal(in.v[1].mtime_ns, 1700000000123456789);
	assert_int_equal(in.v[1].ctime_ns, -1);
	assert_ptr_equal(index_find(&in, "/opt/a"), &in.v[0]);
	assert_null(index_find(&in, "/opt/c"));
	assert_true(index_has_program(&in, PROGRAM_CADDY));
	assert_false(index_has_program(&in, PROGRAM_HAPROXY));
}

/* Every prefix of a good file is refused as damaged, never taken for a shorter index. */
static void test_truncated(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(index_release) struct index out;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct root root = root_of(&dir);
	struct err err = {0};
	struct index_entry e = entry_of("/opt/a");

	(void)unused;
	index_init(&out);
	index_add(&out, &e);
	assert_int_equal(index_write(&root, PATH_INDEX, &out, &err), 0);
	assert_int_equal(file_read_in(root.fd, PATH_INDEX, 4096, &text, &err), 0);
	for (size_t len = 0; len < text.len; len++) {
		CLEANUP(index_release) struct index in;

		index_init(&in);
		assert_int_equal(file_replace_in(root.fd, PATH_INDEX, text.buf, len, 0600, &err),
				 0);
		err_clear(&err);
		assert_int_equal(index_read(&root, PATH_INDEX, &in, &err), -1);
		assert_int_equal(err.code, ERR_SYSTEM);
	}
}

static void test_damaged(void **unused)
{
	static const char *const damaged[] = {
		"",
		"dynia-index 2\nend\n",
		"dynia-index 1\nfile\nend\n",
		"dynia-index 1\nfile 0644\nend\n",
		"dynia-index 1\nfile 9999 - 1 1 1 1 1 - /a\nend\n",
		"dynia-index 1\nfile 0644 abc 1 1 1 1 1 - /a\nend\n",
		"dynia-index 1\nfile 0644 - 1 1 1 1 - - /a\nend\n",
		"dynia-index 1\nfile 0644 - 1 1 1 99999999999999999999 1 - /a\nend\n",
		"dynia-index 1\nfile 0644 - 1 1 1 1 99 - /a\nend\n",
		"dynia-index 1\nfile 0644 - 1 1 1 1 -1 - /a\nend\n",
		"dynia-index 1\nfile 0644 - 1 1 1 1 1 - a\nend\n",
		"dynia-index 1\nfile 0644 - 1 1 1 1 1 -\nend\n",
		"dynia-index 1\nfile 0644 - 1 1 1 1 1 - \nend\n",
		"dynia-index 1\ngeneration x\nend\n",
		"dynia-index 1\nrevision\nend\n",
		"dynia-index 1\nwhat is this\nend\n",
		"dynia-index 1\n\nend\n",
	};
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		CLEANUP(index_release) struct index in;
		struct err err = {0};

		index_init(&in);
		put(&root, PATH_INDEX, damaged[i]);
		if (index_read(&root, PATH_INDEX, &in, &err) != -1)
			fail_msg("taken for good: %s", damaged[i]);
		assert_int_equal(err.code, ERR_SYSTEM);
	}
}

static void test_not_there_and_no_file(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(index_release) struct index in;
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	index_init(&in);
	assert_int_equal(index_read(&root, PATH_INDEX, &in, &err), 0);
	assert_int_equal(file_mkdirs_in(root.fd, PATH_INDEX, 0755, &err), 0);
	assert_int_equal(index_read(&root, PATH_INDEX, &in, &err), -1);
}

static void recorded(const struct root *root, struct index *index, const char *path)
{
	struct err err = {0};
	struct index_entry e = entry_of(path);

	put(root, path, "x");
	index_add(index, &e);
	if (index_stat(root, &index->v[index->n - 1], &err) < 0)
		fail_msg("%s", err.msg);
}

static enum drift look(const struct root *root, struct index *index, bool *refreshed)
{
	struct err err = {0};

	*refreshed = false;
	if (index_verify(root, index, refreshed, &err) < 0)
		fail_msg("%s", err.msg);
	return index->v[0].drift;
}

static void test_drift(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(index_release) struct index index;
	struct root root = root_of(&dir);
	struct err err = {0};
	bool refreshed;

	(void)unused;
	index_init(&index);
	recorded(&root, &index, "/opt/d/a");
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_NONE);
	assert_false(refreshed);
	/* The same content under another inode is no drift, and is recorded. */
	put(&root, "/opt/d/a", "x");
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_NONE);
	assert_true(refreshed);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_NONE);
	assert_false(refreshed);
	put(&root, "/opt/d/a", "y");
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_EDITED);
	put(&root, "/opt/d/a", "x");
	assert_int_equal(fchmodat(root.fd, "opt/d/a", 0666, 0), 0);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_EDITED);
	assert_int_equal(file_remove_in(root.fd, "/opt/d/a", &err), 0);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_MISSING);
	assert_int_equal(symlinkat("/etc/passwd", root.fd, "opt/d/a"), 0);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_EDITED);
	assert_int_equal(file_remove_in(root.fd, "/opt/d/a", &err), 0);
	assert_int_equal(mkfifoat(root.fd, "opt/d/a", 0644), 0);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_EDITED);
	assert_int_equal(file_remove_in(root.fd, "/opt/d/a", &err), 0);
	assert_int_equal(mkdirat(root.fd, "opt/d/a", 0755), 0);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_EDITED);
}

/* What stands in the way of the file is drift as well, and no reason to stop looking. */
static void test_drift_in_the_way(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(index_release) struct index index;
	struct root root = root_of(&dir);
	struct err err = {0};
	bool refreshed;

	(void)unused;
	index_init(&index);
	recorded(&root, &index, "/opt/d/a");
	assert_int_equal(file_remove_tree_in(root.fd, "/opt/d", &err), 0);
	put(&root, "/opt/d", "a file");
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_MISSING);
	assert_int_equal(file_remove_in(root.fd, "/opt/d", &err), 0);
	assert_int_equal(symlinkat("d", root.fd, "opt/d"), 0);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_MISSING);
}

/* A file that is reached through a link out of the root is another file. */
static void test_a_link_out_of_the_root(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(scratch_release) struct scratch outside = scratch_make();
	CLEANUP(index_release) struct index index;
	struct root root = root_of(&dir);
	struct root other = root_of(&outside);
	struct err err = {0};
	bool refreshed;

	(void)unused;
	index_init(&index);
	recorded(&root, &index, "/opt/d/a");
	assert_int_equal(file_remove_tree_in(root.fd, "/opt/d", &err), 0);
	put(&other, "/a", "x");
	assert_int_equal(symlinkat(outside.path, root.fd, "opt/d"), 0);
	assert_int_equal(look(&root, &index, &refreshed), DRIFT_MISSING);
}

static void test_carry_over(void **unused)
{
	CLEANUP(index_release) struct index now, want;
	struct index_entry e = entry_of("/a");

	(void)unused;
	index_init(&now);
	index_init(&want);
	index_add(&want, &e);
	e.inode = 7;
	e.size = 1;
	index_add(&now, &e);
	assert_true(index_carry_over(&want, &now));
	assert_int_equal(want.v[0].inode, 7);
	want.v[0].inode = 0;
	now.v[0].drift = DRIFT_EDITED;
	assert_false(index_carry_over(&want, &now));
	assert_int_equal(want.v[0].inode, 0);
	now.v[0].drift = DRIFT_NONE;
	want.v[0].mode = 0600;
	assert_false(index_carry_over(&want, &now));
	index_release(&now);
	index_init(&now);
	assert_false(index_carry_over(&want, &now));
}

static void test_stat_of_a_file_that_has_gone(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);
	struct index_entry e = entry_of("/opt/a");
	struct err err = {0};

	(void)unused;
	assert_int_equal(index_stat(&root, &e, &err), -1);
	/* Not the commit's fault: it may be tried again. */
	assert_int_equal(err.code, ERR_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_and_read_back),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_not_there_and_no_file),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_drift_in_the_way),
		cmocka_unit_test(test_a_link_out_of_the_root),
		cmocka_unit_test(test_carry_over),
		cmocka_unit_test(test_stat_of_a_file_that_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
