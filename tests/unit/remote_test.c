#include "tests/unit/remote_fixture.h"

#include "gitsync/status_ref.h"

/* --- listing and fetching ------------------------------------------------------------ */

static void check_poll(struct env *env, const char *url)
{
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	AUTO_FREE char *own = server_ref(env, OWN, "own");
	AUTO_FREE char *other = server_ref(env, OTHER, "other");

	free(server_ref(env, "refs/heads/status/blog/other", "another cluster"));
	free(server_ref(env, "refs/heads/status/shop/NO", "no name"));
	free(server_ref(env, "refs/heads/feature", "another branch"));
	free(server_ref(env, "refs/tags/v1", "a tag"));
	env->remote.url = url;
	env->remote.own_ref = OWN;
	env->remote.peers = false;
	assert_ok(remote_poll(env->m, &env->remote, &refs, &err), &err);
	assert_int_equal(refs.n, 2);
	assert_null(remote_refs_find(&refs, OTHER));
	env->remote.peers = true;
	assert_ok(remote_poll(env->m, &env->remote, &refs, &err), &err);
	assert_int_equal(refs.n, 3);
	assert_string_equal(remote_refs_find(&refs, "refs/heads/main"), env->first);
	assert_string_equal(remote_refs_find(&refs, OWN), own);
	assert_string_equal(remote_refs_find(&refs, OTHER), other);
	assert_null(remote_refs_find(&refs, "refs/heads/feature"));
	assert_no_ref(env, "refs/heads/main");
}

static void test_poll_path(void **state)
{
	struct env *env = *state;

	check_poll(env, env->server);
}

static void test_poll_file(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *url = xasprintf("file://%s", env->server);

	check_poll(env, url);
}

static void test_poll_daemon(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/server.git", start_daemon(env));

	check_poll(env, url);
}

static void test_poll_empty(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	AUTO_FREE char *empty = fixture_path(&env->fx, "empty.git");

	fixture_run(&env->fx, ".", "init", "-q", "--bare", "empty.git", NULL);
	env->remote.url = empty;
	assert_ok(remote_poll(env->m, &env->remote, &refs, &err), &err);
	assert_int_equal(refs.n, 0);
	assert_null(remote_refs_find(&refs, "refs/heads/main"));
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_GIT,
		     "there is no branch 'main': push one, or set branch: in agent.yaml");
}

/* Twice, with news in between; the server's files are then read from the mirror. */
static void check_fetch(struct env *env, const char *url)
{
	AUTO_FREE char *second = NULL, *third = NULL;
	AUTO_FREE char *other = server_ref(env, OTHER, "other");

	env->remote.url = url;
	fetch(env);
	assert_at(env, "refs/heads/main", env->first);
	assert_at(env, OTHER, other);
	fixture_write(&env->fx, "work/new.yaml", "new");
	second = fixture_commit(&env->fx, "work", "second");
	fixture_run(&env->fx, "work", "push", "-q", env->server, "main", NULL);
	fetch(env);
	fetch(env);
	assert_at(env, "refs/heads/main", second);
	fixture_run(&env->fx, "work", "checkout", "-q", "-B", "main", "HEAD~1", NULL);
	third = fixture_commit(&env->fx, "work", "instead of the second");
	fixture_run(&env->fx, "work", "push", "-q", "-f", env->server, "main", NULL);
	fetch(env);
	assert_at(env, "refs/heads/main", third);
	fixture_run(&env->fx, "repo.git", "fsck", "--full", "--strict", NULL);
}

static void test_fetch_path(void **state)
{
	struct env *env = *state;

	check_fetch(env, env->server);
}

static void test_fetch_daemon(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/server.git", start_daemon(env));

	check_fetch(env, url);
}

static void test_fetch_odd_path(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *odd = fixture_path(&env->fx, "a:b c%41\xc3\xa4.git");

	assert_int_equal(rename(env->server, odd), 0);
	env->remote.url = odd;
	fetch(env);
	assert_at(env, "refs/heads/main", env->first);
}

static void test_fetch_takes_no_more(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *refs = NULL;

	free(server_ref(env, "refs/heads/feature", "another branch"));
	free(server_ref(env, "refs/heads/status/blog/other", "another cluster"));
	free(server_ref(env, "refs/heads/status/shop/a/b", "no name"));
	fixture_run(&env->fx, "server.git", "tag", "v1", "main", NULL);
	fetch(env);
	refs = fixture_git(&env->fx, "repo.git", "for-each-ref", "--format=%(refname)", NULL);
	assert_string_equal(refs, "refs/heads/main");
	assert_false(fixture_has(&env->fx, "repo.git/FETCH_HEAD"));
}

static void test_own_ref(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	char mine[GIT_OID_HEX];
	AUTO_FREE char *lost = server_ref(env, OWN, "from before the disk was lost");

	fetch(env);
	assert_at(env, OWN, lost);
	assert_ok(status_ref_commit(env->m, "shop", "own", "{}", 2, "own: newer", 1700000000, 0,
				    NULL, &err),
		  &err);
	assert_ok(mirror_resolve(env->m, OWN, mine, &err), &err);
	free(server_ref(env, OWN, "a stranger's"));
	fetch(env);
	assert_at(env, OWN, mine);
	fixture_run(&env->fx, "server.git", "update-ref", "-d", OWN, NULL);
	fetch(env);
	assert_at(env, OWN, mine);
}

static void test_gone_status_refs(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	free(server_ref(env, OTHER, "other"));
	fetch(env);
	assert_ok(status_ref_commit(env->m, "blog", "b", "{}", 2, "b: fine", 1700000000, 0, NULL,
				    &err),
		  &err);
	fixture_run(&env->fx, "server.git", "update-ref", "-d", OTHER, NULL);
	fetch(env);
	assert_no_ref(env, OTHER);
	/* Of another cluster: not this fetch's. */
	assert_false(mirror_resolve(env->m, "refs/heads/status/blog/b", (char[GIT_OID_HEX]) {0},
				    &err) < 0);
}

/* A status ref that is no commit neither stops the branch nor arrives. */
static void test_hostile_status_ref(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *blob = fixture_git(&env->fx, "server.git", "rev-parse",
					   "main:clusters/shop/cluster.yaml", NULL);

	fixture_write(&env->fx, "server.git/refs/heads/status/shop/other", blob);
	fetch(env);
	assert_at(env, "refs/heads/main", env->first);
	assert_no_ref(env, OTHER);
}

/* --- failures ------------------------------------------------------------------------ */

static void test_missing_branch(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/server.git", start_daemon(env));
	AUTO_FREE char *want = xasprintf("'%s': there is no branch 'live': push one", url);

	env->remote.branch = "live";
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_GIT, "'live'");
	env->remote.url = url;
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_GIT, want);
	assert_no_ref(env, "refs/heads/main");
}

static void test_missing_repository(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	AUTO_FREE char *path = fixture_path(&env->fx, "nope.git");
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/nope.git", start_daemon(env));

	env->remote.url = path;
	assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_GIT, path);
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_GIT, path);
	env->remote.url = url;
	assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_GIT,
		     "no such repository");
}

static void test_nobody_listens(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	int port, fd = listen_any(&port);
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/x.git", port);

	close(fd);
	env->remote.url = url;
	assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_NETWORK, url);
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_NETWORK, url);
}

static void test_silent_server(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	AUTO_FREE char *url =
		xasprintf("git://127.0.0.1:%d/x.git", start_strange_server(env, false, NULL));
	int64_t started = clock_ms();

	env->remote.url = url;
	env->remote.deadline_ms = 300;
	assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_NETWORK, url);
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_NETWORK, url);
	assert_in_range(clock_ms() - started, 600, 5000);
}

static void test_server_that_closes(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	AUTO_FREE char *url =
		xasprintf("git://127.0.0.1:%d/x.git", start_strange_server(env, true, NULL));

	env->remote.url = url;
	assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_NETWORK, url);
}

static void test_server_that_talks_nonsense(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"fffffffffffffffff",
		"0000",
		"003fzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz refs/heads/main\n0000",
		"0008ERR\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct env *env;
		struct err err = {0};
		AUTO_FREE char *url = NULL;

		setup((void **)&env);
		url = xasprintf("git://127.0.0.1:%d/x.git",
				start_strange_server(env, true, answers[i]));
		env->remote.url = url;
		assert_int_equal(remote_fetch(env->m, &env->remote, OWN, &err), -1);
		assert_true(err.code == ERR_NETWORK || err.code == ERR_GIT);
		assert_non_null(strstr(err.msg, url));
		teardown((void **)&env);
	}
	(void)state;
}

static void test_unsupported(void **state)
{
	static const struct {
		const char *url, *error;
	} cases[] = {
		{"https://user:hunter2@example.com/x.git",
		 "'https://example.com/x.git' has a user that is no name: passwords do not"},
		{"https://token@example.com/x.git",
		 "'https://example.com/x.git' names a user: put that in credentials.username"},
		{"https://example.com/x.git?a=b", "has a '?' or '#' in it"},
		{"https://example.com", "names no repository on that host"},
		{"https:///x.git", "names no host"},
		{"https://example.com:0/x.git", "names no port"},
		{"https://example.com:/x.git", "names no port behind the ':'"},
		{"http://example.com/x.git", "is no address of a repository"},
		{"ssh://-oProxyCommand=id/x.git", "names no host"},
		{"ssh://git@-oProxyCommand=id/x.git", "names no host"},
		{"ssh://-oProxyCommand=id@example.com/x.git", "passwords do not belong there"},
		{"ssh://git@[::1/x.git", "has a '[' without a ']'"},
		{"git@-oProxyCommand=id:x.git", "names no host"},
		{"git@example.com:-x.git", "names no repository on that host"},
		{"git@exa mple.com:x.git", "names no host"},
		{"ext::sh -c id", "is no address of a repository"},
		{"file://host/x.git", "is no address of a repository"},
		{"relative/x.git", "is no address of a repository"},
		{"--upload-pack=id", "is no address of a repository"},
		{"", "is no address of a repository"},
		{"git://user:hunter2@example.com/x.git",
		 "'git://example.com/x.git' has a user that is no name"},
		{"git://user@example.com/x.git", "git:// knows none"},
		{"/srv/x\ny", "control characters"},
	};
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		env->remote.url = cases[i].url;
		assert_fails(remote_supported(cases[i].url, &err), &err, ERR_CONFIG,
			     cases[i].error);
		assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_CONFIG,
			     cases[i].error);
		assert_null(strstr(err.msg, "hunter2"));
	}
	assert_ok(remote_supported("git://example.com/x.git", &err), &err);
	assert_ok(remote_supported("file:///srv/x.git", &err), &err);
	assert_ok(remote_supported("/srv/x.git", &err), &err);
}

static void test_bad_names(void **state)
{
	static const char *const branches[] = {"--all",  "a..b",   "a b",
					       "*",      "",       "a\nb",
					       "x.lock", "status", "status/shop/own"};
	struct env *env = *state;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(branches); i++) {
		env->remote.branch = branches[i];
		assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_CONFIG,
			     "is no name of a branch");
	}
	env->remote.branch = "main";
	env->remote.cluster = "*";
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_CONFIG,
		     "is no name of a cluster");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_poll_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poll_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poll_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poll_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_odd_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_takes_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_ref, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_status_refs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_status_ref, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_branch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_repository, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_that_closes, setup, teardown),
		cmocka_unit_test(test_server_that_talks_nonsense),
		cmocka_unit_test_setup_teardown(test_unsupported, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_names, setup, teardown),
	};

	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
