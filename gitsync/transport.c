#include "gitsync/transport.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"

static const struct transport_ops *const transports[] = {
	&transport_git,
	&transport_ssh,
	&transport_https,
};

const char *service_name(enum git_service service)
{
	return service == SERVICE_FETCH ? "git-upload-pack" : "git-receive-pack";
}

int transport_open(const struct endpoint *endpoint, enum git_service service,
		   struct pkt_reader *first, struct transport **ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		if (transports[i]->scheme != endpoint->url.scheme)
			continue;
		if (transports[i]->open(endpoint, service, first, ret, err) < 0)
			return -1;
		(*ret)->ops = transports[i];
		(*ret)->endpoint = endpoint;
		(*ret)->service = service;
		return 0;
	}
	return err_set(err, ERR_CONFIG, "no transport for this address");
}

int transport_exchange(struct transport *transport, const struct strbuf *request,
		       struct pkt_reader *answer, struct err *err)
{
	return transport->ops->exchange(transport, request, answer, err);
}

void transport_close(struct transport *transport)
{
	if (transport)
		transport->ops->close(transport);
}

void transport_closep(struct transport **transport)
{
	transport_close(*transport);
}

int stream_send(int fd, const void *data, size_t len, struct err *err)
{
	const char *next = data;

	while (len > 0) {
		ssize_t n = write(fd, next, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_errno(err, "send to the server");
			err->code = ERR_NETWORK;
			return -1;
		}
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

int stream_receive(int fd, struct pkt_reader *reader, struct err *err)
{
	char chunk[32768];
	int rc = 0;

	while (rc == 0) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_errno(err, "read from the server");
			err->code = ERR_NETWORK;
			return -1;
		}
		if (n == 0)
			return err_set(err, ERR_NETWORK,
				       "the server closed the connection before it had said all");
		rc = pkt_feed(reader, chunk, (size_t)n, err);
	}
	return rc < 0 ? -1 : 0;
}
