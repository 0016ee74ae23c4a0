#include "reconciler/report.h"

#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* An agent that has A applied, watches one service, and saw all of it well. */
struct fixture {
	struct pool *pool;
	struct agent_config config;
	struct watched_service service;
	struct probe probe;
	struct agent agent;
	struct observation seen;
	struct findings found;
};

static int setup(void **state)
{
	static struct fixture fx;

	fx = (struct fixture) {.pool = pool_new()};
	fx.config.status.heartbeat_ms = 900000;
	fx.service.name = "api";
	fx.probe.health = "healthy";
	fx.agent = (struct agent) {.cluster = "shop",
				   .node = "panda",
				   .config = &fx.config,
				   .probes = &fx.probe};
	memcpy(fx.agent.state.revision, A, sizeof(A));
	fx.agent.state.has_watch = true;
	fx.agent.state.watch.services = &fx.service;
	fx.agent.state.watch.n_services = 1;
	fx.seen = (struct observation) {.haproxy = {.running = true, .answers = true},
					.caddy = {.running = true, .answers = true},
					.has_servers = true,
					.haproxy_health = "healthy",
					.caddy_health = "healthy",
					.servers = {.all = 2, .up = 2}};
	fx.found = (struct findings) {.desired = A, .seen = &fx.seen, .generation = 1};
	*state = &fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	pool_free(fx->pool);
	return 0;
}

static struct node_status status_of(const struct fixture *fx, int64_t now_s)
{
	struct node_status status;

	report_status(&fx->agent, &fx->found, now_s, fx->pool, &status);
	return status;
}

static void assert_condition(const struct node_status *s, const char *type, const char *status,
			     const char *reason)
{
	const struct condition *c = status_condition(s, type);

	assert_non_null(c);
	assert_string_equal(c->status, status);
	assert_string_equal(c->reason, reason);
}

static void refuse_b(struct fixture *fx, const struct err *why)
{
	memcpy(fx->agent.state.rejected.revision, B, sizeof(B));
	fx->agent.state.rejected.code = why->code;
	fx->agent.state.rejected.message = why->msg;
	fx->found.desired = B;
	fx->found.failed = why;
}

static void test_all_is_well(void **state)
{
	const struct fixture *fx = *state;
	struct node_status s = status_of(fx, 1000);

	assert_condition(&s, "Ready", "True", "Healthy");
	assert_condition(&s, "Stalled", "False", "Moving");
	assert_string_equal(s.last_good, A);
	assert_null(s.quarantined);
	assert_string_equal(report_subject(&s, fx->pool), "panda: healthy at aaaaaaa, 1 service");
}

static void test_a_refused_commit(void **state)
{
	struct fixture *fx = *state;
	const struct err why = {ERR_CHECK, "haproxy says no"};
	struct node_status s;

	refuse_b(fx, &why);
	s = status_of(fx, 1000);
	assert_condition(&s, "Ready", "False", "CheckError");
	assert_condition(&s, "Stalled", "True", "WaitsForCommit");
	assert_condition(&s, "Applied", "True", "Applied");
	assert_condition(&s, "Healthy", "True", "Healthy");
	assert_string_equal(s.applied, A);
	assert_string_equal(s.quarantined, B);
	assert_string_equal(s.last_good, A);
	assert_string_equal(report_subject(&s, fx->pool),
			    "panda: stays at aaaaaaa, refuses bbbbbbb: haproxy says no");
	fx->agent.state.revision[0] = '\0';
	fx->agent.state.has_watch = false;
	fx->found.seen = NULL;
	s = status_of(fx, 1000);
	assert_string_equal(report_subject(&s, fx->pool),
			    "panda: refuses bbbbbbb: haproxy says no");
}

static void test_a_pass_that_failed_and_is_tried_again(void **state)
{
	struct fixture *fx = *state;
	const struct err why = {ERR_SYSTEM, "no space left on device"};
	struct node_status s;

	fx->found.failed = &why;
	s = status_of(fx, 1000);
	assert_condition(&s, "Applied", "False", "SystemError");
	assert_condition(&s, "Reconciling", "True", "Retrying");
	assert_condition(&s, "Stalled", "False", "Moving");
	assert_string_equal(report_subject(&s, fx->pool),
			    "panda: degraded at aaaaaaa: no space left on device");
}

static void test_nothing_has_been_seen_yet(void **state)
{
	struct fixture *fx = *state;
	const struct err why = {ERR_NETWORK, "nobody answers"};
	struct node_status s;

	fx->agent.state.revision[0] = '\0';
	fx->agent.state.has_watch = false;
	fx->found = (struct findings) {.synced = &why, .failed = &why};
	s = status_of(fx, 1000);
	assert_condition(&s, "Synced", "False", "NetworkError");
	assert_condition(&s, "Valid", "Unknown", "NoRevision");
	assert_condition(&s, "Healthy", "Unknown", "NotObserved");
	assert_null(s.applied);
	assert_null(s.last_good);
	assert_string_equal(status_health(&s), "failed");
}

static void test_what_is_ill_is_named(void **state)
{
	struct fixture *fx = *state;
	struct node_status s;

	fx->probe.health = "failed";
	memcpy(fx->probe.message, "/ answers 500", sizeof("/ answers 500"));
	fx->agent.state.status.last_good = B;
	s = status_of(fx, 1000);
	assert_condition(&s, "Ready", "False", "ServiceFailed");
	assert_string_equal(status_condition(&s, "Ready")->message,
			    "service api is failed: / answers 500");
	assert_string_equal(s.last_good, B);
	fx->seen.haproxy.answers = false;
	fx->seen.haproxy_health = "failed";
	s = status_of(fx, 1000);
	assert_condition(&s, "Healthy", "False", "ProgramFailed");
	assert_string_equal(status_condition(&s, "Healthy")->message, "haproxy does not answer");
}

/* It is told, and is no fault of the commit's. */
static void test_trouble_of_the_machine(void **state)
{
	struct fixture *fx = *state;
	struct level_health machine = {0};
	struct node_status s;

	level_add(&machine, fx->pool, "degraded", REASON_MEMORY_LOW, "no memory");
	fx->found.machine = &machine;
	s = status_of(fx, 1000);
	assert_condition(&s, "Ready", "True", "Healthy");
	assert_condition(&s, "Healthy", "True", "Healthy");
	assert_condition(&s, "MachineHealthy", "False", "MemoryLow");
	assert_string_equal(s.last_good, A);
	assert_string_equal(status_health(&s), "degraded");
	assert_string_equal(report_subject(&s, fx->pool), "panda: degraded at aaaaaaa: no memory");
}

/* Times move on, and are no transition; a condition keeps the time of its last change. */
static void test_what_counts_as_a_transition(void **state)
{
	struct fixture *fx = *state;
	char first[SHA256_HEX_SIZE], second[SHA256_HEX_SIZE];
	struct node_status before, s;

	fx->agent.state.status.changed_at_s = 500;
	before = status_of(fx, 1000);
	report_digest(&before, first);
	fx->agent.state.status = before;
	fx->agent.started_at_s = 77;
	fx->seen.servers.up = 1;
	fx->agent.counts.took = (struct took) {.revision = A, .ms = {80, 12, 200, 230, 118}};
	s = status_of(fx, 2000);
	assert_int_equal(took_total_ms(&s.took), 640);
	assert_int_equal(status_condition(&s, "Ready")->since_s, 1000);
	assert_int_equal(s.services[0].since_s, 1000);
	assert_int_equal(s.observed_at_s, 2000);
	report_digest(&s, second);
	assert_string_equal(first, second);
	/* An agent that has been started anew still knows. */
	fx->agent.state.status = s;
	fx->agent.counts.took = (struct took) {0};
	fx->probe.health = "degraded";
	s = status_of(fx, 3000);
	assert_int_equal(took_total_ms(&s.took), 640);
	assert_int_equal(status_condition(&s, "Ready")->since_s, 3000);
	assert_int_equal(s.services[0].since_s, 3000);
	report_digest(&s, second);
	assert_string_not_equal(first, second);
}

/* Drift is kept, the newest last, and bounded; what follows from a repository's change is none. */
static void test_drift_and_causes(void **state)
{
	struct fixture *fx = *state;
	CLEANUP(plan_release) struct plan plan = PLAN_INIT(fx->pool);
	const char *edited[] = {DRIFT_MARK "it was edited on the node"};
	const char *field[] = {"a.yaml:1 image"};
	const struct out_file file = {.path = "/x"};
	struct candidate applied = {0};
	struct drift_status old[20];
	struct node_status s;

	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		old[i] = (struct drift_status) {(int64_t)i + 1, "/old", true};
	fx->agent.state.status.drift = old;
	fx->agent.state.status.n_drift = ARRAY_SIZE(old);
	plan_add(&plan, &(struct action) {.kind = ACTION_RESTORE,
					  .program = PROGRAM_CADDY,
					  .what = "/drifted",
					  .file = &file,
					  .because = edited,
					  .n_because = 1});
	plan_add(&plan, &(struct action) {.kind = ACTION_UPDATE,
					  .program = PROGRAM_CADDY,
					  .what = "/changed",
					  .file = &file,
					  .because = field,
					  .n_because = 1});
	plan_add(&plan, &(struct action) {.kind = ACTION_RELOAD,
					  .program = PROGRAM_CADDY,
					  .what = "caddy",
					  .because = edited,
					  .n_because = 1});
	applied.plan = plan;
	fx->found.applied = &applied;
	s = status_of(fx, 1000);
	assert_int_equal(s.n_drift, 20);
	assert_string_equal(s.drift[19].what, "/drifted");
	assert_int_equal(s.drift[0].at_s, 2);
	assert_int_equal(s.n_causes, 3);
	assert_string_equal(s.causes[1].action, "update /changed");
	assert_string_equal(s.causes[1].because, "a.yaml:1 image");
	assert_int_equal(s.changed_at_s, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_well, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_refused_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_pass_that_failed_and_is_tried_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nothing_has_been_seen_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_ill_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trouble_of_the_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_counts_as_a_transition, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drift_and_causes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
