/* What Docker answers is a stranger's. */
#include "reconciler/docker.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

/* A child that gives every request the same answer; NULL: none. */
struct server {
	pid_t pid;
	struct scratch dir;
	struct docker docker;
	char socket[64];
};

static _Noreturn void serve(int listener, const char *status, const char *body, size_t len)
{
	char head[128];
	char request[8192];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || read(fd, request, sizeof(request)) <= 0)
			_exit(1);
		while (!body)
			pause();
		snprintf(head, sizeof(head),
			 "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", status,
			 len);
		if (send(fd, head, strlen(head), MSG_NOSIGNAL) < 0)
			_exit(1);
		for (size_t at = 0; at < len;) {
			ssize_t n = send(fd, body + at, len - at, MSG_NOSIGNAL);

			if (n <= 0)
				break;
			at += (size_t)n;
		}
		close(fd);
	}
}

static void start_server(struct server *s, const char *status, const char *body, size_t len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	s->dir = scratch_make();
	snprintf(s->socket, sizeof(s->socket), "%s/s", s->dir.path);
	memcpy(address.sun_path, s->socket, strlen(s->socket) + 1);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	s->pid = fork();
	if (s->pid == 0)
		serve(listener, status, body, len);
	close(listener);
	docker_init(&s->docker, s->socket);
}

static void stop_server(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	scratch_release(&s->dir);
}

static void start_with(struct server *s, const char *status, const char *body)
{
	start_server(s, status, body, body ? strlen(body) : 0);
}

#define SERVER(name, status, body)                                                                 \
	CLEANUP(stop_server) struct server name;                                                   \
	start_with(&(name), status, body)

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROW(status)                                                                                \
	"[{\"Id\":\"" ID                                                                           \
	"\",\"Names\":[\"/web_1\"],\"Image\":\"web:1\",\"ImageID\":\"sha256:ab\","                 \
	"\"State\":\"running\",\"Status\":\"" status "\",\"Ports\":[{\"PrivatePort\":80},"         \
	"{\"PublicPort\":20080}],\"Labels\":{\"dynia.service\":\"web\",\"dynia.spec\":\"d\","      \
	"\"com.docker.compose.service\":\"part\",\"com.docker.compose.project\":\"p\"}}]"

static void test_a_container(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct container_list list;
	struct err err = {0};
	SERVER(s, "200 OK", ROW("Up 3 minutes (healthy)"));

	(void)state;
	assert_int_equal(docker_list(&s.docker, "/x", pool, &list, &err), 0);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.v[0].id, ID);
	assert_string_equal(list.v[0].name, "web_1");
	assert_string_equal(list.v[0].image, "web:1");
	assert_string_equal(list.v[0].image_id, "sha256:ab");
	assert_string_equal(list.v[0].service, "web");
	assert_string_equal(list.v[0].part, "part");
	assert_string_equal(list.v[0].project, "p");
	assert_string_equal(list.v[0].spec, "d");
	assert_string_equal(list.v[0].state, "running");
	assert_string_equal(list.v[0].health, "healthy");
	assert_int_equal(list.v[0].port, 20080);
	assert_int_equal(list.v[0].up_s_max, 240);
	assert_false(list.v[0].surge);
}

static void test_how_it_is(void **state)
{
	static const struct {
		const char *body;
		const char *health;
		int64_t up_s_max, exit_code;
	} rows[] = {
		{ROW("Up Less than a second (health: starting)"), "starting", 1, 0},
		{ROW("Up 1 second"), "", 2, 0},
		{ROW("Up About a minute (unhealthy)"), "unhealthy", 120, 0},
		{ROW("Up About an hour"), "", 7200, 0},
		{ROW("Up 2 weeks (Paused)"), "", 3 * 604800, 0},
		{ROW("Exited (137) 3 days ago"), "", INT64_MAX, 137},
		{ROW("Restarting (3) Less than a second ago"), "", INT64_MAX, 3},
		{ROW("Up 99999999999999999999 years"), "", INT64_MAX, 0},
		{ROW("Up -4 seconds"), "", INT64_MAX, 0},
		{ROW("("), "", INT64_MAX, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		struct container_list list;
		struct err err = {0};
		SERVER(s, "200 OK", rows[i].body);

		assert_int_equal(docker_list(&s.docker, "", pool, &list, &err), 0);
		assert_string_equal(list.v[0].health, rows[i].health);
		assert_int_equal(list.v[0].up_s_max, rows[i].up_s_max);
		assert_int_equal(list.v[0].exit_code, rows[i].exit_code);
	}
}

/* What has another type than it should is absent; what is no container at all is passed over. */
static void test_hostile_rows(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct container_list list;
	struct err err = {0};
	SERVER(s, "200 OK",
	       "[1, null, [], {}, {\"Id\": \"../../x\"}, {\"Id\": 7}, {\"Id\":\"" ID
	       "\",\"Names\":\"x\",\"Image\":{},\"State\":[\"running\"],\"Status\":5,\"Ports\":{},"
	       "\"Labels\":[1]}, {\"Id\":\"" ID "\",\"Names\":[\"/a\\u001b[31m\\nb\"],"
	       "\"Labels\":{\"dynia.service\":3},\"Ports\":[{\"PublicPort\":99999999},3]}]");

	(void)state;
	assert_int_equal(docker_list(&s.docker, "", pool, &list, &err), 0);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].name, "");
	assert_string_equal(list.v[0].state, "");
	assert_string_equal(list.v[0].image, "");
	assert_string_equal(list.v[1].name, "a?[31m?b");
	assert_string_equal(list.v[1].service, "");
	assert_int_equal(list.v[1].port, 0);
}

static void test_no_list(void **state)
{
	static const char *const bodies[] = {"", "{}", "null", "[", "<html>", "[] []"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		struct container_list list;
		struct err err = {0};
		SERVER(s, "200 OK", bodies[i]);

		assert_int_equal(docker_list(&s.docker, "", pool, &list, &err), -1);
		assert_int_equal(err.code, ERR_DOCKER);
		assert_int_equal(list.n, 0);
	}
}

static void test_an_endless_list(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	AUTO_FREE char *body = xcalloc(1, (40 << 20) + 1);
	struct container_list list;
	struct err err = {0};
	CLEANUP(stop_server) struct server s;

	(void)state;
	memset(body, '[', 40 << 20);
	start_server(&s, "200 OK", body, 40 << 20);
	assert_int_equal(docker_list(&s.docker, "", pool, &list, &err), -1);
	assert_int_equal(err.code, ERR_DOCKER);
	assert_non_null(strstr(err.msg, "larger than"));
}

static void test_its_words(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct container_list list;
	struct err err = {0};
	SERVER(s, "500 Oh", "{\"message\":\"the disk\\nis full\"}");

	(void)state;
	assert_int_equal(docker_list(&s.docker, "", pool, &list, &err), -1);
	assert_string_equal(err.msg, "docker: the disk?is full");
}

static void test_nobody_there(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct container_list list;
	struct docker docker;
	struct err err = {0};

	(void)state;
	docker_init(&docker, "/nowhere/docker.sock");
	assert_int_equal(docker_list(&docker, "", pool, &list, &err), -1);
	assert_int_equal(err.code, ERR_DOCKER);
	assert_string_equal(err.msg,
			    "docker does not answer at '/nowhere/docker.sock': is it running?");
	/* That was quick, and may be asked again at once. */
	assert_int_equal(docker.timeouts, 0);
}

/* It is asked once, and then left alone. */
static void test_one_that_hangs(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct container_list list;
	struct err err = {0};
	int64_t began;
	SERVER(s, "200 OK", NULL);

	(void)state;
	assert_int_equal(docker_list(&s.docker, "", pool, &list, &err), -1);
	assert_non_null(strstr(err.msg, "takes requests and does not answer"));
	assert_int_equal(s.docker.timeouts, 1);
	began = clock_ms();
	for (int i = 0; i < 100; i++)
		assert_int_equal(docker_list(&s.docker, "", pool, &list, &err), -1);
	assert_true(clock_ms() < s.docker.quiet_until_ms || clock_ms() - began < 5000);
	assert_non_null(strstr(err.msg, "takes requests and does not answer"));
}

static void test_a_pull_that_fails(void **state)
{
	struct err err = {0};
	SERVER(s, "200 OK",
	       "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{},\"error\":\"no such "
	       "\\u001bthing\"}\r\n");

	(void)state;
	assert_int_equal(docker_pull(&s.docker, "r.example.com/a:1", "me", "s3cret", &err), -1);
	assert_int_equal(err.code, ERR_IMAGE);
	assert_string_equal(err.msg, "image 'r.example.com/a:1' cannot be pulled: no such ?thing");
}

static void test_a_pull(void **state)
{
	struct err err = {0};
	CLEANUP(strbuf_release) struct strbuf body = STRBUF_INIT;
	CLEANUP(stop_server) struct server s;

	(void)state;
	/* Progress without end is no answer that is too long. */
	while (body.len < 3 << 20)
		strbuf_addstr(&body, "{\"status\":\"Downloading\"}\r\n");
	start_server(&s, "200 OK", body.buf, body.len);
	if (docker_pull(&s.docker, "a:1", NULL, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_a_network_of_another_subnet(void **state)
{
	struct err err = {0};
	SERVER(s, "200 OK",
	       "{\"Labels\":{\"dynia.root\":\"/r\"},\"IPAM\":{\"Config\":[{\"Subnet\":\"10.0.0.0/"
	       "24\"}]}}");

	(void)state;
	assert_int_equal(docker_network_ensure(&s.docker, "edge", "10.0.0.0/24", "/r", &err), 0);
	assert_int_equal(docker_network_ensure(&s.docker, "edge", "10.1.0.0/24", "/r", &err), -1);
	assert_int_equal(err.code, ERR_APPLY);
	/* Somebody else's is used as it is. */
	assert_int_equal(docker_network_ensure(&s.docker, "edge", "10.1.0.0/24", "/other", &err),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_container),
		cmocka_unit_test(test_how_it_is),
		cmocka_unit_test(test_hostile_rows),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_an_endless_list),
		cmocka_unit_test(test_its_words),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_one_that_hangs),
		cmocka_unit_test(test_a_pull_that_fails),
		cmocka_unit_test(test_a_pull),
		cmocka_unit_test(test_a_network_of_another_subnet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
