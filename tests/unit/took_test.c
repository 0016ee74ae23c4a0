#include "reconciler/took.h"

#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
/* So long that what the test itself takes is nothing beside it. */
#define HOUR 3600000

static void go_by(struct took_timer *timer, int hours)
{
	timer->last_ms -= (int64_t)hours * HOUR;
}

static void assert_hours(const struct took_timer *timer, int fetch, int render, int validate,
			 int apply, int healthy)
{
	const int want[TOOK_PARTS] = {fetch, render, validate, apply, healthy};

	for (size_t i = 0; i < TOOK_PARTS; i++)
		assert_int_equal(timer->took.ms[i] / HOUR, want[i]);
}

static void found(struct took_timer *timer, const char *tip, int hours)
{
	took_begin_pass(timer);
	timer->pass_ms -= (int64_t)hours * HOUR;
	if (timer->goes_on)
		go_by(timer, hours);
	took_found(timer, tip);
}

static void test_one_pass(void **unused)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct took_timer timer = {0};

	(void)unused;
	found(&timer, A, 1);
	for (enum took_part part = TOOK_RENDER; part <= TOOK_APPLY; part++) {
		go_by(&timer, (int)part + 1);
		took_end_part(&timer, part);
	}
	go_by(&timer, 5);
	assert_false(took_end(&timer, B));
	assert_true(took_end(&timer, A));
	assert_hours(&timer, 1, 2, 3, 4, 5);
	assert_true(timer.began_wall_ms > 0);
	assert_int_equal(took_total_ms(&timer.took) / HOUR, 15);
	memcpy(timer.took.ms, (int64_t[]) {80, 12, 200, 230, 118}, sizeof(timer.took.ms));
	took_text(&timer.took, &text);
	assert_string_equal(text.buf, "aaaaaaa in 640 ms: fetch 80, render 12, validate 200, "
				      "apply 230, healthy 118");
}

static void test_a_trial_counts_on(void **unused)
{
	struct took_timer timer = {0};

	(void)unused;
	found(&timer, A, 1);
	took_end_part(&timer, TOOK_RENDER);
	took_end_part(&timer, TOOK_VALIDATE);
	took_end_part(&timer, TOOK_APPLY);
	took_end_pass(&timer, true);
	/* The passes of the trial ask the repository, too: it is the health that is waited for. */
	found(&timer, A, 2);
	took_end_pass(&timer, true);
	found(&timer, A, 3);
	assert_true(took_end(&timer, A));
	took_end_pass(&timer, false);
	assert_hours(&timer, 1, 0, 0, 0, 5);
	/* The next commit begins anew. */
	found(&timer, B, 1);
	assert_hours(&timer, 1, 0, 0, 0, 0);
	assert_false(took_end(&timer, A));
}

static void test_new_containers_count_for_the_apply(void **unused)
{
	struct took_timer timer = {0};

	(void)unused;
	found(&timer, A, 1);
	took_end_part(&timer, TOOK_RENDER);
	took_end_part(&timer, TOOK_VALIDATE);
	took_end_pass(&timer, true);
	found(&timer, A, 2);
	took_end_part(&timer, TOOK_RENDER);
	took_end_part(&timer, TOOK_VALIDATE);
	go_by(&timer, 4);
	took_end_part(&timer, TOOK_APPLY);
	assert_true(took_end(&timer, A));
	assert_hours(&timer, 1, 0, 0, 6, 0);
}

static void test_another_commit_during_a_trial(void **unused)
{
	struct took_timer timer = {0};

	(void)unused;
	found(&timer, A, 1);
	took_end_part(&timer, TOOK_APPLY);
	took_end_pass(&timer, true);
	go_by(&timer, 7);
	found(&timer, B, 2);
	assert_hours(&timer, 2, 0, 0, 0, 0);
	assert_true(took_end(&timer, B));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_pass),
		cmocka_unit_test(test_a_trial_counts_on),
		cmocka_unit_test(test_new_containers_count_for_the_apply),
		cmocka_unit_test(test_another_commit_during_a_trial),
	};

	return cmocka_run_group_tests_name("took", tests, NULL, NULL);
}
