/* agent.c, pass.c, candidate.c and node_facts.c: passes in one process, from a real repository to
 * the real programs. */
#include "reconciler/agent.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/process.h"
#include "gitsync/status_ref.h"
#include "reconciler/node_facts.h"
#include "reconciler/pass.h"
#include "tests/unit/git_fixture.h"
#include "tests/unit/own_network.h"

#define ADDRESS "127.83.20.7"
#define HTTP_PORT 28080
#define CLUSTER "work/clusters/shop/cluster.yaml"
#define INGRESS                                                                                    \
	"ingress: {runtime: process, tls: {mode: 'off'}, http_port: 28080, caddy_port: 28081, "    \
	"health_port: 28405, stats: {port: 28404%s}}\n"
#define HELLO                                                                                      \
	"version: 1\nhosts: [a.example.com]\ndefault: true\nrespond: {status: 200, body: %s}\n"

static struct fixture fx;
static struct root root;
static struct pool *pool;

static void write_cluster(const char *nodes, const char *stats)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "version: 1\ndomain: example.com\nnodes:\n%s", nodes);
	strbuf_addf(&text, INGRESS, stats);
	fixture_write(&fx, CLUSTER, text.buf);
}

static void commit(const char *message)
{
	free(fixture_commit(&fx, "work", message));
	fixture_run(&fx, "work", "push", "-q", "../infra.git", "main", NULL);
}

static void commit_hello(const char *body)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, HELLO, body);
	fixture_write(&fx, "work/clusters/shop/services/hello.yaml", text.buf);
	commit(body);
}

static int setup(void **unused)
{
	AUTO_FREE char *node = NULL;
	AUTO_FREE char *config = NULL;
	struct err err = {0};

	(void)unused;
	fixture_init(&fx);
	pool = pool_new();
	free(fixture_work(&fx));
	fixture_run(&fx, ".", "init", "-q", "--bare", "-b", "main", "infra.git", NULL);
	write_cluster("  panda: {address: " ADDRESS "}\n", "");
	commit_hello("one");
	node = fixture_path(&fx, "node");
	config = xasprintf(
		"version: 1\nrepository: %s/infra.git\nbranch: main\ncluster: shop\nnode: panda\n",
		fx.root);
	fixture_write(&fx, "node/etc/dynia/agent.yaml", config);
	assert_ok(root_open(node, &root, &err), &err);
	return 0;
}

static int teardown(void **unused)
{
	static const char *const pid_files[] = {"/run/dynia/haproxy.pid", "/run/dynia/caddy.pid"};
	struct err err = {0};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(pid_files); i++) {
		pid_t pid = process_find_daemon(root.fd, pid_files[i]);

		if (pid)
			assert_ok(process_stop(pid, SIGTERM, 10000, &err), &err);
	}
	root_release(&root);
	pool_free(pool);
	fixture_release(&fx);
	return 0;
}

/* An address that other nodes could reach; there for one test. */
#define REACHABLE "10.77.83.1"

static void change_addresses(const char *verb)
{
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	const char *const argv[] = {"ip", "address", verb, REACHABLE "/32", "dev", "lo", NULL};
	const struct process_spec spec = {.argv = (char *const *)argv,
					  .timeout_ms = 5000,
					  .capture_limit = 4096};
	struct err err = {0};

	assert_ok(process_run(&spec, &res, &err), &err);
	if (res.status != 0)
		fail_msg("ip address %s: %s", verb, res.errout.buf);
}

static int setup_reachable(void **state)
{
	change_addresses("add");
	return setup(state);
}

static int teardown_reachable(void **state)
{
	change_addresses("del");
	return teardown(state);
}

static int open_agent(struct agent *agent, struct err *err)
{
	const struct agent_options options = {.root = root.path};

	return agent_open(agent, &options, err);
}

/* An agent of its own that makes one pass. */
static int pass(struct outcome *outcome, struct err *err)
{
	CLEANUP(agent_release) struct agent agent = AGENT_INIT;

	memset(outcome, 0, sizeof(*outcome));
	err_clear(err);
	assert_ok(open_agent(&agent, err), err);
	return reconcile_once(&agent, outcome, err);
}

static void pass_ok(bool changed)
{
	struct outcome outcome;
	struct err err;

	assert_ok(pass(&outcome, &err), &err);
	assert_true(outcome.changed == changed);
}

static char *status_field(const char *object, const char *key)
{
	CLEANUP(state_release) struct state state;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err err = {0};
	json_t *all;
	char *value;

	state_init(&state);
	assert_ok(file_read_in(root.fd, PATH_STATE, 1 << 20, &text, &err), &err);
	all = json_loads(text.buf, 0, NULL);
	value = json_dumps(json_object_get(json_object_get(json_object_get(all, "status"), object),
					   key),
			   JSON_ENCODE_ANY);
	json_decref(all);
	return value;
}

static int64_t generation(void)
{
	CLEANUP(index_release) struct index index;
	struct err err = {0};

	index_init(&index);
	assert_int_equal(index_read(&root, PATH_INDEX, &index, &err), 1);
	return index.generation;
}

/* The last change has causes, and each says something. */
static void assert_cause(const char *text)
{
	CLEANUP(strbuf_release) struct strbuf state = STRBUF_INIT;
	struct err err = {0};

	assert_ok(file_read_in(root.fd, PATH_STATE, 1 << 20, &state, &err), &err);
	if (!strstr(state.buf, text))
		fail_msg("'%s' is not in %s", text, state.buf);
	assert_null(strstr(state.buf, "(null)"));
}

static struct strbuf *seen;

static int look_at(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	if (!strstr(path, "/var/lib/dynia/caddy"))
		strbuf_addf(seen, "%s %ju %jd.%09ld %jd.%09ld\n", path, (uintmax_t)st->st_ino,
			    (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			    (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	return 0;
}

/* What stat(2) says of all that a pass could have written. */
static void photograph(struct strbuf *ret)
{
	static const char *const folders[] = {"opt", "etc", "var/lib/dynia"};

	seen = ret;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		assert_int_equal(nftw(pool_printf(pool, "%s/%s", root.path, folders[i]), look_at,
				      16, FTW_PHYS),
				 0);
}

static void assert_quiet(void)
{
	CLEANUP(strbuf_release) struct strbuf before = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf after = STRBUF_INIT;
	struct outcome outcome;
	struct err err;

	photograph(&before);
	(void)pass(&outcome, &err);
	photograph(&after);
	assert_false(outcome.changed);
	assert_string_equal(before.buf, after.buf);
}

static void test_a_second_pass_writes_nothing(void **unused)
{
	(void)unused;
	pass_ok(true);
	assert_int_equal(generation(), 1);
	assert_quiet();
}

static void test_the_record_is_lost(void **unused)
{
	struct err err = {0};

	(void)unused;
	pass_ok(true);
	commit_hello("two");
	pass_ok(true);
	assert_int_equal(generation(), 2);
	/* Without the index, nothing is known of the files: they are put there anew, and numbers go
	 * on. */
	assert_ok(file_remove_in(root.fd, PATH_INDEX, &err), &err);
	pass_ok(true);
	assert_int_equal(generation(), 3);
	assert_cause("its record of what it had applied was lost");
	assert_quiet();
	assert_ok(file_replace_in(root.fd, PATH_INDEX, "dynia-index 9\n", 14, 0600, &err), &err);
	pass_ok(true);
	assert_int_equal(generation(), 4);
	assert_quiet();
	/* Without the state, the index says what is there. */
	assert_ok(file_remove_in(root.fd, PATH_STATE, &err), &err);
	pass_ok(false);
	assert_int_equal(generation(), 4);
	assert_quiet();
	/* Without both, all of it is new once more. */
	assert_ok(file_remove_in(root.fd, PATH_STATE, &err), &err);
	assert_ok(file_remove_in(root.fd, PATH_INDEX, &err), &err);
	pass_ok(true);
	assert_quiet();
}

/* Killed after the index was written and before the state: what is there is what the index says,
 * and that is what a bad commit falls back to. */
static void test_killed_before_the_state_was_written(void **unused)
{
	CLEANUP(strbuf_release) struct strbuf old = STRBUF_INIT;
	AUTO_FREE char *second = NULL;
	AUTO_FREE char *applied = NULL;
	struct outcome outcome;
	struct err err = {0};

	(void)unused;
	pass_ok(true);
	assert_ok(file_read_in(root.fd, PATH_STATE, 1 << 20, &old, &err), &err);
	commit_hello("two");
	second = fixture_git(&fx, "work", "rev-parse", "HEAD", NULL);
	pass_ok(true);
	assert_ok(file_replace_in(root.fd, PATH_STATE, old.buf, old.len, 0600, &err), &err);
	commit_hello("[broken");
	assert_int_equal(pass(&outcome, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_false(outcome.changed);
	applied = status_field("revision", "applied");
	assert_memory_equal(applied + 1, second, 40);
	assert_quiet();
}

static int take_port(void)
{
	const struct sockaddr_in in = {.sin_family = AF_INET,
				       .sin_port = htons(HTTP_PORT),
				       .sin_addr.s_addr = inet_addr(ADDRESS)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t until = clock_ms() + 10000;
	int on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	/* A worker whose master was killed takes a moment to go. */
	while (bind(fd, (const struct sockaddr *)&in, sizeof(in)) < 0)
		if (clock_ms() < until)
			clock_sleep_ms(20);
		else
			fail_msg("port %d stays taken", HTTP_PORT);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* A port that is taken when the first commit of all is applied is no reason never to try it again.
 */
static void test_the_port_is_taken_for_a_while(void **unused)
{
	AUTO_CLOSE int taken = take_port();
	struct outcome outcome;
	struct err err;

	(void)unused;
	assert_int_equal(pass(&outcome, &err), -1);
	assert_int_equal(err.code, ERR_APPLY);
	cleanup_close(&taken);
	taken = -1;
	pass_ok(true);
	assert_quiet();
}

/* Nor when a program that died cannot be started again at once: the commit is applied, and stays
 * so. */
static void test_a_repair_that_fails_is_tried_again(void **unused)
{
	AUTO_CLOSE int taken = -1;
	struct outcome outcome;
	struct err err = {0};

	(void)unused;
	pass_ok(true);
	assert_ok(process_stop(process_find_daemon(root.fd, "/run/dynia/haproxy.pid"), SIGKILL,
			       5000, &err),
		  &err);
	taken = take_port();
	assert_int_equal(pass(&outcome, &err), -1);
	assert_int_equal(err.code, ERR_APPLY);
	cleanup_close(&taken);
	taken = -1;
	pass_ok(true);
	assert_cause("drift: it was not running");
	assert_quiet();
}

/* The refused commit needs the other nodes' addresses, the one that is applied does not: it is
 * refused once. */
static void test_a_refused_commit_is_not_tried_again(void **unused)
{
	static const char panda[] = "  panda: {address: " REACHABLE "}\n";
	static const char with_owl[] = "  panda: {address: " REACHABLE "}\n  owl: {}\n";
	struct outcome outcome;
	struct err err;

	(void)unused;
	/* A node whose address is a loopback address has no others. */
	write_cluster(panda, "");
	commit_hello("one");
	pass_ok(true);
	write_cluster(with_owl, ", user: admin, password: {secret: nope}");
	commit_hello("two");
	assert_int_equal(pass(&outcome, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "nope"));
	assert_int_equal(pass(&outcome, &err), -1);
	assert_quiet();
	write_cluster(panda, "");
	commit_hello("three");
	pass_ok(true);
}

static void test_a_commit_that_changes_no_file(void **unused)
{
	(void)unused;
	pass_ok(true);
	fixture_write(&fx, "work/README.md", "hello\n");
	commit("readme");
	pass_ok(false);
	assert_int_equal(generation(), 1);
	assert_quiet();
}

static void test_one_agent_at_a_time(void **unused)
{
	CLEANUP(agent_release) struct agent first = AGENT_INIT;
	CLEANUP(agent_release) struct agent second = AGENT_INIT;
	struct err err = {0};

	(void)unused;
	assert_ok(open_agent(&first, &err), &err);
	assert_fails(open_agent(&second, &err), &err, ERR_SYSTEM, "another dynia");
	agent_release(&first);
	agent_release(&second);
	assert_ok(open_agent(&second, &err), &err);
}

static void test_configurations_that_are_refused(void **unused)
{
	static const struct {
		const char *text;
		const char *message;
	} bad[] = {
		{"version: 1\ncluster: shop\n", "repository"},
		{"version: 1\nrepository: /r\ncluster: shop\nnod: x\n", "nod"},
		{"version: 1\nrepository: gopher://x/y\ncluster: shop\nnode: panda\n", "gopher"},
		{"version: 1\nrepository: /r\ncluster: shop\nnode: panda\nverify: {signer: /s}\n",
		 "signer"},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP(agent_release) struct agent agent = AGENT_INIT;
		struct err err = {0};

		fixture_write(&fx, "node/etc/dynia/agent.yaml", bad[i].text);
		assert_fails(open_agent(&agent, &err), &err, ERR_CONFIG, bad[i].message);
	}
}

/* --- facts --------------------------------------------------------------------------- */

static void test_causes_of_inputs(void **unused)
{
	CLEANUP(causes_release) struct causes causes = CAUSES_INIT(pool);
	json_t *from = json_pack("{ss ss ss ss}", "ipv6", "true", "address of owl", "10.0.0.1",
				 "address of elk", "", "secrets.yaml", "1111");
	json_t *to = json_pack("{ss ss ss}", "ipv6", "true", "address of fox", "10.0.0.2",
			       "secrets.yaml", "2222");

	(void)unused;
	inputs_causes(NULL, to, &causes);
	inputs_causes(to, to, &causes);
	assert_int_equal(causes.n, 0);
	inputs_causes(from, to, &causes);
	assert_int_equal(causes.n, 3);
	assert_string_equal(causes.v[0].text, "node: address of owl 10.0.0.1 → (none)");
	assert_string_equal(causes.v[1].text, "node: address of fox (none) → 10.0.0.2");
	assert_string_equal(causes.v[2].text, "node: secrets.yaml changed");
	json_decref(from);
	json_decref(to);
}

/* A status is a stranger's word: an address that is nobody's, everybody's, or another node's is none. */
static void test_addresses_of_peers(void **unused)
{
	static const struct {
		const char *node, *says, *counts;
	} cases[] = {
		{"a", "10.1.0.1", "10.1.0.1"}, {"b", "10.1.0.1", NULL},
		{"c", "127.0.0.1", NULL},      {"d", "0.0.0.0", NULL},
		{"e", "224.0.0.1", NULL},      {"f", "255.255.255.255", NULL},
		{"g", "fe80::1", NULL},        {"h", "no address", NULL},
		{"i", "10.1.0.2", "10.1.0.2"},
	};
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	AUTO_FREE char *path = fixture_path(&fx, "peers.git");
	struct peer_fact *peers;
	struct err err = {0};
	size_t n;

	(void)unused;
	assert_ok(mirror_create(path, &m, NULL, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *json =
			pool_printf(pool, "{\"version\": 1, \"facts\": {\"address\": \"%s\"}}",
				    cases[i].says);

		assert_ok(status_ref_commit(m, "shop", cases[i].node, json, strlen(json), "x",
					    1700000000, 10, NULL, &err),
			  &err);
	}
	assert_ok(peers_read(m, "shop", pool, &peers, &n, &err), &err);
	assert_int_equal(n, ARRAY_SIZE(cases));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(peers[i].name, cases[i].node);
		if (cases[i].counts)
			assert_string_equal(peers[i].address, cases[i].counts);
		else
			assert_null(peers[i].address);
	}
}

static void test_machine(void **unused)
{
	struct machine machine;

	(void)unused;
	machine_look(pool, &machine);
	assert_true(machine.arch[0] && machine.os[0]);
	assert_true(machine.memory_bytes > 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_second_pass_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_record_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_before_the_state_was_written, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_port_is_taken_for_a_while, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_repair_that_fails_is_tried_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_refused_commit_is_not_tried_again,
						setup_reachable, teardown_reachable),
		cmocka_unit_test_setup_teardown(test_a_commit_that_changes_no_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_one_agent_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configurations_that_are_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_causes_of_inputs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses_of_peers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
	};

	if (!enter_own_network())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
