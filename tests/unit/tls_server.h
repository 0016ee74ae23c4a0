/*
 * A TLS server in a child process, with one more for each connection, that answers as it is told: for tests of what talks https.
 *
 *	struct tls_server server = tls_server_start(folder);      folder/one.pem and two.pem: certificates of 127.0.0.1
 *	tls_server_answers(&server, TLS_ANSWER, "HTTP/1.1 200 OK\r\n…", len);
 *	…  server.seen->requests, server.seen->request
 *	tls_server_stop(&server);
 */
#ifndef TESTS_UNIT_TLS_SERVER_H
#define TESTS_UNIT_TLS_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/process.h"
#include "tests/unit/test.h"

#define TLS_REQUEST_MAX (64 << 10)
#define TLS_ANSWER_MAX (1 << 20)

enum tls_behaviour {
	TLS_ANSWER,
	TLS_ANSWER_AND_CLOSE,
	TLS_DROP, /* closes the connection without a word */
	TLS_HANG, /* reads the request, and nothing comes */
};

/* Shared with the child. */
struct tls_seen {
	int connections, requests;
	char request[TLS_REQUEST_MAX]; /* the last one */
	enum tls_behaviour behaviour;
	int certificate; /* 0: one.pem, 1: two.pem; of the next connection */
	size_t len;
	char answer[TLS_ANSWER_MAX];
};

struct tls_server {
	int port;
	pid_t pid;
	struct tls_seen *seen;
};

static inline void tls_certificate(const char *path)
{
	const struct process_spec spec = {
		.argv = ARGV("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
			     "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
			     "/CN=a test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
			     path, "-out", "/dev/stdout"),
		.timeout_ms = 60000,
		.capture_limit = 64 << 10,
	};
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	struct err err = {0};
	FILE *file;

	assert_int_equal(process_run(&spec, &res, &err), 0);
	assert_int_equal(res.status, 0);
	file = fopen(path, "ae");
	assert_non_null(file);
	assert_true(fputs(strstr(res.out.buf, "-----BEGIN"), file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* One whole request; false at the connection's end. */
static inline bool tls_read_request(SSL *ssl, struct tls_seen *seen)
{
	size_t have = 0, want = TLS_REQUEST_MAX;

	while (have < want) {
		const char *end, *length;
		int n = SSL_read(ssl, seen->request + have, (int)(TLS_REQUEST_MAX - 1 - have));

		if (n <= 0)
			return false;
		have += (size_t)n;
		seen->request[have] = '\0';
		end = strstr(seen->request, "\r\n\r\n");
		length = end ? strcasestr(seen->request, "content-length:") : NULL;
		if (end)
			want = (size_t)(end + 4 - seen->request) +
			       (length ? strtoul(length + strlen("content-length:"), NULL, 10) : 0);
	}
	return true;
}

static inline void tls_serve_one(SSL *ssl, struct tls_seen *seen)
{
	while (SSL_accept(ssl) == 1 && tls_read_request(ssl, seen)) {
		seen->requests++;
		if (seen->behaviour == TLS_HANG)
			tls_read_request(ssl, seen);
		if (seen->behaviour == TLS_HANG || seen->behaviour == TLS_DROP ||
		    SSL_write(ssl, seen->answer, (int)seen->len) <= 0)
			return;
		if (seen->behaviour == TLS_ANSWER_AND_CLOSE) {
			SSL_shutdown(ssl);
			return;
		}
	}
}

static inline _Noreturn void tls_serve(int fd, struct tls_seen *seen, char *const files[2])
{
	SSL_CTX *tls[2];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		tls[i] = SSL_CTX_new(TLS_server_method());
		if (!tls[i] ||
		    SSL_CTX_use_certificate_file(tls[i], files[i], SSL_FILETYPE_PEM) != 1 ||
		    SSL_CTX_use_PrivateKey_file(tls[i], files[i], SSL_FILETYPE_PEM) != 1)
			_exit(2);
	}
	for (;;) {
		int client = accept(fd, NULL, NULL);
		SSL *ssl;

		seen->connections++;
		if (fork() > 0) {
			close(client);
			continue;
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ssl = SSL_new(tls[seen->certificate]);
		SSL_set_fd(ssl, client);
		tls_serve_one(ssl, seen);
		_exit(0);
	}
}

static inline struct tls_server tls_server_start(const char *folder)
{
	AUTO_FREE char *one = xasprintf("%s/one.pem", folder);
	AUTO_FREE char *two = xasprintf("%s/two.pem", folder);
	char *const files[2] = {one, two};
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	struct tls_server server = {0};
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	tls_certificate(one);
	tls_certificate(two);
	server.seen = mmap(NULL, sizeof(*server.seen), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(server.seen != MAP_FAILED);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	server.port = ntohs(addr.sin_port);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0)
		tls_serve(fd, server.seen, files);
	return server;
}

static inline void tls_server_stop(struct tls_server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	munmap(server->seen, sizeof(*server->seen));
}

static inline void tls_server_answers(struct tls_server *server, enum tls_behaviour behaviour,
				      const char *data, size_t len)
{
	assert_true(len <= TLS_ANSWER_MAX);
	memcpy(server->seen->answer, data, len);
	server->seen->len = len;
	server->seen->behaviour = behaviour;
}

#endif
