/* git://: a TCP connection to git daemon, nothing proved and nothing hidden. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "gitsync/transport.h"

#define DEFAULT_PORT "9418"

struct git_transport {
	struct transport base;
	int fd;
};

static void git_close(struct transport *transport)
{
	struct git_transport *self = (struct git_transport *)transport;

	cleanup_close(&self->fd);
	free(self);
}

static void addrinfo_freep(struct addrinfo **p)
{
	if (*p)
		freeaddrinfo(*p);
}

static int dial(const struct url_parts *url, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	CLEANUP(addrinfo_freep) struct addrinfo *found = NULL;
	const char *port = url->port[0] ? url->port : DEFAULT_PORT;
	int rc = getaddrinfo(url->host, port, &hints, &found);

	if (rc != 0)
		return err_set(err, ERR_NETWORK, "look up '%s': %s", url->host, gai_strerror(rc));
	for (const struct addrinfo *at = found; at; at = at->ai_next) {
		AUTO_CLOSE int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0)
			return STEAL_FD(fd);
		err_errno(err, "connect to '%s' port %s", url->host, port);
		err->code = ERR_NETWORK;
	}
	return -1;
}

static int git_open(const struct endpoint *endpoint, enum git_service service,
		    struct pkt_reader *first, struct transport **ret, struct err *err)
{
	const struct url_parts *url = &endpoint->url;
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf request = STRBUF_INIT;
	AUTO_CLOSE int fd = -1;
	struct git_transport *self;

	strbuf_addf(&line, "%s %s%chost=%s", service_name(service), url->path, '\0', url->host);
	if (url->port[0])
		strbuf_addf(&line, ":%s", url->port);
	strbuf_addch(&line, '\0');
	if (service == SERVICE_FETCH)
		strbuf_add(&line, "\0version=2", sizeof("\0version=2"));
	pkt_add(&request, line.buf, line.len);
	fd = dial(url, err);
	if (fd < 0 || stream_send(fd, request.buf, request.len, err) < 0 ||
	    stream_receive(fd, first, err) < 0)
		return -1;
	self = xcalloc(1, sizeof(*self));
	self->fd = STEAL_FD(fd);
	*ret = &self->base;
	return 0;
}

static int git_exchange(struct transport *transport, const struct strbuf *request,
			struct pkt_reader *answer, struct err *err)
{
	struct git_transport *self = (struct git_transport *)transport;

	if (stream_send(self->fd, request->buf, request->len, err) < 0)
		return -1;
	return answer ? stream_receive(self->fd, answer, err) : 0;
}

const struct transport_ops transport_git = {
	.scheme = URL_GIT,
	.open = git_open,
	.exchange = git_exchange,
	.close = git_close,
};
