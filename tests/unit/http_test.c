#include "base/http.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define ECHO NULL

/* A child that answers one request with the given bytes, or with the request itself (ECHO). */
struct server {
	pid_t pid;
	char url[64];
};

static void write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(1);
		text += n;
		len -= (size_t)n;
	}
}

/* Reads head and body; their length is known once the head is there. */
static void read_request(int fd, struct strbuf *request)
{
	const char *end;
	const char *length;
	char chunk[4096];
	size_t want = SIZE_MAX;

	while (request->len < want) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n <= 0)
			return;
		strbuf_add(request, chunk, (size_t)n);
		end = strstr(request->buf, "\r\n\r\n");
		if (!end)
			continue;
		length = strstr(request->buf, "Content-Length: ");
		want = (size_t)(end + 4 - request->buf) +
		       (length ? strtoul(length + 16, NULL, 10) : 0);
	}
}

static _Noreturn void serve_one(int listener, const char *answer, int delay_ms)
{
	struct strbuf request = STRBUF_INIT;
	int fd = accept(listener, NULL, NULL);

	read_request(fd, &request);
	clock_sleep_ms(delay_ms);
	if (answer == ECHO)
		write_all(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	write_all(fd, answer == ECHO ? request.buf : answer);
	_exit(0);
}

static pid_t fork_server(int listener, const char *answer, int delay_ms)
{
	pid_t pid = fork();

	if (pid == 0)
		serve_one(listener, answer, delay_ms);
	close(listener);
	return pid;
}

static struct server serve(const char *answer, int delay_ms)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct server server;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%u/path",
		 ntohs(address.sin_port));
	server.pid = fork_server(listener, answer, delay_ms);
	return server;
}

static void server_release(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}

#define SERVER(name, answer, delay_ms)                                                             \
	CLEANUP(server_release) struct server name = serve(answer, delay_ms)
#define REPLY(name) CLEANUP(http_reply_release) struct http_reply name = HTTP_REPLY_INIT
#define REQUEST(address)                                                                           \
	{                                                                                          \
		.url = (address), .timeout_ms = 5000, .reply_limit = 1 << 20                       \
	}

static void do_http(const struct http_request *req, struct http_reply *reply)
{
	struct err err = {0};

	if (http_do(req, reply, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_get(void **state)
{
	SERVER(server, ECHO, 0);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);

	(void)state;
	do_http(&req, &reply);
	assert_int_equal(reply.status, 200);
	assert_memory_equal(reply.body.buf, "GET /path HTTP/1.1\r\n", 20);
	assert_non_null(strstr(reply.body.buf, "\r\nUser-Agent: dynia/"));
	assert_string_equal(reply.header, "");
}

static void test_post(void **state)
{
	SERVER(server, ECHO, 0);
	AUTO_FREE char *body = xcalloc(1, 2 << 20);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);

	(void)state;
	memset(body, 'x', 2 << 20);
	req.method = "POST";
	req.body = body;
	req.body_len = 2 << 20;
	req.reply_limit = 3 << 20;
	req.headers = (const char *const[]) {"Content-Type: application/json", "Host;", NULL};
	do_http(&req, &reply);
	assert_memory_equal(reply.body.buf, "POST /path HTTP/1.1\r\n", 21);
	assert_non_null(strstr(reply.body.buf, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(reply.body.buf, "\r\nHost:\r\n"));
	assert_non_null(strstr(reply.body.buf, "\r\nContent-Length: 2097152\r\n"));
	assert_null(strstr(reply.body.buf, "Expect"));
	assert_true(reply.body.len > 2 << 20);
}

static void test_methods_with_and_without_a_body(void **state)
{
	static const struct {
		const char *method;
		const char *body;
		const char *want;
		const char *length;
	} cases[] = {
		{"POST", NULL, "POST /path", "Content-Length: 0\r\n"},
		{"PUT", "ab", "PUT /path", "Content-Length: 2\r\n"},
		{"PATCH", "", "PATCH /path", "Content-Length: 0\r\n"},
		{"DELETE", NULL, "DELETE /path", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		SERVER(server, ECHO, 0);
		struct http_request req = REQUEST(server.url);
		REPLY(reply);

		req.method = cases[i].method;
		req.body = cases[i].body;
		req.body_len = cases[i].body ? strlen(cases[i].body) : 0;
		do_http(&req, &reply);
		assert_memory_equal(reply.body.buf, cases[i].want, strlen(cases[i].want));
		if (cases[i].length)
			assert_non_null(strstr(reply.body.buf, cases[i].length));
		else
			assert_null(strstr(reply.body.buf, "Content-Length"));
	}
}

static void test_head(void **state)
{
	SERVER(server, "HTTP/1.1 204 No Content\r\nContent-Length: 99\r\n\r\n", 0);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);

	(void)state;
	req.method = "HEAD";
	do_http(&req, &reply);
	assert_int_equal(reply.status, 204);
	assert_int_equal(reply.body.len, 0);
}

static void test_unix_socket(void **state)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	AUTO_FREE char *path = xasprintf("%s/sock", dir.path);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct http_request req = REQUEST("http://localhost/load");
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP(server_release) struct server server;
	struct err err = {0};
	REPLY(reply);

	(void)state;
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	server.pid = fork_server(listener, ECHO, 0);
	req.unix_socket = path;
	do_http(&req, &reply);
	assert_memory_equal(reply.body.buf, "GET /load ", 10);
	req.unix_socket = "/does/not/exist";
	assert_int_equal(http_do(&req, &reply, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.msg, "GET 'http://localhost/load' at '/does/not/exist': "));
	assert_int_equal(reply.body.len, 0);
}

static void test_statuses_are_answers(void **state)
{
	SERVER(server, "HTTP/1.1 503 Down\r\nContent-Length: 5\r\n\r\nsorry", 0);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);

	(void)state;
	do_http(&req, &reply);
	assert_int_equal(reply.status, 503);
	assert_string_equal(reply.body.buf, "sorry");
}

static void test_follows_nothing(void **state)
{
	SERVER(server,
	       "HTTP/1.1 302 Found\r\nlocation:  file:///etc/passwd \r\nContent-Length: 0\r\n\r\n",
	       0);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);

	(void)state;
	req.want_header = "Location";
	do_http(&req, &reply);
	assert_int_equal(reply.status, 302);
	assert_string_equal(reply.header, "file:///etc/passwd");
}

static void test_header_of_the_final_answer(void **state)
{
	SERVER(server,
	       "HTTP/1.1 103 Early Hints\r\nETag: early\r\n\r\n"
	       "HTTP/1.1 200 OK\r\nETagger: x\r\nContent-Length: 0\r\n\r\n",
	       0);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);

	(void)state;
	req.want_header = "etag";
	do_http(&req, &reply);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.header, "");
}

static void test_limits(void **state)
{
	AUTO_FREE char *long_header =
		xasprintf("HTTP/1.1 200 OK\r\nETag: %0300d\r\nContent-Length: 0\r\n\r\n", 7);
	struct err err = {0};

	(void)state;
	for (size_t limit = 4; limit <= 5; limit++) {
		SERVER(server, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345", 0);
		struct http_request req = REQUEST(server.url);
		REPLY(reply);

		req.reply_limit = limit;
		assert_int_equal(http_do(&req, &reply, &err), limit == 5 ? 0 : -1);
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "the reply is larger than 4 bytes"));
	SERVER(server, long_header, 0);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);
	req.want_header = "ETag";
	assert_int_equal(http_do(&req, &reply, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "header 'ETag' of the reply is too long"));
}

static void test_timeout(void **state)
{
	SERVER(server, "HTTP/1.1 200 OK\r\n\r\n", 10000);
	struct http_request req = REQUEST(server.url);
	int64_t before = clock_ms();
	struct err err = {0};
	REPLY(reply);

	(void)state;
	req.timeout_ms = 150;
	assert_int_equal(http_do(&req, &reply, &err), -1);
	assert_in_range(clock_ms() - before, 100, 3000);
	assert_int_equal(err.code, ERR_NETWORK);
}

static void test_garbage(void **state)
{
	SERVER(server, "SSH-2.0-OpenSSH\r\n", 0);
	struct http_request req = REQUEST(server.url);
	struct err err = {0};
	REPLY(reply);

	(void)state;
	assert_int_equal(http_do(&req, &reply, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
}

static void test_only_http(void **state)
{
	struct http_request req = REQUEST("file:///etc/passwd");
	struct err err = {0};
	REPLY(reply);

	(void)state;
	assert_int_equal(http_do(&req, &reply, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_int_equal(reply.body.len, 0);
}

static void test_no_secret_in_the_message(void **state)
{
	struct http_request req = REQUEST("http://user:hush@127.0.0.1:1/x?token=hush#hush");
	struct err err = {0};
	REPLY(reply);

	(void)state;
	assert_int_equal(http_do(&req, &reply, &err), -1);
	assert_non_null(strstr(err.msg, "GET 'http://127.0.0.1:1/x': "));
	assert_null(strstr(err.msg, "hush"));
}

static void test_environment_proxies_are_ignored(void **state)
{
	SERVER(server, ECHO, 0);
	struct http_request req = REQUEST(server.url);
	REPLY(reply);

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	do_http(&req, &reply);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(reply.status, 200);
}

static void test_connect_to(void **state)
{
	SERVER(server, ECHO, 0);
	AUTO_FREE char *to =
		xasprintf("api.example.com:80:127.0.0.1:%s", strrchr(server.url, ':') + 1);
	struct http_request req = REQUEST("http://api.example.com/x");
	REPLY(reply);

	(void)state;
	*strchr(to, '/') = '\0';
	req.connect_to = to;
	do_http(&req, &reply);
	assert_non_null(strstr(reply.body.buf, "\r\nHost: api.example.com\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_methods_with_and_without_a_body),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_statuses_are_answers),
		cmocka_unit_test(test_follows_nothing),
		cmocka_unit_test(test_header_of_the_final_answer),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_only_http),
		cmocka_unit_test(test_no_secret_in_the_message),
		cmocka_unit_test(test_environment_proxies_are_ignored),
		cmocka_unit_test(test_connect_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
