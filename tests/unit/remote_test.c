#include "tests/unit/git_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/pool.h"
#include "gitsync/mirror.h"
#include "gitsync/status_ref.h"

#define OWN "refs/heads/status/shop/own"
#define OTHER "refs/heads/status/shop/other"
#define UNKNOWN "1234567890123456789012345678901234567890"

/* A server repository "server.git" with a branch and status refs, and a mirror "repo.git". */
struct env {
	struct fixture fx;
	struct mirror *m;
	struct pool *pool;
	char *server;
	char *first;
	struct remote remote;
	pid_t daemon;
};

static int setup(void **state)
{
	struct env *env = xcalloc(1, sizeof(*env));
	struct err err = {0};
	AUTO_FREE char *path = NULL;

	fixture_init(&env->fx);
	path = fixture_path(&env->fx, "repo.git");
	env->pool = pool_new();
	env->server = fixture_path(&env->fx, "server.git");
	env->first = fixture_work(&env->fx);
	fixture_run(&env->fx, ".", "clone", "-q", "--bare", "work", "server.git", NULL);
	assert_ok(mirror_create(path, &env->m, NULL, &err), &err);
	env->remote = (struct remote) {.url = env->server,
				       .branch = "main",
				       .cluster = "shop",
				       .deadline_ms = 20000};
	*state = env;
	return 0;
}

static int teardown(void **state)
{
	struct env *env = *state;

	if (env->daemon > 0) {
		kill(env->daemon, SIGKILL);
		waitpid(env->daemon, NULL, 0);
	}
	mirror_free(env->m);
	pool_free(env->pool);
	fixture_release(&env->fx);
	free(env->server);
	free(env->first);
	free(env);
	return 0;
}

/* Points a ref of the server at a commit of its main branch's tree with this message. */
static char *server_ref(struct env *env, const char *ref, const char *message)
{
	char *oid = fixture_git(&env->fx, "server.git", "commit-tree", "-m", message, "main^{tree}",
				NULL);

	fixture_run(&env->fx, "server.git", "update-ref", ref, oid, NULL);
	return oid;
}

static void fetch(struct env *env)
{
	struct err err = {0};

	assert_ok(remote_fetch(env->m, &env->remote, OWN, &err), &err);
}

static void assert_at(struct env *env, const char *ref, const char *want)
{
	struct err err = {0};
	char got[GIT_OID_HEX];

	assert_ok(mirror_resolve(env->m, ref, got, &err), &err);
	assert_string_equal(got, want);
}

static void assert_no_ref(struct env *env, const char *ref)
{
	struct err err = {0};
	char got[GIT_OID_HEX];

	assert_fails(mirror_resolve(env->m, ref, got, &err), &err, ERR_GIT, "no revision");
}

/* --- servers ------------------------------------------------------------------------- */

/* A socket that listens on a free port of the loopback. */
static int listen_any(int *ret_port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*ret_port = ntohs(addr.sin_port);
	return fd;
}

static bool can_connect(int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

/* Serves the fixture's folder by git daemon; gives the port. Not through `git`, which would stay
 * between as a parent. */
static int start_daemon(struct env *env)
{
	AUTO_FREE char *exec_path = fixture_git(&env->fx, ".", "--exec-path", NULL);
	AUTO_FREE char *program = xasprintf("%s/git-daemon", exec_path);
	AUTO_FREE char *base = xasprintf("--base-path=%s", env->fx.root);
	AUTO_FREE char *port_arg = NULL;
	int port, fd = listen_any(&port);

	close(fd);
	port_arg = xasprintf("--port=%d", port);
	env->daemon = fork();
	assert_true(env->daemon >= 0);
	if (env->daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* It complains of our looking whether it is there. */
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		execl(program, program, "--listen=127.0.0.1", port_arg, base, "--export-all",
		      "--enable=receive-pack", "--reuseaddr", "--informative-errors", NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		if (can_connect(port))
			return port;
		clock_sleep_ms(10);
	}
	fail_msg("git daemon does not start");
	return -1;
}

/* A server that takes connections, says one thing or nothing, and closes them or lets them hang. */
static int start_strange_server(struct env *env, bool closes, const char *says)
{
	int port, fd = listen_any(&port);

	env->daemon = fork();
	assert_true(env->daemon >= 0);
	if (env->daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int client = accept(fd, NULL, NULL);

			if (says && write(client, says, strlen(says)) < 0)
				_exit(1);
			if (closes)
				close(client);
		}
	}
	close(fd);
	return port;
}

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

/* --- pushing ------------------------------------------------------------------------- */

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

/* --- damage -------------------------------------------------------------------------- */

/* Replaces the file of an object by something else, and forgets what was read of the mirror before.
 */
static void wreck_object(struct env *env, const char *rev)
{
	struct err err = {0};
	AUTO_FREE char *oid = fixture_git(&env->fx, "repo.git", "rev-parse", rev, NULL);
	AUTO_FREE char *file = xasprintf("repo.git/objects/%.2s/%s", oid, oid + 2);
	AUTO_FREE char *path = fixture_path(&env->fx, "repo.git");

	fixture_run(&env->fx, "repo.git", "-c",
		    "alias.unpack=!mv objects/pack/*.pack . && rm objects/pack/* && "
		    "cat *.pack | git unpack-objects -q && rm *.pack",
		    "unpack", NULL);
	assert_true(fixture_has(&env->fx, file));
	fixture_write(&env->fx, file, "this is no object");
	mirror_freep(&env->m);
	assert_ok(mirror_create(path, &env->m, NULL, &err), &err);
}

/* A file that cannot be read any more shows only when it is read; the next talk with the remote
 * mends it. */
static void test_damage_found_by_reading(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	CLEANUP(source_freep) struct source *src = NULL;
	const char *data;
	size_t len;

	fetch(env);
	wreck_object(env, "main:clusters/shop/cluster.yaml");
	assert_ok(snapshot_open(env->m, env->first, &src, &err), &err);
	assert_fails(source_read(src, "clusters/shop/cluster.yaml", 100, env->pool, &data, &len,
				 &err),
		     &err, ERR_GIT, "read 'clusters/shop/cluster.yaml'");
	assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_GIT,
		     "damaged and in use");
	source_freep(&src);
	assert_ok(remote_poll(env->m, &env->remote, &refs, &err), &err);
	assert_no_ref(env, "refs/heads/main");
	fetch(env);
	assert_ok(snapshot_open(env->m, env->first, &src, &err), &err);
	assert_int_equal(source_read(src, "clusters/shop/cluster.yaml", 100, env->pool, &data, &len,
				     &err),
			 1);
	assert_true(fixture_has(&env->fx, "repo.git.broken"));
}

/* The object of the branch's new tip is there by name, so it is not fetched, and cannot be read. */
static void test_damage_found_by_fetching(void **state)
{
	struct env *env = *state;
	AUTO_FREE char *second = NULL, *file = NULL;
	AUTO_FREE char *url = xasprintf("git://127.0.0.1:%d/server.git", start_daemon(env));

	env->remote.url = url;
	fetch(env);
	fixture_write(&env->fx, "work/new.yaml", "new");
	second = fixture_commit(&env->fx, "work", "second");
	fixture_run(&env->fx, "work", "push", "-q", env->server, "main", NULL);
	file = xasprintf("repo.git/objects/%.2s/%s", second, second + 2);
	fixture_write(&env->fx, file, "this is no object");
	fetch(env);
	assert_at(env, "refs/heads/main", second);
	assert_true(fixture_has(&env->fx, "repo.git.broken"));
	fixture_run(&env->fx, "repo.git", "fsck", "--full", "--strict", NULL);
}

/* Where the new mirror cannot be made either, there is an error each time, and no crash. */
static void test_damage_that_cannot_be_mended(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	struct remote_refs refs = {.pool = env->pool};
	CLEANUP(source_freep) struct source *src = NULL;
	struct rlimit old, few;
	char got[GIT_OID_HEX];
	const char *data;
	size_t len;

	fetch(env);
	wreck_object(env, "main:clusters/shop/cluster.yaml");
	assert_ok(snapshot_open(env->m, env->first, &src, &err), &err);
	assert_fails(source_read(src, "clusters/shop/cluster.yaml", 100, env->pool, &data, &len,
				 &err),
		     &err, ERR_GIT, "read 'clusters/shop/cluster.yaml'");
	source_freep(&src);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit) {.rlim_cur = 20, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 2; i++)
		assert_fails(remote_poll(env->m, &env->remote, &refs, &err), &err, ERR_SYSTEM,
			     "repo.git");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_ok(mirror_resolve(env->m, "main", got, &err), &err);
	fetch(env);
	assert_at(env, "refs/heads/main", env->first);
}

/* A fetch that failed leaves nothing, of itself or of one before that was killed. */
static void test_nothing_left_after_failure(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	fixture_write(&env->fx, "repo.git.incoming/pack_git2_abc123", "half");
	env->remote.branch = "nope";
	assert_fails(remote_fetch(env->m, &env->remote, OWN, &err), &err, ERR_GIT, "no branch");
	assert_false(fixture_has(&env->fx, "repo.git.incoming"));
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
		cmocka_unit_test_setup_teardown(test_push_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_to_silent_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_found_by_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_found_by_fetching, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_that_cannot_be_mended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_left_after_failure, setup, teardown),
	};

	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
