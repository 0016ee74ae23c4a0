/*
 * A server repository, a mirror, and servers for it, for the tests of gitsync/mirror.h's remote_*().
 *
 *	static void test_x(void **state) { struct env *env = *state; … }
 *	cmocka_unit_test_setup_teardown(test_x, setup, teardown)
 */
#ifndef TESTS_UNIT_REMOTE_FIXTURE_H
#define TESTS_UNIT_REMOTE_FIXTURE_H

#include "tests/unit/git_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/pool.h"
#include "gitsync/mirror.h"

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

static inline int setup(void **state)
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

static inline int teardown(void **state)
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
static inline char *server_ref(struct env *env, const char *ref, const char *message)
{
	char *oid = fixture_git(&env->fx, "server.git", "commit-tree", "-m", message, "main^{tree}",
				NULL);

	fixture_run(&env->fx, "server.git", "update-ref", ref, oid, NULL);
	return oid;
}

static inline void fetch(struct env *env)
{
	struct err err = {0};

	assert_ok(remote_fetch(env->m, &env->remote, OWN, &err), &err);
}

static inline void assert_at(struct env *env, const char *ref, const char *want)
{
	struct err err = {0};
	char got[GIT_OID_HEX];

	assert_ok(mirror_resolve(env->m, ref, got, &err), &err);
	assert_string_equal(got, want);
}

static inline void assert_no_ref(struct env *env, const char *ref)
{
	struct err err = {0};
	char got[GIT_OID_HEX];

	assert_fails(mirror_resolve(env->m, ref, got, &err), &err, ERR_GIT, "no revision");
}

/* --- servers ------------------------------------------------------------------------- */

/* A socket that listens on a free port of the loopback. */
static inline int listen_any(int *ret_port)
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

static inline bool can_connect(int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

/* Serves the fixture's folder by git daemon; gives the port. Not through `git`, which would stay
 * between as a parent. */
static inline int start_daemon(struct env *env)
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
static inline int start_strange_server(struct env *env, bool closes, const char *says)
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

#endif
