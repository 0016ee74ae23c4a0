#include "gitsync/poll.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gitsync/mirror.h"
#include "gitsync/pkt_line.h"
#include "spec/model.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tls_server.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define RESULT "application/x-git-upload-pack-result"
/* As poll.c has it. */
#define REST_POLLS 20

struct env {
	struct scratch dir;
	struct tls_server server;
	struct poller *poller;
	struct remote remote;
	char url[64], one[64], two[64];
};

static int setup(void **state)
{
	static struct env env;

	env = (struct env) {.dir = scratch_make(), .poller = poller_new()};
	env.server = tls_server_start(env.dir.path);
	snprintf(env.url, sizeof(env.url), "https://127.0.0.1:%d/infra.git", env.server.port);
	snprintf(env.one, sizeof(env.one), "%s/one.pem", env.dir.path);
	snprintf(env.two, sizeof(env.two), "%s/two.pem", env.dir.path);
	env.remote = (struct remote) {.url = env.url, .ca_file = env.one, .deadline_ms = 20000};
	*state = &env;
	return 0;
}

static int teardown(void **state)
{
	struct env *env = *state;

	poller_free(env->poller);
	tls_server_stop(&env->server);
	scratch_release(&env->dir);
	return 0;
}

static enum ref_interest wants(const void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return REF_WANTED;
}

/* What the server says from now on. */
static void say(struct env *env, enum tls_behaviour behaviour, const char *status,
		const char *headers, const char *body, size_t len)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, headers, len);
	strbuf_add(&text, body, len);
	tls_server_answers(&env->server, behaviour, text.buf, text.len);
}

#define GOOD_BODY "003d" A " refs/heads/main\n0000"

static void say_good(struct env *env, enum tls_behaviour behaviour)
{
	say(env, behaviour, "200 OK", "Content-Type: " RESULT "\r\n", GOOD_BODY, strlen(GOOD_BODY));
}

static int ask_for(struct env *env, struct ls_refs *refs, struct err *err)
{
	*refs = (struct ls_refs) {.wants = wants};
	err_clear(err);
	return poller_ask(env->poller, &env->remote,
			  (const char *const[]) {"refs/heads/main", "refs/heads/status/shop/own"},
			  2, refs, err);
}

static int ask(struct env *env, struct err *err)
{
	struct ls_refs refs;
	int rc = ask_for(env, &refs, err);

	if (rc > 0) {
		assert_int_equal(refs.n, 1);
		assert_string_equal(ls_refs_find(&refs, "refs/heads/main"), A);
	}
	ls_refs_release(&refs);
	return rc;
}

static void assert_has(const struct env *env, const char *text)
{
	if (!strcasestr(env->server.seen->request, text))
		fail_msg("'%s' is not in '%s'", text, env->server.seen->request);
}

static void assert_counts(const struct env *env, int connections, int requests)
{
	assert_int_equal(env->server.seen->connections, connections);
	assert_int_equal(env->server.seen->requests, requests);
}

/* --- the request --------------------------------------------------------------------- */

static void test_one_request_on_one_connection(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	say_good(env, TLS_ANSWER);
	for (int i = 1; i <= 5; i++) {
		assert_int_equal(ask(env, &err), 1);
		assert_counts(env, 1, i);
	}
	assert_has(env, "POST /infra.git/git-upload-pack HTTP/1.1\r\n");
	assert_has(env, "\r\nGit-Protocol: version=2\r\n");
	assert_has(env, "\r\nContent-Type: application/x-git-upload-pack-request\r\n");
	assert_has(env, "\r\nAccept: " RESULT "\r\n");
	assert_null(strcasestr(env->server.seen->request, "\r\nExpect:"));
	assert_null(strcasestr(env->server.seen->request, "\r\nAuthorization:"));
	assert_has(env, "\r\n\r\n0014command=ls-refs\n0016agent=dynia/" DYNIA_VERSION "\n0001"
			"001fref-prefix refs/heads/main\n"
			"002aref-prefix refs/heads/status/shop/own\n0000");
}

static void test_slashes_behind_the_url(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	memcpy(env->url + strlen(env->url), "//", sizeof("//"));
	say_good(env, TLS_ANSWER);
	assert_int_equal(ask(env, &err), 1);
	assert_has(env, "POST /infra.git/git-upload-pack HTTP/1.1\r\n");
}

static void test_a_connection_that_the_server_closes(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	say_good(env, TLS_ANSWER_AND_CLOSE);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(ask(env, &err), 1);
		assert_counts(env, i, i);
	}
	say_good(env, TLS_DROP);
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	/* That was the network: it is asked again at once. */
	say_good(env, TLS_ANSWER);
	assert_int_equal(ask(env, &err), 1);
}

static void test_two_repositories_are_kept(void **state)
{
	struct env *env = *state;
	struct err err = {0};
	char urls[3][64];

	say_good(env, TLS_ANSWER);
	for (int i = 0; i < 3; i++)
		snprintf(urls[i], sizeof(urls[i]), "https://127.0.0.1:%d/%d.git", env->server.port,
			 i);
	for (int i = 0; i < 6; i++) {
		env->remote.url = urls[i % 2];
		assert_int_equal(ask(env, &err), 1);
	}
	assert_counts(env, 2, 6);
	assert_has(env, "POST /1.git/");
	/* In the place of the oldest. */
	env->remote.url = urls[2];
	assert_int_equal(ask(env, &err), 1);
	env->remote.url = urls[1];
	assert_int_equal(ask(env, &err), 1);
	assert_counts(env, 3, 8);
	env->remote.url = urls[0];
	assert_int_equal(ask(env, &err), 1);
	assert_counts(env, 4, 9);
}

static void write_secret(struct env *env, const char *text)
{
	struct err err = {0};

	assert_int_equal(file_replace_in(env->dir.fd, "token", text, strlen(text), 0600, &err), 0);
}

static void test_a_token(void **state)
{
	struct env *env = *state;
	char path[64];
	const struct credentials who = {.username = "node", .password_file = path};
	struct err err = {0};

	snprintf(path, sizeof(path), "%s/token", env->dir.path);
	env->remote.credentials = &who;
	say_good(env, TLS_ANSWER);
	assert_int_equal(ask(env, &err), -1);
	assert_non_null(strstr(err.msg, "password_file"));
	assert_counts(env, 0, 0);
	write_secret(env, "first\n");
	assert_int_equal(ask(env, &err), 1);
	assert_has(env, "\r\nAuthorization: Basic bm9kZTpmaXJzdA==\r\n");
	assert_int_equal(ask(env, &err), 1);
	assert_counts(env, 1, 2);
	/* A new one in the file is taken up, on a connection of its own. */
	write_secret(env, "second\n");
	assert_int_equal(ask(env, &err), 1);
	assert_has(env, "\r\nAuthorization: Basic bm9kZTpzZWNvbmQ=\r\n");
	assert_counts(env, 2, 3);
	/* A refused one is the worker's to tell. */
	say(env, TLS_ANSWER, "401 Unauthorized", "WWW-Authenticate: Basic\r\n", "", 0);
	assert_int_equal(ask(env, &err), 0);
	assert_null(strstr(err.msg, "second"));
}

/* --- what may come back -------------------------------------------------------------- */

static void test_answers_that_are_none(void **state)
{
	static const struct {
		const char *status, *headers, *body;
	} rows[] = {
		{"200 OK", "Content-Type: text/html\r\n", "<html>log in, please</html>"},
		{"200 OK", "Content-Type: text/html\r\n", GOOD_BODY},
		{"200 OK", "", GOOD_BODY},
		{"200 OK", "Content-Type: " RESULT "; charset=utf-8\r\n", GOOD_BODY},
		{"404 Not Found", "Content-Type: " RESULT "\r\n", GOOD_BODY},
		{"401 Unauthorized", "Content-Type: " RESULT "\r\n", GOOD_BODY},
		{"500 Internal Server Error", "", ""},
		{"301 Moved Permanently", "Location: https://127.0.0.1:1/other.git\r\n", ""},
		{"204 No Content", "Content-Type: " RESULT "\r\n", ""},
		{"200 OK", "Content-Type: " RESULT "\r\n", ""},
		/* Cut off, of another protocol, an error, with more behind it, and nonsense. */
		{"200 OK", "Content-Type: " RESULT "\r\n", "003d" A " refs/heads/main\n"},
		{"200 OK", "Content-Type: " RESULT "\r\n", "003d" A " refs/hea"},
		{"200 OK", "Content-Type: " RESULT "\r\n", "0015ERR access denied"},
		{"200 OK", "Content-Type: " RESULT "\r\n", GOOD_BODY "0"},
		{"200 OK", "Content-Type: " RESULT "\r\n", GOOD_BODY GOOD_BODY},
		{"200 OK", "Content-Type: " RESULT "\r\n", "0001"},
		{"200 OK", "Content-Type: " RESULT "\r\n", "zzzz"},
		{"200 OK", "Content-Type: " RESULT "\r\n", "0003"},
		{"200 OK", "Content-Type: " RESULT "\r\n", "0009hello0000"},
		{"200 OK", "Content-Type: " RESULT "\r\n",
		 "003dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA refs/heads/main\n0000"},
	};
	struct env *env = *state;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		say(env, TLS_ANSWER, rows[i].status, rows[i].headers, rows[i].body,
		    strlen(rows[i].body));
		if (ask(env, &err) != 0)
			fail_msg("row %zu: %s", i, err.msg);
		poller_free(env->poller);
		env->poller = poller_new();
	}
}

static void test_who_cannot_do_it_is_not_asked_for_a_while(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	say(env, TLS_ANSWER, "200 OK", "Content-Type: text/plain\r\n", "no", 2);
	assert_int_equal(ask(env, &err), 0);
	say_good(env, TLS_ANSWER);
	for (int i = 0; i < REST_POLLS; i++) {
		assert_int_equal(ask(env, &err), 0);
		assert_int_equal(env->server.seen->requests, 1);
	}
	assert_int_equal(ask(env, &err), 1);
	assert_int_equal(ask(env, &err), 1);
	assert_int_equal(env->server.seen->requests, 3);
}

static void test_many_refs(void **state)
{
	struct env *env = *state;
	CLEANUP(strbuf_release) struct strbuf body = STRBUF_INIT;
	struct ls_refs refs;
	struct err err = {0};

	for (int i = 0; i < LS_REFS_MAX + 1; i++)
		pkt_addf(&body, "%s refs/heads/status/shop/n%d\n", i % 2 ? A : B, i);
	pkt_add_flush(&body);
	say(env, TLS_ANSWER, "200 OK", "Content-Type: " RESULT "\r\n", body.buf, body.len);
	assert_int_equal(ask_for(env, &refs, &err), 1);
	assert_int_equal(refs.n, LS_REFS_MAX);
	assert_true(refs.cut_off);
	assert_string_equal(ls_refs_find(&refs, "refs/heads/status/shop/n4999"), A);
	ls_refs_release(&refs);
}

static void test_in_chunks(void **state)
{
	struct env *env = *state;
	/* Cut within the packet's header, and within the flush. */
	static const char cut[] =
		"HTTP/1.1 200 OK\r\nContent-Type: " RESULT "\r\nTransfer-Encoding: chunked\r\n\r\n"
		"2\r\n00\r\n1\r\n3\r\n3b\r\nd" A " refs/heads/main\n0\r\n"
		"3\r\n000\r\n0\r\n\r\n";
	struct err err = {0};

	tls_server_answers(&env->server, TLS_ANSWER, cut, sizeof(cut) - 1);
	assert_int_equal(ask(env, &err), 1);
	/* The end of the body never comes. */
	tls_server_answers(&env->server, TLS_ANSWER_AND_CLOSE, cut, sizeof(cut) - 1 - 5);
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
}

/* --- no answer ----------------------------------------------------------------------- */

static void test_nobody_answers(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	env->remote.deadline_ms = 200;
	tls_server_answers(&env->server, TLS_HANG, "", 0);
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	env->remote.deadline_ms = 20000;
	/* No HTTP. */
	tls_server_answers(&env->server, TLS_ANSWER_AND_CLOSE, "SSH-2.0-x\r\n", 11);
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	env->remote.url = "https://127.0.0.1:1/infra.git";
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	/* It did no harm. */
	env->remote.url = env->url;
	say_good(env, TLS_ANSWER);
	assert_int_equal(ask(env, &err), 1);
}

static void test_a_certificate_that_is_not_believed(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	say_good(env, TLS_ANSWER_AND_CLOSE);
	assert_int_equal(ask(env, &err), 1);
	/* The next connection is somebody else's: nothing is asked of him. */
	env->server.seen->certificate = 1;
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_VERIFY);
	assert_non_null(strstr(err.msg, "ca_file"));
	assert_int_equal(env->server.seen->requests, 1);
	env->remote.ca_file = env->two;
	assert_int_equal(ask(env, &err), 1);
	/* Another name than the certificate's. */
	snprintf(env->url, sizeof(env->url), "https://localhost:%d/infra.git", env->server.port);
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_VERIFY);
	/* Who is not in the list of authorities of the machine. */
	env->remote.ca_file = NULL;
	assert_int_equal(ask(env, &err), -1);
	assert_int_equal(err.code, ERR_VERIFY);
	assert_int_equal(env->server.seen->requests, 2);
}

static void test_an_authority_that_cannot_be_read(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	env->remote.ca_file = "/nonexistent/ca.pem";
	assert_int_equal(ask(env, &err), -1);
	assert_non_null(strstr(err.msg, "ca_file"));
	env->remote.ca_file = "/dev/null";
	assert_int_equal(ask(env, &err), -1);
	assert_non_null(strstr(err.msg, "ca_file"));
	assert_counts(env, 0, 0);
}

static void test_no_poller_is_freed(void **unused)
{
	(void)unused;
	poller_free(NULL);
	poller_free(poller_new());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_request_on_one_connection),
		TEST(test_slashes_behind_the_url),
		TEST(test_a_connection_that_the_server_closes),
		TEST(test_two_repositories_are_kept),
		TEST(test_a_token),
		TEST(test_answers_that_are_none),
		TEST(test_who_cannot_do_it_is_not_asked_for_a_while),
		TEST(test_many_refs),
		TEST(test_in_chunks),
		TEST(test_nobody_answers),
		TEST(test_a_certificate_that_is_not_believed),
		TEST(test_an_authority_that_cannot_be_read),
		cmocka_unit_test(test_no_poller_is_freed),
	};

	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
