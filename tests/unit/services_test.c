/* From what runs to what has to be done about it. */
#include "reconciler/services.h"

#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

#define OLD "old"
#define NEW "new"

/* One service `api` with one part; what it was, what it shall be, and its containers. */
struct fixture {
	struct pool *pool;
	struct causes causes;
	struct part_record was_part, want_part;
	struct service_record was, want;
	struct service_records before, after;
	struct container v[4];
	struct container_list seen;
	struct service_ground ground;
	struct plan plan;
};

static struct container container(const char *spec, const char *id, const char *state)
{
	return (struct container) {
		.id = id,
		.name = id,
		.image = "",
		.image_id = "i",
		.project = "p",
		.service = "api",
		.part = "api",
		.spec = spec,
		.state = state,
		.health = "",
		.restarts = -1,
	};
}

static void setup(struct fixture *f, const char *was, const char *want)
{
	memset(f, 0, sizeof(*f));
	f->pool = pool_new();
	f->causes.pool = f->plan.pool = f->pool;
	causes_add(&f->causes, "api", false, "api.yaml:4 image changed");
	f->was_part =
		(struct part_record) {.name = "api", .image = "", .id = "c1", .image_id = "i"};
	f->want_part = (struct part_record) {.name = "api", .image = "", .id = "", .image_id = ""};
	if (was)
		memcpy(f->was_part.spec, was, strlen(was));
	if (want)
		memcpy(f->want_part.spec, want, strlen(want));
	f->was = (struct service_record) {"api", "p", &f->was_part, 1};
	f->want = (struct service_record) {"api", "p", &f->want_part, 1};
	f->before = (struct service_records) {&f->was, was != NULL};
	f->after = (struct service_records) {&f->want, want != NULL};
	f->seen.v = f->v;
	f->ground = (struct service_ground) {
		.before = &f->before,
		.want = &f->after,
		.seen = &f->seen,
		.causes = &f->causes,
	};
}

static void teardown(struct fixture *f)
{
	plan_release(&f->plan);
	causes_release(&f->causes);
	pool_free(f->pool);
}

#define FIXTURE(f, was, want)                                                                      \
	CLEANUP(teardown) struct fixture f;                                                        \
	setup(&(f), was, want)

static void add(struct fixture *f, struct container c)
{
	f->v[f->seen.n++] = c;
}

static void make_plan(struct fixture *f)
{
	services_plan(&f->plan, &f->ground);
	services_plan_removed(&f->plan, &f->ground);
	/* No action without a cause. */
	for (size_t i = 0; i < f->plan.n; i++) {
		assert_true(f->plan.v[i].n_because > 0);
		assert_true(f->plan.v[i].because[0][0] != '\0');
	}
}

static void check_one(struct fixture *f, enum action_kind kind, const char *because)
{
	make_plan(f);
	assert_int_equal(f->plan.n, 1);
	assert_int_equal(f->plan.v[0].kind, kind);
	assert_string_equal(f->plan.v[0].what, "api");
	assert_string_equal(f->plan.v[0].because[0], because);
}

static void test_nothing_to_do(void **state)
{
	FIXTURE(f, OLD, OLD);

	(void)state;
	add(&f, container(OLD, "c1", "running"));
	make_plan(&f);
	assert_int_equal(f.plan.n, 0);
}

static void test_new_changed_removed(void **state)
{
	FIXTURE(created, NULL, NEW);
	FIXTURE(changed, OLD, NEW);
	FIXTURE(removed, OLD, NULL);

	(void)state;
	check_one(&created, ACTION_RUN, "api.yaml:4 image changed");
	add(&changed, container(OLD, "c1", "running"));
	check_one(&changed, ACTION_RECREATE, "api.yaml:4 image changed");
	add(&removed, container(OLD, "c1", "running"));
	check_one(&removed, ACTION_DELETE, "api.yaml:4 image changed");
}

static void test_drift(void **state)
{
	static const struct {
		const char *spec, *id, *image_id, *state;
		enum action_kind kind;
		const char *because;
	} rows[] = {
		{OLD, "c1", "i", "exited", ACTION_RESUME, "drift: its container was stopped"},
		{OLD, "c1", "i", "created", ACTION_RESUME, "drift: its container was stopped"},
		{OLD, "c1", "i", "paused", ACTION_RESUME, "drift: its container was paused"},
		{OLD, "c1", "i", "dead", ACTION_RECREATE, "drift: its container is dead"},
		{OLD, "c2", "i", "running", ACTION_RECREATE, "drift: its container was replaced"},
		{"x", "c2", "i", "running", ACTION_RECREATE, "drift: its container was replaced"},
		{OLD, "c2", "j", "running", ACTION_RECREATE,
		 "drift: its container runs from another image"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		FIXTURE(f, OLD, OLD);

		add(&f, container(rows[i].spec, rows[i].id, rows[i].state));
		f.v[0].image_id = rows[i].image_id;
		check_one(&f, rows[i].kind, rows[i].because);
		assert_true(action_is_drift(&f.plan.v[0]));
	}
	FIXTURE(gone, OLD, OLD);
	check_one(&gone, ACTION_RUN, "drift: its container was removed");
}

/* Docker starts it again by itself: that is no drift. */
static void test_a_restarting_container_is_left_to_docker(void **state)
{
	FIXTURE(f, OLD, OLD);

	(void)state;
	add(&f, container(OLD, "c1", "restarting"));
	make_plan(&f);
	assert_int_equal(f.plan.n, 0);
}

/* What dies in a rhythm of its own is not well in between, and one that had one bad day is well again soon. */
static void test_what_ends_again_and_again(void **state)
{
	static const struct {
		int64_t restarts, up_s_max;
		const char *health, *expected;
	} rows[] = {
		{0, 1, "healthy", "healthy"},  {1, 14, "healthy", "failed"},
		{1, 16, "healthy", "healthy"}, {3, 59, "healthy", "failed"},
		{3, 61, "healthy", "healthy"}, {7, 900, "", "failed"},
		{1000, 961, "", "healthy"},    {1000, 959, "", "failed"},
		{0, 1, "starting", "unknown"}, {0, 1, "unhealthy", "failed"},
	};
	struct services *s = services_new("/nonexistent/docker.sock");
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct container c = container(OLD, "c1", "running");
		struct container_health health;

		c.restarts = rows[i].restarts;
		c.up_s_max = rows[i].up_s_max;
		c.health = rows[i].health;
		container_judge(s, &c, false, false, pool, &health);
		assert_string_equal(health.health, rows[i].expected);
	}
	services_free(s);
}

static void test_what_has_ended_well(void **state)
{
	FIXTURE(well, OLD, OLD);
	FIXTURE(ill, OLD, OLD);

	(void)state;
	well.was_part.once = ill.was_part.once = true;
	add(&well, container(OLD, "c1", "exited"));
	make_plan(&well);
	assert_int_equal(well.plan.n, 0);
	add(&ill, container(OLD, "c1", "exited"));
	ill.v[0].exit_code = 1;
	check_one(&ill, ACTION_RESUME, "drift: its container was stopped");
}

/* An apply that was cut off: its causes, not drift; and what it had done already stays. */
static void test_unfinished(void **state)
{
	FIXTURE(not_yet, OLD, NEW);
	FIXTURE(done, OLD, NEW);

	(void)state;
	not_yet.ground.unfinished = done.ground.unfinished = "the apply of 1234567 was cut off";
	add(&not_yet, container(OLD, "c1", "running"));
	check_one(&not_yet, ACTION_RECREATE, "the apply of 1234567 was cut off");
	add(&done, container(NEW, "c2", "running"));
	make_plan(&done);
	assert_int_equal(done.plan.n, 0);
}

static void test_left_over(void **state)
{
	FIXTURE(surge, OLD, OLD);
	FIXTURE(proving, OLD, NEW);
	FIXTURE(twice, OLD, OLD);
	FIXTURE(unknown, NULL, NULL);

	(void)state;
	add(&surge, container(OLD, "c1", "running"));
	add(&surge, container(NEW, "c2", "running"));
	surge.v[1].surge = true;
	make_plan(&surge);
	assert_int_equal(surge.plan.n, 1);
	assert_int_equal(surge.plan.v[0].kind, ACTION_DELETE);
	/* One that shows that what is wanted works is at work. */
	add(&proving, container(OLD, "c1", "running"));
	add(&proving, container(NEW, "c2", "running"));
	proving.v[1].surge = true;
	check_one(&proving, ACTION_RECREATE, "api.yaml:4 image changed");
	add(&twice, container(OLD, "c1", "running"));
	add(&twice, container(OLD, "c2", "running"));
	check_one(&twice, ACTION_DELETE,
		  "drift: a container with its labels that nobody asked for");
	add(&unknown, container(OLD, "c1", "running"));
	check_one(&unknown, ACTION_DELETE,
		  "drift: a container with its labels that nobody asked for");
}

/* Between two revisions, with no Docker to ask. */
static void test_between_revisions(void **state)
{
	FIXTURE(created, NULL, NEW);
	FIXTURE(changed, OLD, NEW);
	FIXTURE(removed, OLD, NULL);
	FIXTURE(same, OLD, OLD);

	(void)state;
	created.ground.seen = changed.ground.seen = NULL;
	removed.ground.seen = same.ground.seen = NULL;
	check_one(&created, ACTION_RUN, "api.yaml:4 image changed");
	check_one(&changed, ACTION_RECREATE, "api.yaml:4 image changed");
	check_one(&removed, ACTION_DELETE, "api.yaml:4 image changed");
	make_plan(&same);
	assert_int_equal(same.plan.n, 0);
}

static void test_records_survive_json(void **state)
{
	FIXTURE(f, OLD, NEW);
	struct service_records back;
	json_t *array = records_to_json(&f.before);

	(void)state;
	records_from_json(array, f.pool, &back);
	json_decref(array);
	assert_int_equal(back.n, 1);
	assert_string_equal(back.v[0].name, "api");
	assert_string_equal(back.v[0].project, "p");
	assert_int_equal(back.v[0].n_parts, 1);
	assert_string_equal(back.v[0].parts[0].spec, OLD);
	assert_string_equal(back.v[0].parts[0].id, "c1");
	assert_string_equal(back.v[0].parts[0].image_id, "i");
	array = json_pack("[i {s[n {si}]} n]", 1, "parts", "name", 3);
	records_from_json(array, f.pool, &back);
	json_decref(array);
	assert_int_equal(back.n, 3);
	assert_string_equal(back.v[0].name, "");
	assert_int_equal(back.v[1].n_parts, 2);
	assert_string_equal(back.v[1].parts[1].name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_new_changed_removed),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_a_restarting_container_is_left_to_docker),
		cmocka_unit_test(test_what_ends_again_and_again),
		cmocka_unit_test(test_what_has_ended_well),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_left_over),
		cmocka_unit_test(test_between_revisions),
		cmocka_unit_test(test_records_survive_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
