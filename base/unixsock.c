#include "base/unixsock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* How often a listener whose queue is full is tried again. */
#define RETRY_MS 10

/* A listener on this machine takes a connection at once, or its queue is full. */
#define PEER_TIMEOUT_MS 500

static int fail(const char *path, struct err *err)
{
	err_errno(err, "socket '%s'", path);
	err->code = ERR_NETWORK;
	return -1;
}

static int no_answer(const char *path, struct err *err)
{
	return err_set(err, ERR_NETWORK, "socket '%s': no answer in time", path);
}

/* Waits for events until the time `until`. Returns false where it passed. */
static bool wait_for(int fd, short events, int64_t until)
{
	for (;;) {
		struct pollfd fds = {.fd = fd, .events = events};
		int64_t left = until - clock_ms();

		if (left <= 0)
			return false;
		if (poll(&fds, 1, (int)left) > 0)
			return true;
	}
}

static int open_connection(const char *path, int64_t until, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fail(path, err);
	if (strlen(path) > UNIXSOCK_PATH_MAX)
		return err_set(err, ERR_SYSTEM, "socket '%s': the path is longer than %d bytes",
			       path, UNIXSOCK_PATH_MAX);
	memcpy(address.sun_path, path, strlen(path));
	/* A unix socket connects at once; EAGAIN says that the listener's queue is full. */
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return fail(path, err);
		if (clock_ms() + RETRY_MS >= until)
			return no_answer(path, err);
		clock_sleep_ms(RETRY_MS);
	}
	return STEAL_FD(fd);
}

static int send_all(int fd, const char *path, const struct strbuf *line, int64_t until,
		    struct err *err)
{
	size_t done = 0;

	while (done < line->len) {
		ssize_t n;

		if (!wait_for(fd, POLLOUT, until))
			return no_answer(path, err);
		n = send(fd, line->buf + done, line->len - done, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail(path, err);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int receive_all(int fd, const char *path, int64_t until, struct strbuf *ret, struct err *err)
{
	char chunk[16384];

	for (;;) {
		ssize_t n;

		if (!wait_for(fd, POLLIN, until))
			return no_answer(path, err);
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail(path, err);
		if (n > 0)
			strbuf_add(ret, chunk, (size_t)n);
	}
}

int unixsock_command(const char *path, const char *command, int timeout_ms, struct strbuf *ret,
		     struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	int64_t until = clock_ms() + timeout_ms;
	AUTO_CLOSE int fd = open_connection(path, until, err);

	if (fd < 0)
		return -1;
	strbuf_addf(&line, "%s\n", command);
	if (send_all(fd, path, &line, until, err) < 0)
		return -1;
	/* HAProxy's master keeps the connection open until it sees that nothing more will come. */
	if (shutdown(fd, SHUT_WR) < 0)
		return fail(path, err);
	return receive_all(fd, path, until, ret, err);
}

pid_t unixsock_peer(const char *path)
{
	struct err ignored;
	AUTO_CLOSE int fd = open_connection(path, clock_ms() + PEER_TIMEOUT_MS, &ignored);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return 0;
	return peer.pid;
}
