/* plan.c and causes.c: what is done, and that there is a reason for all of it. */
#include "reconciler/plan.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "spec/load.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

struct sides {
	struct pool *pool;
	struct fileset files;
	struct index now;
	struct index want;
	struct causes causes;
	struct plan plan;
};

static struct sides sides_make(void)
{
	struct sides s = {.pool = pool_new()};

	fileset_init(&s.files, s.pool);
	index_init(&s.now);
	index_init(&s.want);
	s.causes = (struct causes)CAUSES_INIT(s.pool);
	s.plan = (struct plan)PLAN_INIT(s.pool);
	return s;
}

static void sides_release(struct sides *s)
{
	plan_release(&s->plan);
	causes_release(&s->causes);
	fileset_release(&s->files);
	index_release(&s->now);
	index_release(&s->want);
	pool_free(s->pool);
}

static void add_now(struct sides *s, const char *path, const char *data, enum drift drift)
{
	struct index_entry e = {.path = path,
				.mode = 0644,
				.program = PROGRAM_SITE,
				.drift = drift};

	sha256_hex(data, strlen(data), e.sha256);
	index_add(&s->now, &e);
}

static void add_want(struct sides *s, const char *path, const char *data, const char *service)
{
	struct out_file file = {
		.path = pool_strdup(s->pool, path),
		.data = pool_strdup(s->pool, data),
		.len = strlen(data),
		.mode = 0644,
		.program = PROGRAM_SITE,
		.service = service,
	};

	fileset_add(&s->files, &file);
}

static void make_plan(struct sides *s, const char *unfinished)
{
	struct err err = {0};

	index_sort(&s->now);
	if (fileset_finish(&s->files, &err) < 0)
		fail_msg("%s", err.msg);
	index_from_fileset(&s->want, &s->files);
	plan_files(&s->plan, &s->now, &s->files, &s->want, &s->causes, unfinished);
}

static void assert_action(const struct sides *s, size_t i, enum action_kind kind, const char *what)
{
	assert_true(i < s->plan.n);
	assert_string_equal(s->plan.v[i].what, what);
	assert_string_equal(action_verb(s->plan.v[i].kind), action_verb(kind));
	assert_true((s->plan.v[i].file != NULL) == (kind != ACTION_REMOVE));
}

static void test_both_sides_empty(void **unused)
{
	CLEANUP(sides_release) struct sides s = sides_make();

	(void)unused;
	make_plan(&s, NULL);
	assert_int_equal(s.plan.n, 0);
	assert_null(plan_touches(&s.plan, PROGRAM_SITE));
}

static void test_one_side_empty(void **unused)
{
	CLEANUP(sides_release) struct sides new = sides_make();
	CLEANUP(sides_release) struct sides old = sides_make();

	(void)unused;
	causes_add(&new.causes, NULL, false, "because");
	add_want(&new, "/b", "1", NULL);
	add_want(&new, "/a", "1", NULL);
	make_plan(&new, NULL);
	assert_int_equal(new.plan.n, 2);
	assert_action(&new, 0, ACTION_CREATE, "/a");
	assert_action(&new, 1, ACTION_CREATE, "/b");
	assert_string_equal(new.plan.v[0].file->path, "/a");
	causes_add(&old.causes, NULL, false, "because");
	add_now(&old, "/b", "1", DRIFT_NONE);
	add_now(&old, "/a", "1", DRIFT_MISSING);
	make_plan(&old, NULL);
	assert_int_equal(old.plan.n, 2);
	assert_action(&old, 0, ACTION_REMOVE, "/a");
	assert_action(&old, 1, ACTION_REMOVE, "/b");
}

static void test_each_kind(void **unused)
{
	CLEANUP(sides_release) struct sides s = sides_make();

	(void)unused;
	causes_add(&s.causes, NULL, false, "because");
	add_now(&s, "/deleted", "1", DRIFT_MISSING);
	add_now(&s, "/edited", "1", DRIFT_EDITED);
	add_now(&s, "/edited-and-changed", "1", DRIFT_EDITED);
	add_now(&s, "/gone", "1", DRIFT_NONE);
	add_now(&s, "/same", "1", DRIFT_NONE);
	add_want(&s, "/deleted", "1", NULL);
	add_want(&s, "/edited", "1", NULL);
	add_want(&s, "/edited-and-changed", "2", NULL);
	add_want(&s, "/new", "1", NULL);
	add_want(&s, "/same", "1", NULL);
	make_plan(&s, NULL);
	assert_int_equal(s.plan.n, 5);
	assert_action(&s, 0, ACTION_RESTORE, "/deleted");
	assert_action(&s, 1, ACTION_RESTORE, "/edited");
	assert_action(&s, 2, ACTION_UPDATE, "/edited-and-changed");
	assert_action(&s, 3, ACTION_REMOVE, "/gone");
	assert_action(&s, 4, ACTION_CREATE, "/new");
	assert_true(action_is_drift(&s.plan.v[0]));
	assert_non_null(strstr(s.plan.v[0].because[0], "deleted"));
	assert_non_null(strstr(s.plan.v[1].because[0], "edited"));
	assert_false(action_is_drift(&s.plan.v[2]));
	assert_ptr_equal(plan_touches(&s.plan, PROGRAM_SITE), &s.plan.v[0]);
	assert_null(plan_touches(&s.plan, PROGRAM_CADDY));
}

static void test_after_an_unfinished_apply_it_is_no_drift(void **unused)
{
	CLEANUP(sides_release) struct sides s = sides_make();

	(void)unused;
	add_now(&s, "/a", "1", DRIFT_EDITED);
	add_want(&s, "/a", "1", NULL);
	make_plan(&s, "cut off");
	assert_action(&s, 0, ACTION_RESTORE, "/a");
	assert_string_equal(s.plan.v[0].because[0], "cut off");
	assert_false(action_is_drift(&s.plan.v[0]));
}

/* apply hands the index on and frees the old one while the plan is still being reported. */
static void test_outlives_the_index(void **unused)
{
	CLEANUP(sides_release) struct sides s = sides_make();

	(void)unused;
	causes_add(&s.causes, NULL, false, "because");
	add_now(&s, "/gone", "1", DRIFT_NONE);
	add_now(&s, "/edited", "1", DRIFT_EDITED);
	add_want(&s, "/edited", "1", NULL);
	make_plan(&s, NULL);
	index_release(&s.now);
	index_init(&s.now);
	assert_action(&s, 0, ACTION_RESTORE, "/edited");
	assert_action(&s, 1, ACTION_REMOVE, "/gone");
}

static void test_because(void **unused)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *because[] = {"one", "two", "three"};
	struct action action = {.because = because, .n_because = 1};

	(void)unused;
	assert_string_equal(action_because(pool, &action), "one");
	action.n_because = 3;
	assert_string_equal(action_because(pool, &action), "one (and 2 more)");
}

/* Over generated pairs of indexes and lists of causes: each path that differs has one action, each
 * action a cause. */
static void test_every_action_has_a_cause(void **unused)
{
	static const char *const services[] = {NULL, "api", "docs"};
	unsigned seed = 1;

	(void)unused;
	for (int round = 0; round < 2000; round++) {
		CLEANUP(sides_release) struct sides s = sides_make();
		size_t expected = 0;

		causes_add(&s.causes, services[rand_r(&seed) % 3], rand_r(&seed) % 2, "cause");
		for (int i = rand_r(&seed) % 3; i > 0; i--)
			causes_add(&s.causes, services[rand_r(&seed) % 3], rand_r(&seed) % 2,
				   "cause %d", i);
		for (int i = 0; i < 8; i++) {
			unsigned was = (unsigned)rand_r(&seed) % 3,
				 will = (unsigned)rand_r(&seed) % 3;
			enum drift drift = (enum drift)(rand_r(&seed) % 3);
			char path[] = {'/', (char)('a' + i), '\0'};
			const char text[][2] = {"", "1", "2"};

			if (was)
				add_now(&s, path, text[was], drift);
			if (will)
				add_want(&s, path, text[will], services[rand_r(&seed) % 3]);
			expected += was != will || (was && drift != DRIFT_NONE);
		}
		make_plan(&s, NULL);
		assert_int_equal(s.plan.n, expected);
		for (size_t i = 0; i < s.plan.n; i++) {
			assert_true(s.plan.v[i].n_because > 0);
			for (size_t k = 0; k < s.plan.v[i].n_because; k++)
				assert_non_null(s.plan.v[i].because[k]);
			assert_true(i == 0 || strcmp(s.plan.v[i - 1].what, s.plan.v[i].what) < 0);
		}
	}
}

/* --- causes -------------------------------------------------------------------------- */

#define CLUSTER(nodes) "version: 1\ndomain: example.com\nnodes:\n" nodes
#define PANDA "  panda: {address: 10.0.0.1}\n"
#define OWL "  owl: {address: 10.0.0.2}\n"
#define HELLO "version: 1\nhosts: [a.example.com]\nrespond: {status: 200, body: one}\n"

static struct spec *load(const struct scratch *dir)
{
	CLEANUP(source_freep) struct source *src = NULL;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	struct spec *spec = NULL;
	struct err err = {0};

	src = source_from_dir(dir->path, &err);
	if (!src || spec_load(src, NULL, &spec, &diags, &err) < 0)
		fail_msg("%s", err.msg);
	if (diags.n)
		fail_msg("%s: %s", diags.v[0].path, diags.v[0].msg);
	return spec;
}

static void put(const struct scratch *dir, const char *path, const char *text)
{
	struct err err = {0};

	if (file_replace_in(dir->fd, path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_one_cause(const struct causes *causes, const char *service, const char *text)
{
	assert_int_equal(causes->n, 1);
	if (!strstr(causes->v[0].text, text))
		fail_msg("'%s' is not in '%s'", text, causes->v[0].text);
	if (service)
		assert_string_equal(causes->v[0].service, service);
	else
		assert_null(causes->v[0].service);
}

struct change {
	const char *path; /* of the second revision: removed where text is NULL */
	const char *text;
	const char *service;
	const char *cause;
};

static void test_causes_between(void **unused)
{
	static const struct change changes[] = {
		{"clusters/c/cluster.yaml", CLUSTER(PANDA "  owl: {address: 10.0.0.3}\n"), NULL,
		 "cluster.yaml:5 nodes.owl.address 10.0.0.2 → 10.0.0.3"},
		{"clusters/c/cluster.yaml", CLUSTER(OWL PANDA), NULL,
		 "the order of its keys changed"},
		{"clusters/c/services/a.yaml",
		 "version: 1\nhosts: [a.example.com]\nrespond: {status: 200, body: two}\n", "a",
		 "a.yaml:3 respond.body one → two"},
		{"clusters/c/services/a.yaml", NULL, "a", "a.yaml removed"},
		{"clusters/c/services/b.yaml",
		 "version: 1\nhosts: [b.example.com]\nrespond: {status: 200}\n", "b",
		 "b.yaml added"},
		{"clusters/c/services/site/www/new.html", "new", "site", "site/www/new.html added"},
		{"clusters/c/services/site/www/index.html", "other", "site", "index.html changed"},
		{"clusters/c/services/site/www/old.html", NULL, "site", "old.html removed"},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		CLEANUP(scratch_release) struct scratch dir = scratch_make();
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		CLEANUP(causes_release) struct causes causes = CAUSES_INIT(pool);
		CLEANUP(spec_freep) struct spec *from = NULL;
		CLEANUP(spec_freep) struct spec *to = NULL;
		struct err err = {0};

		put(&dir, "clusters/c/cluster.yaml", CLUSTER(PANDA OWL));
		put(&dir, "clusters/c/services/a.yaml", HELLO);
		put(&dir, "clusters/c/services/site/service.yaml",
		    "version: 1\nhosts: [s.example.com]\nstatic: ./www\n");
		put(&dir, "clusters/c/services/site/www/index.html", "index");
		put(&dir, "clusters/c/services/site/www/old.html", "old");
		from = load(&dir);
		if (changes[i].text)
			put(&dir, changes[i].path, changes[i].text);
		else
			assert_int_equal(file_remove_in(dir.fd, changes[i].path, &err), 0);
		to = load(&dir);
		causes_between(&from->clusters[0], &to->clusters[0], &causes);
		assert_one_cause(&causes, changes[i].service, changes[i].cause);
	}
}

static void test_a_service_that_moved(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(causes_release) struct causes causes = CAUSES_INIT(pool);
	CLEANUP(spec_freep) struct spec *from = NULL;
	CLEANUP(spec_freep) struct spec *to = NULL;
	struct err err = {0};

	(void)unused;
	put(&dir, "clusters/c/cluster.yaml", CLUSTER(PANDA));
	put(&dir, "clusters/c/services/a.yaml", HELLO);
	from = load(&dir);
	assert_int_equal(file_remove_in(dir.fd, "clusters/c/services/a.yaml", &err), 0);
	put(&dir, "clusters/c/services/a/service.yaml", HELLO);
	to = load(&dir);
	causes_between(&from->clusters[0], &to->clusters[0], &causes);
	assert_one_cause(&causes, "a", "a.yaml moved to clusters/c/services/a/service.yaml");
	causes_release(&causes);
	causes_between(&to->clusters[0], &to->clusters[0], &causes);
	assert_int_equal(causes.n, 0);
	causes_between(NULL, &to->clusters[0], &causes);
	assert_one_cause(&causes, NULL, "applied for the first time");
}

static void test_causes_for(void **unused)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(causes_release) struct causes causes = CAUSES_INIT(pool);
	const char **texts;
	size_t n;

	(void)unused;
	causes_add(&causes, "api", true, "api's file");
	texts = causes_for(&causes, NULL, &n);
	assert_int_equal(n, 1);
	assert_string_equal(texts[0], "api's file");
	causes_add(&causes, "api", false, "api's field");
	causes_add(&causes, NULL, false, "the node's");
	texts = causes_for(&causes, "api", &n);
	assert_int_equal(n, 2);
	assert_string_equal(texts[0], "api's file");
	texts = causes_for(&causes, NULL, &n);
	assert_int_equal(n, 2);
	assert_string_equal(texts[0], "api's field");
	texts = causes_for(&causes, "docs", &n);
	assert_int_equal(n, 1);
	assert_string_equal(texts[0], "the node's");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_sides_empty),
		cmocka_unit_test(test_one_side_empty),
		cmocka_unit_test(test_each_kind),
		cmocka_unit_test(test_after_an_unfinished_apply_it_is_no_drift),
		cmocka_unit_test(test_outlives_the_index),
		cmocka_unit_test(test_because),
		cmocka_unit_test(test_every_action_has_a_cause),
		cmocka_unit_test(test_causes_between),
		cmocka_unit_test(test_a_service_that_moved),
		cmocka_unit_test(test_causes_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
