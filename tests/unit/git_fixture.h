/*
 * A folder below /tmp with git repositories in it, made by git itself, for the tests of gitsync/.
 *
 *	struct fixture fx;
 *	fixture_init(&fx);                            fx.root
 *	fixture_write(&fx, "work/a.yaml", "x");
 *	AUTO_FREE char *oid = fixture_git(&fx, "work", "rev-parse", "HEAD", NULL);
 *	fixture_release(&fx);
 */
#ifndef TESTS_UNIT_GIT_FIXTURE_H
#define TESTS_UNIT_GIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/strvec.h"
#include "gitsync/worker.h"

struct fixture {
	char root[32];
	int fd;
};

#define assert_ok(call, err)                                                                       \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, (err)->msg);                                     \
	} while (0)

#define assert_fails(call, err, want_code, text)                                                   \
	do {                                                                                       \
		err_clear(err);                                                                    \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal((err)->code, want_code);                                          \
		if (!strstr((err)->msg, text))                                                     \
			fail_msg("'%s' is not in '%s'", text, (err)->msg);                         \
	} while (0)

/* The program of this build, for workers: build/dynia beside build/unit/x_test. */
static inline void fixture_use_program(void)
{
	char path[4096] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("dynia"));
	char *slash;

	assert_true(n > 0);
	for (int i = 0; i < 2; i++) {
		slash = strrchr(path, '/');
		assert_non_null(slash);
		*slash = '\0';
	}
	memcpy(slash, "/dynia", sizeof("/dynia"));
	worker_set_program(path);
}

static inline void fixture_init(struct fixture *fx)
{
	fixture_use_program();
	memcpy(fx->root, "/tmp/dynia-git-XXXXXX", sizeof("/tmp/dynia-git-XXXXXX"));
	assert_non_null(mkdtemp(fx->root));
	fx->fd = open(fx->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fx->fd >= 0);
}

static inline void fixture_release(struct fixture *fx)
{
	struct err err = {0};
	AUTO_CLOSE int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(fx->fd);
	assert_ok(file_remove_tree_in(tmp, fx->root + strlen("/tmp/"), &err), &err);
}

static inline char *fixture_path(const struct fixture *fx, const char *name)
{
	return xasprintf("%s/%s", fx->root, name);
}

static inline void fixture_write(const struct fixture *fx, const char *path, const char *text)
{
	struct err err = {0};

	assert_ok(file_replace_in(fx->fd, path, text, strlen(text), 0644, &err), &err);
}

static inline bool fixture_has(const struct fixture *fx, const char *path)
{
	struct stat st;

	return fstatat(fx->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Runs git in a folder of the fixture, with no configuration of the machine, and gives what it
 * printed, trimmed. */
static inline char *fixture_git_env(const struct fixture *fx, const char *dir, const char *date,
				    va_list args)
{
	struct err err = {0};
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	struct process_spec spec = {.timeout_ms = 60000, .capture_limit = 1 << 20};
	const char *arg;

	strvec_pushl(&argv, "git", "-C", NULL);
	strvec_pushf(&argv, "%s/%s", fx->root, dir);
	while ((arg = va_arg(args, const char *)) != NULL)
		strvec_push(&argv, arg);
	strvec_pushf(&env, "PATH=%s", getenv("PATH"));
	strvec_pushl(&env, "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A U Thor",
		     "GIT_AUTHOR_EMAIL=author@example.com", "GIT_COMMITTER_NAME=C O Mitter",
		     "GIT_COMMITTER_EMAIL=committer@example.com", NULL);
	strvec_pushf(&env, "GIT_AUTHOR_DATE=%s +0000", date);
	strvec_pushf(&env, "GIT_COMMITTER_DATE=%s +0000", date);
	spec.argv = argv.v;
	spec.env = env.v;
	assert_ok(process_run(&spec, &res, &err), &err);
	if (res.status != 0)
		fail_msg("git %s: %s", argv.v[3], res.errout.buf);
	strbuf_trim(&res.out);
	return strbuf_steal(&res.out);
}

static inline char *fixture_git(const struct fixture *fx, const char *dir, ...)
	__attribute__((sentinel));

static inline char *fixture_git(const struct fixture *fx, const char *dir, ...)
{
	va_list args;
	char *out;

	va_start(args, dir);
	out = fixture_git_env(fx, dir, "1700000000", args);
	va_end(args);
	return out;
}

/* The same where only success matters. */
static inline void fixture_run(const struct fixture *fx, const char *dir, ...)
	__attribute__((sentinel));

static inline void fixture_run(const struct fixture *fx, const char *dir, ...)
{
	va_list args;

	va_start(args, dir);
	free(fixture_git_env(fx, dir, "1700000000", args));
	va_end(args);
}

/* Commits all that is in the work tree DIR; gives the id. */
static inline char *fixture_commit(const struct fixture *fx, const char *dir, const char *message)
{
	fixture_run(fx, dir, "add", "-A", NULL);
	fixture_run(fx, dir, "commit", "-q", "--allow-empty", "-m", message, NULL);
	return fixture_git(fx, dir, "rev-parse", "HEAD", NULL);
}

/* A work tree "work" with one commit on main. */
static inline char *fixture_work(const struct fixture *fx)
{
	fixture_run(fx, ".", "init", "-q", "-b", "main", "work", NULL);
	fixture_write(fx, "work/clusters/shop/cluster.yaml", "version: 1\n");
	return fixture_commit(fx, "work", "first: a cluster");
}

#endif
