#include "reconciler/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#define ADDRESS_MAX 64

/* A connection that is under way, or -1. */
static int start_connect(const char *address, int port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	const struct sockaddr *to = (const struct sockaddr *)&v4;
	socklen_t len = sizeof(v4);
	int fd;

	if (inet_pton(AF_INET, address, &v4.sin_addr) != 1) {
		if (inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
			return -1;
		to = (const struct sockaddr *)&v6;
		len = sizeof(v6);
	}
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, to, len) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

void relay_release(struct relay *relay)
{
	for (size_t i = 0; i < relay->n; i++)
		if (relay->peers[i].fd >= 0)
			close(relay->peers[i].fd);
	free(relay->request);
	relay->request = NULL;
	relay->n = 0;
}

void relay_begin(struct relay *relay, const char *addresses, int port, const char *request)
{
	relay_release(relay);
	relay->request = xstrdup(request);
	relay->request_len = strlen(request);
	relay->until_ms = clock_ms() + RELAY_TIMEOUT_MS;
	while (*addresses && relay->n < RELAY_PEERS_MAX) {
		size_t len = strcspn(addresses, "\n");
		char address[ADDRESS_MAX];

		if (len > 0 && len < sizeof(address)) {
			memcpy(address, addresses, len);
			address[len] = '\0';
			relay->peers[relay->n] = (struct relay_peer) {
				.fd = start_connect(address, port),
			};
			relay->n += relay->peers[relay->n].fd >= 0;
		}
		addresses += len + (addresses[len] == '\n');
	}
}

size_t relay_poll(const struct relay *relay, struct pollfd *fds)
{
	size_t n = 0;

	for (size_t i = 0; i < relay->n; i++) {
		const struct relay_peer *peer = &relay->peers[i];
		bool sending = peer->sent < relay->request_len;

		if (peer->fd >= 0)
			fds[n++] = (struct pollfd) {.fd = peer->fd,
						    .events = sending ? POLLOUT : POLLIN};
	}
	return n;
}

int relay_wait_ms(const struct relay *relay)
{
	int64_t left = relay->until_ms - clock_ms();

	if (!relay->n)
		return -1;
	return left > 0 ? (int)left : 0;
}

/* True where there is nothing more to do with it. */
static bool step(const struct relay *relay, struct relay_peer *peer)
{
	char answer[512];
	ssize_t n;

	if (peer->sent < relay->request_len) {
		n = send(peer->fd, relay->request + peer->sent, relay->request_len - peer->sent,
			 MSG_NOSIGNAL);
		if (n < 0)
			return errno != EAGAIN && errno != EINTR && errno != ENOTCONN;
		peer->sent += (size_t)n;
		return false;
	}
	/* The request is read before it is answered; what the answer says is of no interest. */
	n = recv(peer->fd, answer, sizeof(answer), 0);
	return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

void relay_step(struct relay *relay)
{
	bool late = clock_ms() >= relay->until_ms;
	size_t open = 0;

	for (size_t i = 0; i < relay->n; i++) {
		struct relay_peer *peer = &relay->peers[i];

		if (peer->fd < 0)
			continue;
		if (late || step(relay, peer)) {
			close(peer->fd);
			peer->fd = -1;
		} else {
			open++;
		}
	}
	if (relay->n && !open)
		relay_release(relay);
}
