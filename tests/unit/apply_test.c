#include "reconciler/apply.h"

#include <jansson.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define OID "0123456789abcdef0123456789abcdef01234567"
#define SITE "/opt/dynia/sites/docs"

/* A node's folder and what is on it; each step() applies another set of files. */
struct fixture {
	struct scratch dir;
	struct root root;
	struct index now;
	struct pool *pool;
};

struct wanted {
	const char *path;
	const char *data;
};

static struct fixture fixture_make(void)
{
	struct fixture fx = {.dir = scratch_make(), .pool = pool_new()};

	fx.root = (struct root) {.fd = fx.dir.fd, .path = pool_strdup(fx.pool, fx.dir.path)};
	index_init(&fx.now);
	return fx;
}

static void fixture_release(struct fixture *fx)
{
	index_release(&fx->now);
	scratch_release(&fx->dir);
	pool_free(fx->pool);
}

static void ignore_action(const struct action *action)
{
	(void)action;
}

static const struct watch no_programs = {.at = {.runtime = RUNTIME_PROCESS}};

/* To these files, as a pass does it: look, plan, apply. `extra` is one more action, or NULL. */
static int step_with(struct fixture *fx, const struct wanted *files, const struct action *extra,
		     const struct watch *watch, size_t *ret_actions, struct err *err)
{
	CLEANUP(fileset_release) struct fileset set;
	CLEANUP(index_release) struct index want;
	CLEANUP(causes_release) struct causes causes = CAUSES_INIT(fx->pool);
	CLEANUP(plan_release) struct plan plan = PLAN_INIT(fx->pool);
	bool refreshed = false;

	fileset_init(&set, fx->pool);
	index_init(&want);
	for (const struct wanted *f = files; f->path; f++) {
		const struct out_file file = {.path = f->path,
					      .data = f->data,
					      .len = strlen(f->data),
					      .mode = 0644,
					      .program = PROGRAM_SITE};

		fileset_add(&set, &file);
	}
	assert_int_equal(fileset_finish(&set, err), 0);
	index_from_fileset(&want, &set);
	memcpy(want.revision, OID, sizeof(OID));
	want.generation = fx->now.generation + 1;
	causes_add(&causes, NULL, false, "test");
	if (index_verify(&fx->root, &fx->now, &refreshed, err) < 0)
		return -1;
	plan_files(&plan, &fx->now, &set, &want, &causes, NULL);
	if (extra)
		plan_add(&plan, extra);
	if (ret_actions)
		*ret_actions = plan.n;
	const struct apply how = {.root = &fx->root,
				  .plan = &plan,
				  .now = &fx->now,
				  .want = &want,
				  .watch = watch,
				  .progress = ignore_action};
	if (apply_plan(&how, err) < 0)
		return -1;
	index_release(&fx->now);
	fx->now = want;
	index_init(&want);
	return 0;
}

static int step(struct fixture *fx, const struct wanted *files, struct err *err)
{
	return step_with(fx, files, NULL, &no_programs, NULL, err);
}

static void step_ok(struct fixture *fx, const struct wanted *files)
{
	struct err err = {0};

	if (step(fx, files, &err) < 0)
		fail_msg("%s", err.msg);
}

static bool is_there(const struct fixture *fx, const char *path)
{
	struct err err = {0};

	return file_stat_in(fx->root.fd, path, NULL, &err) > 0;
}

static void assert_content(const struct fixture *fx, const char *path, const char *want)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err err = {0};

	if (file_read_in(fx->root.fd, path, 4096, &text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text.buf, want);
}

/* The index on disk is that of these files, and a second step has nothing to do. */
static void assert_settled(struct fixture *fx, const struct wanted *files)
{
	CLEANUP(index_release) struct index read;
	struct err err = {0};
	size_t n;

	index_init(&read);
	assert_int_equal(index_read(&fx->root, PATH_INDEX, &read, &err), 1);
	assert_int_equal(read.n, fx->now.n);
	for (const struct wanted *f = files; f->path; f++) {
		assert_content(fx, f->path, f->data);
		assert_non_null(index_find(&read, f->path));
		assert_int_not_equal(index_find(&read, f->path)->inode, 0);
	}
	assert_false(is_there(fx, PATH_JOURNAL));
	assert_int_equal(step_with(fx, files, NULL, &no_programs, &n, &err), 0);
	assert_int_equal(n, 0);
}

static const struct wanted one[] = {{SITE "/a", "1"}, {SITE "/sub/b", "1"}, {0}};
static const struct wanted none[] = {{0}};

static void put(const struct fixture *fx, const char *path, const char *text)
{
	struct err err = {0};

	if (file_replace_in(fx->root.fd, path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static void remove_tree(const struct fixture *fx, const char *path)
{
	struct err err = {0};

	if (file_remove_tree_in(fx->root.fd, path, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_create_update_remove(void **unused)
{
	static const struct wanted two[] = {{SITE "/a", "2"}, {SITE "/new/c", "1"}, {0}};
	CLEANUP(fixture_release) struct fixture fx = fixture_make();

	(void)unused;
	step_ok(&fx, one);
	assert_settled(&fx, one);
	step_ok(&fx, two);
	assert_settled(&fx, two);
	assert_false(is_there(&fx, SITE "/sub"));
	step_ok(&fx, none);
	assert_settled(&fx, none);
	assert_false(is_there(&fx, SITE));
	assert_true(is_there(&fx, "/opt/dynia/sites"));
}

/* Legal in a repository from one commit to the next. */
static void test_a_file_becomes_a_folder_and_back(void **unused)
{
	static const struct wanted file[] = {{SITE "/x", "file"}, {0}};
	static const struct wanted folder[] = {{SITE "/x/y/z", "deep"}, {0}};
	CLEANUP(fixture_release) struct fixture fx = fixture_make();

	(void)unused;
	step_ok(&fx, file);
	step_ok(&fx, folder);
	assert_settled(&fx, folder);
	step_ok(&fx, file);
	assert_settled(&fx, file);
}

static void test_drift(void **unused)
{
	CLEANUP(fixture_release) struct fixture fx = fixture_make();

	(void)unused;
	step_ok(&fx, one);
	put(&fx, SITE "/a", "edited");
	remove_tree(&fx, SITE "/sub");
	step_ok(&fx, one);
	assert_settled(&fx, one);
	/* a folder in the place of a file, with something in it */
	remove_tree(&fx, SITE "/a");
	put(&fx, SITE "/a/deep/file", "x");
	step_ok(&fx, one);
	assert_settled(&fx, one);
	/* a file in the place of a folder */
	remove_tree(&fx, SITE);
	put(&fx, SITE, "x");
	step_ok(&fx, one);
	assert_settled(&fx, one);
	/* a link in the place of a folder that leads round in a circle */
	remove_tree(&fx, SITE "/sub");
	assert_int_equal(symlinkat("sub", fx.root.fd, &(SITE "/sub")[1]), 0);
	step_ok(&fx, one);
	assert_settled(&fx, one);
}

static void test_a_folder_stands_where_a_changed_file_comes(void **unused)
{
	static const struct wanted two[] = {{SITE "/a", "2"}, {0}};
	CLEANUP(fixture_release) struct fixture fx = fixture_make();

	(void)unused;
	step_ok(&fx, one);
	remove_tree(&fx, SITE "/a");
	put(&fx, SITE "/a/file", "x");
	step_ok(&fx, two);
	assert_settled(&fx, two);
}

/* What somebody put in the place of a file that goes is not ours to remove. */
static void test_a_folder_stands_where_a_file_goes(void **unused)
{
	CLEANUP(fixture_release) struct fixture fx = fixture_make();

	(void)unused;
	step_ok(&fx, one);
	remove_tree(&fx, SITE "/a");
	put(&fx, SITE "/a/theirs", "x");
	step_ok(&fx, none);
	assert_settled(&fx, none);
	assert_content(&fx, SITE "/a/theirs", "x");
}

/* What is in a folder that Dynia has nothing in stays as it is: the message names it. */
static void test_a_foreign_folder_is_kept(void **unused)
{
	CLEANUP(fixture_release) struct fixture fx = fixture_make();
	struct err err = {0};

	(void)unused;
	put(&fx, SITE "/a/theirs", "x");
	assert_int_equal(step(&fx, one, &err), -1);
	assert_int_equal(err.code, ERR_APPLY);
	assert_non_null(strstr(err.msg, SITE "/a"));
	assert_content(&fx, SITE "/a/theirs", "x");
}

/* Folders of the path that are links out of the root: nothing is written, changed or removed there.
 */
static void test_links_out_of_the_root(void **unused)
{
	static const char *const links[] = {"opt/dynia/sites/docs",
					    "opt/dynia/sites",
					    "opt/dynia",
					    "opt",
					    "var/lib/dynia",
					    "var"};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		CLEANUP(fixture_release) struct fixture fx = fixture_make();
		CLEANUP(fixture_release) struct fixture outside = fixture_make();
		struct err err = {0};
		struct stat before, after;

		put(&outside, "/a", "theirs");
		put(&outside, "/sub/b", "theirs");
		put(&outside, "/index", "theirs");
		step_ok(&fx, one);
		remove_tree(&fx, links[i]);
		assert_int_equal(symlinkat(outside.dir.path, fx.root.fd, links[i]), 0);
		assert_int_equal(fstat(outside.root.fd, &before), 0);
		/* It may fail or find its way inside the root. */
		(void)step(&fx, one, &err);
		(void)step(&fx, none, &err);
		assert_int_equal(fstat(outside.root.fd, &after), 0);
		assert_content(&outside, "/a", "theirs");
		assert_content(&outside, "/sub/b", "theirs");
		assert_content(&outside, "/index", "theirs");
		assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
		assert_false(is_there(&outside, "/dynia"));
		assert_false(is_there(&outside, "/lib"));
	}
}

/* A planted link in the place of the file, or of its temporary name, is replaced, not followed. */
static void test_links_in_the_place_of_files(void **unused)
{
	CLEANUP(fixture_release) struct fixture fx = fixture_make();
	CLEANUP(fixture_release) struct fixture outside = fixture_make();
	const char *target = pool_printf(fx.pool, "%s/target", outside.dir.path);

	(void)unused;
	put(&outside, "/target", "theirs");
	step_ok(&fx, one);
	remove_tree(&fx, SITE "/a");
	assert_int_equal(symlinkat(target, fx.root.fd, &(SITE "/a")[1]), 0);
	assert_int_equal(symlinkat(target, fx.root.fd, &(SITE "/.a.dynia-tmp")[1]), 0);
	step_ok(&fx, one);
	assert_settled(&fx, one);
	assert_content(&outside, "/target", "theirs");
	assert_false(is_there(&fx, SITE "/.a.dynia-tmp"));
}

/* Where the contents cannot even be staged, nothing has changed, and there is no journal. */
static void test_staging_fails(void **unused)
{
	static const struct wanted two[] = {{SITE "/a", "2"}, {"/opt/other/b", "1"}, {0}};
	CLEANUP(fixture_release) struct fixture fx = fixture_make();
	struct err err = {0};

	(void)unused;
	step_ok(&fx, one);
	put(&fx, "/opt/other", "a file of somebody");
	assert_int_equal(step(&fx, two, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_non_null(strstr(err.msg, "/opt/other"));
	assert_content(&fx, SITE "/a", "1");
	assert_content(&fx, SITE "/sub/b", "1");
	assert_false(is_there(&fx, PATH_JOURNAL));
	assert_false(is_there(&fx, SITE "/.a.dynia-tmp"));
	assert_settled(&fx, one);
}

static void test_the_journal_cannot_be_written(void **unused)
{
	static const struct wanted two[] = {{SITE "/a", "2"}, {0}};
	CLEANUP(fixture_release) struct fixture fx = fixture_make();
	struct err err = {0};

	(void)unused;
	step_ok(&fx, one);
	put(&fx, PATH_JOURNAL "/file", "x");
	assert_int_equal(step(&fx, two, &err), -1);
	assert_non_null(strstr(err.msg, "write the journal"));
	assert_content(&fx, SITE "/a", "1");
	assert_content(&fx, SITE "/sub/b", "1");
}

/* A program that does not start: the files are there, the journal says so, the old index stays. */
static void test_a_program_fails(void **unused)
{
	static const struct wanted two[] = {{SITE "/a", "2"}, {0}};
	CLEANUP(fixture_release) struct fixture fx = fixture_make();
	CLEANUP(index_release) struct index journal;
	const struct watch watch = {
		.at = {.runtime = RUNTIME_PROCESS,
		       .caddy_file = "/nonexistent/Caddyfile",
		       .caddy_socket = "/nonexistent/caddy.sock",
		       .caddy_data = fx.dir.path,
		       .caddy_health = "http://127.0.0.1:1/"},
	};
	const char *because[] = {"test"};
	const struct action start = {.kind = ACTION_START,
				     .program = PROGRAM_CADDY,
				     .what = "caddy",
				     .because = because,
				     .n_because = 1,
				     .ops = &runtime_process,
				     .at = &watch.at};
	struct err err = {0};

	(void)unused;
	index_init(&journal);
	step_ok(&fx, one);
	assert_int_equal(step_with(&fx, two, &start, &watch, NULL, &err), -1);
	assert_int_equal(err.code, ERR_APPLY);
	assert_content(&fx, SITE "/a", "2");
	assert_int_equal(index_read(&fx.root, PATH_JOURNAL, &journal, &err), 1);
	assert_int_equal(journal.n, 1);
	assert_string_equal(journal.revision, OID);
	assert_int_equal(index_read(&fx.root, PATH_INDEX, &fx.now, &err), 1);
	assert_non_null(index_find(&fx.now, SITE "/sub/b"));
}

/* --- generations --------------------------------------------------------------------- */

/* The last good generation, which is kept however old it is. */
#define GOOD 2

static void record(const struct fixture *fx, int64_t n)
{
	CLEANUP(plan_release) struct plan plan = PLAN_INIT(fx->pool);
	const char *because[] = {"one", "two"};
	const struct action action = {.kind = ACTION_UPDATE,
				      .what = "/a",
				      .because = because,
				      .n_because = 2};
	struct err err = {0};

	plan_add(&plan, &action);
	if (generation_record(&fx->root, n, OID, 1700000000, &plan, GOOD, &err) < 0)
		fail_msg("%s", err.msg);
}

static bool has_generation(const struct fixture *fx, int n)
{
	return is_there(fx, pool_printf(fx->pool, "%s/%d.json", PATH_GENERATIONS, n));
}

static void test_generations_are_pruned(void **unused)
{
	CLEANUP(fixture_release) struct fixture fx = fixture_make();

	(void)unused;
	put(&fx, PATH_GENERATIONS "/0.json", "");
	put(&fx, PATH_GENERATIONS "/1.txt", "");
	put(&fx, PATH_GENERATIONS "/-3.json", "");
	put(&fx, PATH_GENERATIONS "/notes", "");
	for (int i = 1; i <= GENERATIONS_KEEP + 3; i++)
		record(&fx, i);
	for (int i = 1; i <= GENERATIONS_KEEP + 3; i++)
		assert_true(has_generation(&fx, i) == (i > 3 || i == GOOD));
	assert_true(is_there(&fx, PATH_GENERATIONS "/0.json"));
	assert_true(is_there(&fx, PATH_GENERATIONS "/1.txt"));
	assert_true(is_there(&fx, PATH_GENERATIONS "/-3.json"));
	assert_true(is_there(&fx, PATH_GENERATIONS "/notes"));
}

static void test_what_a_generation_says(void **unused)
{
	CLEANUP(fixture_release) struct fixture fx = fixture_make();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err err = {0};
	const json_t *change;
	json_t *object;

	(void)unused;
	record(&fx, 5);
	assert_int_equal(file_read_in(fx.root.fd, PATH_GENERATIONS "/5.json", 4096, &text, &err),
			 0);
	object = json_loads(text.buf, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(object, "generation")), 5);
	assert_string_equal(json_string_value(json_object_get(object, "revision")), OID);
	assert_string_equal(json_string_value(json_object_get(object, "at")),
			    "2023-11-14T22:13:20Z");
	change = json_array_get(json_object_get(object, "changes"), 0);
	assert_string_equal(json_string_value(json_object_get(change, "because")),
			    "one (and 1 more)");
	json_decref(object);
}

static void test_a_generation_cannot_be_written(void **unused)
{
	CLEANUP(fixture_release) struct fixture fx = fixture_make();
	struct plan plan = PLAN_INIT(fx.pool);
	struct err err = {0};

	(void)unused;
	put(&fx, PATH_GENERATIONS, "a file");
	assert_int_equal(generation_record(&fx.root, 1, OID, 0, &plan, 0, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_update_remove),
		cmocka_unit_test(test_a_file_becomes_a_folder_and_back),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_a_folder_stands_where_a_changed_file_comes),
		cmocka_unit_test(test_a_folder_stands_where_a_file_goes),
		cmocka_unit_test(test_a_foreign_folder_is_kept),
		cmocka_unit_test(test_links_out_of_the_root),
		cmocka_unit_test(test_links_in_the_place_of_files),
		cmocka_unit_test(test_staging_fails),
		cmocka_unit_test(test_the_journal_cannot_be_written),
		cmocka_unit_test(test_a_program_fails),
		cmocka_unit_test(test_generations_are_pruned),
		cmocka_unit_test(test_what_a_generation_says),
		cmocka_unit_test(test_a_generation_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
