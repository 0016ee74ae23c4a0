#include "tests/unit/test.h"

#include <string.h>

#include "base/cleanup.h"
#include "spec/load.h"

struct fixture {
	struct pool *pool;
	struct diags diags;
};

static struct fixture fixture;

static int setup(void **state)
{
	fixture = (struct fixture) {.pool = pool_new()};
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	diags_release(&f->diags);
	pool_free(f->pool);
	return 0;
}

static struct agent_config *load(struct fixture *f, const char *text)
{
	return agent_config_load("agent.yaml", text, strlen(text), f->pool, &f->diags);
}

static struct spec_pairs *load_secrets(struct fixture *f, const char *text)
{
	return secrets_load("secrets.yaml", text, strlen(text), f->pool, &f->diags);
}

static void test_all_keys(void **state)
{
	struct fixture *f = *state;
	const struct agent_config *config = load(
		f, "version: 1\nrepository: [https://git.example.com/infra.git, "
		   "/srv/infra.git]\nbranch: live\n"
		   "cluster: shop\nnode: brave-panda\ninterval: 10s\ndeadline: 20s\n"
		   "credentials: {username: x-access-token, password_file: /etc/dynia/token}\n"
		   "verify: {signers: /etc/dynia/allowed_signers}\n"
		   "status: {repository: null, heartbeat: 1h, keep: 10}\nlisten: \"[::1]:9000\"\n");

	assert_int_equal(f->diags.n, 0);
	assert_int_equal(config->repository.n, 2);
	assert_string_equal(config->branch, "live");
	assert_string_equal(config->node, "brave-panda");
	assert_int_equal(config->interval_ms, 10000);
	assert_string_equal(config->credentials->password_file, "/etc/dynia/token");
	assert_string_equal(config->verify->signers, "/etc/dynia/allowed_signers");
	assert_null(config->status.repository);
	assert_int_equal(config->status.heartbeat_ms, 3600000);
	assert_string_equal(config->listen, "[::1]:9000");
}

static void test_defaults(void **state)
{
	struct fixture *f = *state;
	const struct agent_config *config =
		load(f,
		     "version: 1\nrepository: https://git.example.com/infra.git\ncluster: shop\n");

	assert_int_equal(f->diags.n, 0);
	assert_string_equal(config->branch, "main");
	assert_null(config->node);
	assert_int_equal(config->interval_ms, 30000);
	assert_int_equal(config->deadline_ms, 60000);
	assert_null(config->credentials);
	assert_null(config->verify);
	assert_int_equal(config->status.heartbeat_ms, 900000);
	assert_int_equal(config->status.keep, 1000);
	assert_string_equal(config->listen, "127.0.0.1:9797");
}

/* Each is put behind the keys that are needed. */
static void check_lines(struct fixture *f, const char *const *lines, size_t n, bool valid)
{
	for (size_t i = 0; i < n; i++) {
		const char *text = pool_printf(f->pool, "version: 1\ncluster: shop\n%s%s\n",
					       strstr(lines[i], "repository: ") == lines[i]
						       ? ""
						       : "repository: /srv/infra.git\n",
					       lines[i]);
		size_t before = f->diags.n;

		load(f, text);
		if ((f->diags.n == before) != valid)
			fail_msg("'%s' is %s", lines[i], valid ? "valid" : "not valid");
	}
}

static void test_valid_words(void **state)
{
	static const char *const lines[] = {
		"repository: https://git.example.com/infra.git",
		"repository: https://git.example.com:8443/a/b/infra.git",
		"repository: git://git.example.com/infra.git",
		"repository: file:///srv/infra.git",
		"repository: ssh://git@git.example.com:22/infra.git\n"
		"credentials: {ssh_key: /etc/key, known_hosts: /etc/known}",
		"repository: git@git.example.com:acme/infra.git\n"
		"credentials: {ssh_key: /etc/key, known_hosts: /etc/known}",
		"branch: release/1.2",
		"branch: feature_x-1",
		"listen: 0.0.0.0:1",
		"listen: \"[fd00::1]:65535\"",
		"status: {repository: \"https://git.example.com/status.git\"}",
	};

	check_lines(*state, lines, ARRAY_SIZE(lines), true);
}

static void test_invalid_words(void **state)
{
	static const char *const lines[] = {
		"repository: http://git.example.com/infra.git",
		"repository: https://user:password@git.example.com/infra.git",
		"repository: https://token@git.example.com/infra.git",
		"repository: ssh://git:password@git.example.com/infra.git",
		"repository: ssh://git@git.example.com/infra.git",
		"repository: git@git.example.com:infra.git",
		"repository: ssh://-oProxyCommand=x/y",
		"repository: ssh://git@-oProxyCommand=x/y",
		"repository: git@-oProxyCommand=x:y",
		"repository: -u@host:path",
		"repository: git@host:-x",
		"repository: https://git.example.com",
		"repository: https:///infra.git",
		"repository: infra.git",
		"repository: ../infra.git",
		"repository: \"https://git.example.com/a b\"",
		"repository: ext::sh -c x",
		"repository: []",
		"repository: [/srv/a, /srv/a]",
		"branch: a..b",
		"branch: -x",
		"branch: a b",
		"branch: a~b",
		"branch: \"a^b\"",
		"branch: \"a:b\"",
		"branch: \"a?b\"",
		"branch: \"a*b\"",
		"branch: \"a[b\"",
		"branch: a\\b",
		"branch: a.lock",
		"branch: a.lock/b",
		"branch: a/.b",
		"branch: /a",
		"branch: a/",
		"branch: a//b",
		"branch: a.",
		"branch: \"@\"",
		"branch: \"a@{b\"",
		"branch: \"\"",
		"node: Brave",
		"interval: 0s",
		"interval: 30",
		"deadline: 2h",
		"listen: 9797",
		"listen: localhost:9797",
		"listen: \"::1:9797\"",
		"listen: \"[127.0.0.1]:9797\"",
		"listen: 127.0.0.1:0",
		"listen: 127.0.0.1:65536",
		"listen: \":9797\"",
		"listen: \"[]:9797\"",
		"credentials: {password_file: /etc/token}",
		"credentials: {username: git}",
		"credentials: {ssh_key: /etc/key}",
		"credentials: {known_hosts: /etc/known}",
		"credentials: {username: git, password_file: token}",
		"credentials: {username: git, password_file: /etc/../token}",
		"credentials: {username: git, password_file: /etc/}",
		"credentials: {username: \"a:b\", password_file: /etc/token}",
		"verify: {}",
		"verify: {signers: signers}",
		"status: {heartbeat: 0s}",
		"status: {keep: 0}",
		"status: {repository: status.git}",
		"intervall: 30s",
	};

	check_lines(*state, lines, ARRAY_SIZE(lines), false);
}

/* A password in an address is refused without being shown. */
static void test_password_is_not_shown(void **state)
{
	struct fixture *f = *state;

	load(f, "version: 1\ncluster: shop\nrepository: "
		"https://user:hunter2@git.example.com/infra.git\n");
	assert_int_equal(f->diags.n, 1);
	assert_null(strstr(f->diags.v[0].msg, "hunter2"));
	assert_non_null(strstr(f->diags.v[0].msg, "credentials.password_file"));
}

static void test_missing_keys(void **state)
{
	struct fixture *f = *state;

	load(f, "");
	assert_int_equal(f->diags.n, 3);
	assert_null(load(f, "a: [\n"));
}

static void test_secrets(void **state)
{
	struct fixture *f = *state;
	const struct spec_pairs *secrets =
		load_secrets(f, "api-database-url: postgres://x\nstats.password: 12\n");

	assert_int_equal(f->diags.n, 0);
	assert_int_equal(secrets->n, 2);
	assert_string_equal(secrets->v[0].name, "api-database-url");
	assert_string_equal(secrets->v[1].value, "12");
	assert_int_equal(secrets->v[1].pos.line, 2);
	assert_int_equal(load_secrets(f, "")->n, 0);
}

static void test_wrong_secrets_are_not_shown(void **state)
{
	static const char *const texts[] = {
		"Name: hunter2\n",
		"a: [hunter2]\n",
		"a: {b: hunter2}\n",
		"a: |\n  hunter2\n  x\n",
		"a: \"hunter2\\ty\"\n",
		"a: hunter2\na: hunter2\n",
		"- hunter2\n",
		"hunter2\n",
		"a: &x hunter2\n",
		"a: \"hunter2\\x00\"\n",
		"a: hunter2: b\n",
		"a:\n",
		"a: \"\"\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t before = f->diags.n;

		load_secrets(f, texts[i]);
		assert_true(f->diags.n > before);
	}
	for (size_t i = 0; i < f->diags.n; i++)
		assert_null(strstr(f->diags.v[i].msg, "hunter2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_valid_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_invalid_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_password_is_not_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_secrets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_secrets_are_not_shown, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
