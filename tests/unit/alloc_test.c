#include "base/alloc.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pool.h"
#include "base/strbuf.h"
#include "tests/unit/test.h"

/* Kept from the compiler, which would see that the product overflows. */
static volatile size_t huge = SIZE_MAX / 4;

static void overflow_calloc(void)
{
	free(xcalloc(huge, 8));
}

static void overflow_realloc(void)
{
	free(xreallocarray(NULL, huge, 8));
}

static void overflow_pool(void)
{
	pool_calloc(pool_new(), huge, 8);
}

static void overflow_pool_alloc(void)
{
	pool_alloc(pool_new(), SIZE_MAX - 3);
}

static void overflow_strbuf(void)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_grow(&sb, SIZE_MAX);
}

/* Runs fn in a child and expects abort(), and a line that says why. */
static void assert_aborts(void (*fn)(void))
{
	const struct rlimit no_core = {0, 0};
	char text[512] = "";
	int fds[2];
	int status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_string_equal(text, "dynia: out of memory\n");
}

static void test_overflow_aborts(void **state)
{
	(void)state;
	assert_aborts(overflow_calloc);
	assert_aborts(overflow_realloc);
	assert_aborts(overflow_pool);
	assert_aborts(overflow_pool_alloc);
	assert_aborts(overflow_strbuf);
}

static void test_zero_sizes(void **state)
{
	(void)state;
	AUTO_FREE void *a = xmalloc(0);
	AUTO_FREE void *b = xcalloc(0, 4);
	AUTO_FREE void *c = xreallocarray(NULL, 4, 0);

	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
}

static void test_strings(void **state)
{
	(void)state;
	AUTO_FREE char *whole = xstrdup("owl");
	AUTO_FREE char *cut = xstrndup("brave-panda", 5);
	AUTO_FREE char *shorter = xstrndup("owl", 100);
	AUTO_FREE char *made = xasprintf("%s:%d", "owl", 80);

	assert_string_equal(whole, "owl");
	assert_string_equal(cut, "brave");
	assert_string_equal(shorter, "owl");
	assert_string_equal(made, "owl:80");
}

static void test_grow(void **state)
{
	int *v = NULL;
	size_t n = 0;
	size_t alloc = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		GROW(v, n, alloc);
		v[n++] = i;
	}
	assert_true(alloc >= n);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v[i], i);
	free(v);
}

static void test_steal(void **state)
{
	AUTO_FREE char *a = xstrdup("x");
	AUTO_FREE char *b = STEAL(a);
	int fd = 7;

	(void)state;
	assert_null(a);
	assert_string_equal(b, "x");
	assert_int_equal(STEAL_FD(fd), 7);
	assert_int_equal(fd, -1);
}

static void test_close_keeps_errno(void **state)
{
	int fds[2];
	int none = -1;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	errno = EEXIST;
	cleanup_close(&fds[0]);
	cleanup_close(&fds[0]); /* EBADF now */
	cleanup_close(&none);
	assert_int_equal(errno, EEXIST);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overflow_aborts), cmocka_unit_test(test_zero_sizes),
		cmocka_unit_test(test_strings),         cmocka_unit_test(test_grow),
		cmocka_unit_test(test_steal),           cmocka_unit_test(test_close_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
