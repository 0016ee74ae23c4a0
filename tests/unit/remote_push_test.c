#include "tests/unit/remote_fixture.h"

#include "gitsync/status_ref.h"

static void commit_status(struct env *env, const char *message, int64_t keep)
{
	struct err err = {0};

	assert_ok(status_ref_commit(env->m, "shop", "own", "{}", 2, message, 1700000000, keep, NULL,
				    &err),
		  &err);
}

static void check_push(struct env *env, const char *url)
{
	struct err err = {0};
	AUTO_FREE char *log = NULL, *check = NULL;

	env->remote.url = url;
	fetch(env);
	for (int i = 0; i < 4; i++) {
		AUTO_FREE char *text = xasprintf("own: %d", i);

		/* The history is cut twice, so two pushes do not go forward. */
		commit_status(env, text, 2);
		assert_ok(remote_push(env->m, &env->remote, OWN, &err), &err);
	}
	log = fixture_git(&env->fx, "server.git", "log", "--format=%s", OWN, NULL);
	assert_string_equal(log, "own: 3\nown: 2");
	check = fixture_git(&env->fx, "server.git", "fsck", "--full", "--no-dangling", NULL);
	assert_string_equal(check, "");
	/* Nothing new: no error. */
	assert_ok(remote_push(env->m, &env->remote, OWN, &err), &err);
}

static void test_push_path(void **state)
{
	struct env *env = *state;

	check_push(env, env->server);
}

static void test_push_daemon(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/server.git", start_daemon(env));

	check_push(env, url);
}

static void test_push_refused(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/server.git", start_daemon(env));

	fixture_write(&env->fx, "server.git/hooks/update", "#!/bin/sh\necho no\nexit 1\n");
	assert_int_equal(fchmodat(env->fx.fd, "server.git/hooks/update", 0755, 0), 0);
	env->remote.url = url;
	commit_status(env, "own: healthy", 0);
	assert_fails(remote_push(env->m, &env->remote, OWN, &err), &err, ERR_GIT,
		     "refuses the push of '" OWN "': hook declined");
}

static void test_push_fails(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	AUTO_FREE char *missing = fixture_path(&env->fx, "nope.git");

	assert_fails(remote_push(env->m, &env->remote, OWN, &err), &err, ERR_GIT, OWN);
	commit_status(env, "own: healthy", 0);
	assert_fails(remote_push(env->m, &env->remote, "refs/heads/a..b", &err), &err, ERR_GIT,
		     "is no ref to push");
	assert_fails(remote_push(env->m, &env->remote, "--force", &err), &err, ERR_GIT,
		     "is no ref to push");
	env->remote.url = missing;
	assert_fails(remote_push(env->m, &env->remote, OWN, &err), &err, ERR_GIT, missing);
}

static void test_push_to_silent_server(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	AUTO_FREE char *url =
		xasprintf("git://127.0.0.1:%d/x.git", start_strange_server(env, false, NULL));

	commit_status(env, "own: healthy", 0);
	env->remote.url = url;
	env->remote.deadline_ms = 300;
	assert_fails(remote_push(env->m, &env->remote, OWN, &err), &err, ERR_NETWORK, url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_push_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_to_silent_server, setup, teardown),
	};

	return cmocka_run_group_tests_name("remote_push", tests, NULL, NULL);
}
