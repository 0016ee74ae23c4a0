/* haproxy.c, caddy.c, runtime_process.c and checker.c on the real programs, below a folder, in a
 * network of its own. The configurations are minimal ones; that of the renderer are the
 * business of other tests. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"
#include "reconciler/caddy.h"
#include "reconciler/checker.h"
#include "reconciler/haproxy.h"
#include "reconciler/runtime.h"
#include "render/layout.h"
#include "render/render.h"
#include "spec/load.h"
#include "tests/unit/own_network.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define ADDRESS "127.83.19.7"
#define HAPROXY_PORT 28443
#define CADDY_PORT 28081
#define TAKEN_PORT 28099
#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct runtime_ops *const ops = &runtime_process;

struct fixture {
	struct scratch dir;
	struct pool *pool;
	struct root root;
	struct endpoints at;
	struct runtime_context rt;
};

static int setup(void **state)
{
	static struct fixture fx;
	struct err err = {0};
	const char *r;

	fx = (struct fixture) {.dir = scratch_make(), .pool = pool_new()};
	r = fx.dir.path;
	fx.root = (struct root) {.fd = fx.dir.fd, .path = fx.dir.path};
	fx.at = (struct endpoints) {
		.runtime = RUNTIME_PROCESS,
		.haproxy_file =
			layout_file(fx.pool, r, LAYOUT_HAPROXY, RUNTIME_PROCESS, "haproxy.cfg"),
		.haproxy_socket =
			layout_file(fx.pool, r, LAYOUT_HAPROXY_SOCKET, RUNTIME_PROCESS, NULL),
		.haproxy_master =
			layout_file(fx.pool, r, LAYOUT_HAPROXY_MASTER, RUNTIME_PROCESS, NULL),
		.caddy_file = layout_file(fx.pool, r, LAYOUT_CADDY, RUNTIME_PROCESS, "Caddyfile"),
		.caddy_socket = layout_file(fx.pool, r, LAYOUT_CADDY_SOCKET, RUNTIME_PROCESS, NULL),
		.caddy_data = layout_file(fx.pool, r, LAYOUT_CADDY_DATA, RUNTIME_PROCESS, NULL),
		.caddy_health =
			pool_printf(fx.pool, "http://%s:%d%s", ADDRESS, CADDY_PORT, HEALTH_PATH),
	};
	fx.rt = (struct runtime_context) {.root = &fx.root, .pool = fx.pool, .at = &fx.at};
	*state = &fx;
	return file_mkdirs_in(fx.root.fd, PATH_RUN, 0755, &err);
}

static int teardown(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	int failed = ops->stop(&fx->rt, PROGRAM_HAPROXY, &err);

	if (ops->stop(&fx->rt, PROGRAM_CADDY, &err) < 0 || failed)
		fail_msg("%s", err.msg);
	scratch_release(&fx->dir);
	pool_free(fx->pool);
	return 0;
}

static void put(const struct fixture *fx, const char *path, const char *text)
{
	struct err err = {0};

	if (file_replace_in(fx->root.fd, path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static void write_haproxy(const struct fixture *fx, const char *digest, int port, const char *more)
{
	put(fx, "/opt/dynia/haproxy/haproxy.cfg",
	    pool_printf(
		    fx->pool,
		    "global\n\tsetenv " CONFIG_VARIABLE
		    " %s\n\tstats socket %s mode 600 level admin\n"
		    "defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 5s\n\ttimeout "
		    "server 5s\n"
		    "frontend f\n\tbind %s:%d\n\tdefault_backend b\n"
		    "backend b\n\tserver none %s:1 check inter 50ms\n\tserver unchecked %s:1\n%s",
		    digest, fx->at.haproxy_socket, ADDRESS, port, ADDRESS, ADDRESS, more));
}

static void write_caddy(const struct fixture *fx, const char *digest, int port, const char *more)
{
	put(fx, "/opt/dynia/caddy/Caddyfile",
	    pool_printf(fx->pool,
			"{\n\tadmin unix/%s\n\tauto_https off\n}\n"
			"http://:%d {\n\tbind %s\n\theader " HEALTH_PATH " " CONFIG_HEADER " %s\n"
			"\trespond ok 200\n%s}\n",
			fx->at.caddy_socket, port, ADDRESS, digest, more));
}

static struct program_state observe(const struct fixture *fx, enum program program)
{
	struct program_state state;
	struct err err = {0};

	assert_int_equal(ops->observe(&fx->rt, program, &state, &err), 0);
	return state;
}

static void assert_runs(const struct fixture *fx, enum program program, const char *digest)
{
	struct program_state state = observe(fx, program);

	assert_true(state.running);
	assert_true(state.answers);
	assert_string_equal(state.config, digest);
}

static void assert_ok(int result, const struct err *err)
{
	if (result < 0)
		fail_msg("%s", err->msg);
}

static int listen_at(int port)
{
	const struct sockaddr_in in = {.sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = inet_addr(ADDRESS)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* --- the life of each ---------------------------------------------------------------- */

static void (*const writers[])(const struct fixture *, const char *, int, const char *) = {
	[PROGRAM_HAPROXY] = write_haproxy,
	[PROGRAM_CADDY] = write_caddy,
};
static const int ports[] = {[PROGRAM_HAPROXY] = HAPROXY_PORT, [PROGRAM_CADDY] = CADDY_PORT};
static const enum program programs[] = {PROGRAM_HAPROXY, PROGRAM_CADDY};

static void test_start_reload_stop(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		enum program p = programs[i];
		pid_t pid;

		assert_false(observe(fx, p).running);
		writers[p](fx, DIGEST_A, ports[p], "");
		assert_ok(ops->start(&fx->rt, p, DIGEST_A, &err), &err);
		assert_runs(fx, p, DIGEST_A);
		pid = observe(fx, p).pid;
		writers[p](fx, DIGEST_B, ports[p], "");
		assert_runs(fx, p, DIGEST_A);
		assert_ok(ops->reload(&fx->rt, p, DIGEST_B, &err), &err);
		assert_runs(fx, p, DIGEST_B);
		assert_int_equal(observe(fx, p).pid, pid);
		assert_ok(ops->stop(&fx->rt, p, &err), &err);
		assert_false(observe(fx, p).running);
		assert_int_equal(kill(pid, 0), -1);
		/* Once more is no error. */
		assert_ok(ops->stop(&fx->rt, p, &err), &err);
	}
}

/* One that is killed is seen to be gone, and cannot be reloaded; starting makes a new one. */
static void test_killed(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		enum program p = programs[i];
		pid_t pid;

		writers[p](fx, DIGEST_A, ports[p], "");
		assert_ok(ops->start(&fx->rt, p, DIGEST_A, &err), &err);
		pid = observe(fx, p).pid;
		assert_ok(process_stop(pid, SIGKILL, 5000, &err), &err);
		assert_false(observe(fx, p).running);
		assert_int_equal(ops->reload(&fx->rt, p, DIGEST_A, &err), -1);
		assert_int_equal(err.code, ERR_SYSTEM); /* no commit's fault */
		assert_ok(ops->start(&fx->rt, p, DIGEST_A, &err), &err);
		assert_runs(fx, p, DIGEST_A);
		assert_int_not_equal(observe(fx, p).pid, pid);
	}
}

/* A running one is replaced by start. */
static void test_started_twice(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};
	pid_t pid;

	write_caddy(fx, DIGEST_A, CADDY_PORT, "");
	assert_ok(ops->start(&fx->rt, PROGRAM_CADDY, DIGEST_A, &err), &err);
	pid = observe(fx, PROGRAM_CADDY).pid;
	assert_ok(ops->start(&fx->rt, PROGRAM_CADDY, DIGEST_A, &err), &err);
	assert_int_not_equal(observe(fx, PROGRAM_CADDY).pid, pid);
	assert_int_equal(kill(pid, 0), -1);
}

/* --- what the checkers let through --------------------------------------------------- */

static void assert_start_fails(const struct fixture *fx, enum program p, struct err *err)
{
	err_clear(err);
	assert_int_equal(ops->start(&fx->rt, p, DIGEST_A, err), -1);
	assert_int_equal(err->code, ERR_APPLY);
	assert_false(observe(fx, p).running);
}

static void test_the_port_is_taken_at_the_start(void **state)
{
	struct fixture *fx = *state;
	AUTO_CLOSE int taken = -1;
	struct err first = {0}, second = {0};

	taken = listen_at(TAKEN_PORT);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		enum program p = programs[i];

		writers[p](fx, DIGEST_A, TAKEN_PORT, "");
		assert_start_fails(fx, p, &first);
		assert_non_null(strstr(first.msg, p == PROGRAM_CADDY ? "address already in use"
								     : "cannot bind socket"));
		/* The same trouble reads the same: a status is a commit where its text is another
		 * one. */
		assert_start_fails(fx, p, &second);
		assert_string_equal(first.msg, second.msg);
	}
}

/* The old configuration goes on, and the next good one is taken. */
static void test_the_port_is_taken_at_a_reload(void **state)
{
	struct fixture *fx = *state;
	AUTO_CLOSE int taken = -1;
	struct err err = {0};

	taken = listen_at(TAKEN_PORT);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		enum program p = programs[i];

		writers[p](fx, DIGEST_A, ports[p], "");
		assert_ok(ops->start(&fx->rt, p, DIGEST_A, &err), &err);
		for (int again = 0; again < 2; again++) {
			writers[p](fx, DIGEST_B, TAKEN_PORT, "");
			assert_int_equal(ops->reload(&fx->rt, p, DIGEST_B, &err), -1);
			assert_int_equal(err.code, ERR_APPLY);
			assert_runs(fx, p, DIGEST_A);
			writers[p](fx, DIGEST_A, ports[p], "");
			assert_ok(ops->reload(&fx->rt, p, DIGEST_A, &err), &err);
			assert_runs(fx, p, DIGEST_A);
		}
		writers[p](fx, DIGEST_B, ports[p], "");
		assert_ok(ops->reload(&fx->rt, p, DIGEST_B, &err), &err);
		assert_runs(fx, p, DIGEST_B);
	}
}

static void test_a_configuration_that_is_none(void **state)
{
	struct fixture *fx = *state;
	struct err err = {0};

	write_haproxy(fx, DIGEST_A, HAPROXY_PORT, "\tno_such_keyword\n");
	assert_start_fails(fx, PROGRAM_HAPROXY, &err);
	write_caddy(fx, DIGEST_A, CADDY_PORT, "\tno_such_directive\n");
	assert_start_fails(fx, PROGRAM_CADDY, &err);
	assert_non_null(strstr(err.msg, "no_such_directive"));
	write_caddy(fx, DIGEST_A, CADDY_PORT, "");
	assert_ok(ops->start(&fx->rt, PROGRAM_CADDY, DIGEST_A, &err), &err);
	write_caddy(fx, DIGEST_B, CADDY_PORT, "\tno_such_directive\n");
	assert_int_equal(ops->reload(&fx->rt, PROGRAM_CADDY, DIGEST_B, &err), -1);
	assert_int_equal(err.code, ERR_APPLY);
	assert_non_null(strstr(err.msg, "no_such_directive"));
	assert_runs(fx, PROGRAM_CADDY, DIGEST_A);
}

/* --- asking -------------------------------------------------------------------------- */

static void test_nobody_answers(void **state)
{
	struct fixture *fx = *state;
	char digest[SHA256_HEX_SIZE];
	struct err err = {0};
	struct haproxy_servers servers;
	pid_t worker;
	long failed;

	assert_int_equal(haproxy_loaded(fx->at.haproxy_socket, digest, &worker, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_string_equal(digest, "");
	assert_int_equal(haproxy_failed_reloads(fx->at.haproxy_master, &failed, &err), -1);
	assert_int_equal(haproxy_servers(fx->at.haproxy_socket, fx->pool, &servers, &err), -1);
	assert_int_equal(caddy_loaded(fx->at.caddy_health, digest, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_int_equal(caddy_load(fx->at.caddy_socket, "", 0, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
}

static void wait_for_servers(const struct fixture *fx, long want_up)
{
	int64_t until = clock_ms() + 5000;
	struct haproxy_servers servers = {0};
	struct err err = {0};

	while (clock_ms() < until) {
		assert_ok(haproxy_servers(fx->at.haproxy_socket, fx->pool, &servers, &err), &err);
		assert_int_equal(servers.all, 1);
		assert_int_equal(servers.n_names, 1);
		assert_string_equal(servers.names[0], "none");
		if (servers.up == want_up)
			return;
		clock_sleep_ms(20);
	}
	fail_msg("%ld of %ld servers are up, not %ld", servers.up, servers.all, want_up);
}

static void test_haproxy_counts(void **state)
{
	struct fixture *fx = *state;
	char digest[SHA256_HEX_SIZE];
	struct err err = {0};
	pid_t worker;
	int64_t until = clock_ms() + 5000;
	long failed = -1;

	write_haproxy(fx, DIGEST_A, HAPROXY_PORT, "");
	assert_ok(ops->start(&fx->rt, PROGRAM_HAPROXY, DIGEST_A, &err), &err);
	/* At once: the master may not listen yet. */
	assert_ok(ops->reload(&fx->rt, PROGRAM_HAPROXY, DIGEST_A, &err), &err);
	while (haproxy_failed_reloads(fx->at.haproxy_master, &failed, &err) < 0 &&
	       until > clock_ms())
		clock_sleep_ms(20);
	assert_int_equal(failed, 0);
	/* Nobody listens at its one server that is checked. */
	wait_for_servers(fx, 0);
	/* A configuration that names none. */
	write_haproxy(fx, "short", HAPROXY_PORT, "");
	(void)ops->stop(&fx->rt, PROGRAM_HAPROXY, &err);
	assert_ok(ops->start(&fx->rt, PROGRAM_HAPROXY, "", &err), &err);
	assert_ok(haproxy_loaded(fx->at.haproxy_socket, digest, &worker, &err), &err);
	assert_string_equal(digest, "");
}

/* --- checker ------------------------------------------------------------------------- */

static struct spec *demo_spec(const struct fixture *fx)
{
	CLEANUP(source_freep) struct source *src = NULL;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	struct spec *spec = NULL;
	struct err err = {0};

	put(fx, "/repo/clusters/c/cluster.yaml",
	    "version: 1\ndomain: example.com\nnodes:\n  panda: {address: " ADDRESS "}\n"
	    "ingress: {runtime: process, tls: {mode: files}, http_port: 28080, https_port: "
	    "28443}\n");
	put(fx, "/repo/clusters/c/services/a.yaml",
	    "version: 1\nhosts: [a.example.com]\nrespond: {status: 200, body: hello}\n");
	src = source_from_dir(pool_printf(fx->pool, "%s/repo", fx->dir.path), &err);
	if (!src || spec_load(src, NULL, &spec, &diags, &err) < 0 || diags.n)
		fail_msg("%s%s", err.msg, diags.n ? diags.v[0].msg : "");
	return spec;
}

static void test_checker(void **state)
{
	struct fixture *fx = *state;
	CLEANUP(spec_freep) struct spec *spec = demo_spec(fx);
	CLEANUP(plan_release) struct plan plan = PLAN_INIT(fx->pool);
	const struct cluster *cluster = &spec->clusters[0];
	struct facts facts = {.root = fx->root.path,
			      .program = "/usr/bin/dynia",
			      .certificates = ""};
	const struct action haproxy = {.kind = ACTION_CREATE,
				       .program = PROGRAM_HAPROXY,
				       .what = "/h"};
	const struct action caddy = {.kind = ACTION_CREATE, .program = PROGRAM_CADDY, .what = "/c"};
	struct err err = {0};

	assert_ok(check_plan(&fx->root, &plan, cluster, cluster_node(cluster, 0), &facts, &err),
		  &err);
	plan_add(&plan, &haproxy);
	plan_add(&plan, &caddy);
	/* Leftovers of a check that was killed are no hindrance, and nothing is left behind. */
	put(fx, PATH_CHECK "/opt/dynia/haproxy/certs/x", "x");
	assert_ok(check_plan(&fx->root, &plan, cluster, cluster_node(cluster, 0), &facts, &err),
		  &err);
	assert_int_equal(file_stat_in(fx->root.fd, PATH_CHECK, NULL, &err), 0);
	/* A file that is not listed does no harm. */
	put(fx, "/opt/dynia/haproxy/certs/bad.pem", "no certificate");
	assert_ok(check_plan(&fx->root, &plan, cluster, cluster_node(cluster, 0), &facts, &err),
		  &err);
	/* A listed one: HAProxy sees it through the link. */
	facts.certificate_files = (const char *const[]) {"bad.pem"};
	facts.n_certificate_files = 1;
	assert_int_equal(check_plan(&fx->root, &plan, cluster, cluster_node(cluster, 0), &facts,
				    &err),
			 -1);
	assert_int_equal(err.code, ERR_CHECK);
	assert_int_equal(file_stat_in(fx->root.fd, PATH_CHECK, NULL, &err), 0);
	assert_int_equal(file_stat_in(fx->root.fd, "/opt/dynia/haproxy/certs/bad.pem", NULL, &err),
			 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_reload_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_started_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_port_is_taken_at_the_start, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_port_is_taken_at_a_reload, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_configuration_that_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_haproxy_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checker, setup, teardown),
	};

	if (!enter_own_network())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
