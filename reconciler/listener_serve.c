#include "reconciler/listener_serve.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "reconciler/relay.h"

#define CONNECTIONS_MAX 256
/* From so many on, the oldest makes room: slow ones must not keep a good request out. */
#define CONNECTIONS_CROWDED 192
/* For a whole request with its answer, and for silence in it. */
#define CONNECTION_MS 10000
#define SILENCE_S 5
/* Of headers and answers, for each connection. */
#define CONNECTION_BYTES (16 << 10)
#define LOG_EVERY_MS 60000
#define RELAYS_MAX 5.0
#define RELAYS_A_SECOND 1.0
#define TICK_MS 500

enum counter {
	COUNT_ACCEPTED,
	COUNT_RELAYED,
	COUNT_KNOWN,
	COUNT_REFUSED,
	COUNT_TOO_LARGE,
	COUNT_DROPPED,
	COUNTERS,
};

static const char *const counter_names[COUNTERS] = {
	[COUNT_ACCEPTED] = "accepted", [COUNT_RELAYED] = "relayed",     [COUNT_KNOWN] = "known",
	[COUNT_REFUSED] = "refused",   [COUNT_TOO_LARGE] = "too_large", [COUNT_DROPPED] = "dropped",
};

struct connection {
	int fd; /* -1: a free place */
	int64_t since_ms;
};

struct server {
	const struct listener_server *base;
	struct connection connections[CONNECTIONS_MAX];
	size_t n_connections;
	struct webhook_seen seen;
	struct relay relay;
	double relays;
	int64_t relays_ms;
	unsigned long counts[COUNTERS];
	int64_t logged_ms;
	unsigned long unlogged;
};

/* A webhook whose body is on its way. */
struct upload {
	struct webhook_check *check;
	size_t size;
};

/* --- connections --------------------------------------------------------------------- */

static void drop(struct server *s, struct connection *c)
{
	/* The library sees its end, and closes it. */
	shutdown(c->fd, SHUT_RDWR);
	c->since_ms = INT64_MAX;
	s->counts[COUNT_DROPPED]++;
}

static void drop_oldest(struct server *s)
{
	struct connection *oldest = NULL;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &s->connections[i];

		if (c->fd >= 0 && c->since_ms < INT64_MAX &&
		    (!oldest || c->since_ms < oldest->since_ms))
			oldest = c;
	}
	if (oldest)
		drop(s, oldest);
}

static void drop_late(struct server *s)
{
	int64_t now_ms = clock_ms();

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &s->connections[i];

		if (c->fd >= 0 && c->since_ms < INT64_MAX && now_ms - c->since_ms > CONNECTION_MS)
			drop(s, c);
	}
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **place,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *s = arg;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		struct connection *c = *place;

		if (c) {
			c->fd = -1;
			s->n_connections--;
		}
		return;
	}
	if (s->n_connections >= CONNECTIONS_CROWDED)
		drop_oldest(s);
	for (size_t i = 0; i < CONNECTIONS_MAX && info; i++) {
		if (s->connections[i].fd >= 0)
			continue;
		s->connections[i] = (struct connection) {info->connect_fd, clock_ms()};
		s->n_connections++;
		*place = &s->connections[i];
		return;
	}
}

/* --- answers ------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
			      const char *text, size_t len)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result queued;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Connection", "close");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", text);
	queued = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *text)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

	strbuf_addf(&line, "%s\n", text);
	return answer(connection, status, "text/plain; charset=utf-8", line.buf, line.len);
}

static enum MHD_Result show_health(struct server *s, struct MHD_Connection *connection)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	bool healthy;

	if (!board_read(s->base->board, BOARD_HEALTH, &text) || !text.len)
		return say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no pass has been made yet");
	healthy = strncmp(text.buf, "healthy", strlen("healthy")) == 0;
	return answer(connection, healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		      "text/plain; charset=utf-8", text.buf, text.len);
}

static enum MHD_Result show_metrics(struct server *s, struct MHD_Connection *connection)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	board_read(s->base->board, BOARD_METRICS, &text);
	strbuf_addstr(&text,
		      "# HELP dynia_webhooks_total Requests to /hook, by what became of them.\n"
		      "# TYPE dynia_webhooks_total counter\n");
	for (size_t i = 0; i < COUNTERS; i++)
		strbuf_addf(&text, "dynia_webhooks_total{result=\"%s\"} %lu\n", counter_names[i],
			    s->counts[i]);
	return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text.buf,
		      text.len);
}

/* --- the webhook --------------------------------------------------------------------- */

static const char *client_of(struct MHD_Connection *connection, char ret[NI_MAXHOST])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	socklen_t len = sizeof(struct sockaddr_in);

	if (!info || !info->client_addr)
		return "somebody";
	if (info->client_addr->sa_family == AF_INET6)
		len = sizeof(struct sockaddr_in6);
	if (getnameinfo(info->client_addr, len, ret, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) != 0)
		return "somebody";
	return ret;
}

/* One line a minute, whatever is sent. */
static void log_refusal(struct server *s, struct MHD_Connection *connection, const char *why)
{
	char client[NI_MAXHOST];
	int64_t now_ms = clock_ms();

	if (s->logged_ms && now_ms - s->logged_ms < LOG_EVERY_MS) {
		s->unlogged++;
		return;
	}
	log_warn("webhook: a request from %s was refused: %s (and %lu more since the last such "
		 "line)",
		 client_of(connection, client), why, s->unlogged);
	s->logged_ms = now_ms;
	s->unlogged = 0;
}

static enum MHD_Result refuse(struct server *s, struct MHD_Connection *connection, unsigned status,
			      const char *why)
{
	s->counts[status == MHD_HTTP_CONTENT_TOO_LARGE ? COUNT_TOO_LARGE : COUNT_REFUSED]++;
	log_refusal(s, connection, why);
	return say(connection, status, why);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool is_too_large(struct MHD_Connection *connection)
{
	const char *length = header(connection, "Content-Length");
	struct err ignored;
	int64_t n;

	return length && parse_int(length, 0, WEBHOOK_BODY_MAX, &n, &ignored) < 0;
}

static enum MHD_Result begin_webhook(struct server *s, struct MHD_Connection *connection,
				     void **ret_upload)
{
	const struct webhook_headers headers = {
		.hub_signature = header(connection, "X-Hub-Signature-256"),
		.gitea_signature = header(connection, "X-Gitea-Signature"),
		.gitlab_token = header(connection, "X-Gitlab-Token"),
		.webhook_id = header(connection, "webhook-id"),
		.webhook_timestamp = header(connection, "webhook-timestamp"),
		.webhook_signature = header(connection, "webhook-signature"),
		.dynia_hook = header(connection, "X-Dynia-Hook"),
		.dynia_signature = header(connection, "X-Dynia-Signature"),
	};
	const char *why = NULL;
	struct webhook_check *check;
	struct upload *upload;

	if (!s->base->config->key)
		return say(connection, MHD_HTTP_NOT_FOUND,
			   "there is no webhook here: set webhook: in agent.yaml");
	if (is_too_large(connection))
		return refuse(s, connection, MHD_HTTP_CONTENT_TOO_LARGE, "it is too large");
	check = webhook_begin(s->base->config->key, &headers, clock_wall_s(), &why);
	if (!check)
		return refuse(s, connection, MHD_HTTP_UNAUTHORIZED, why);
	upload = xcalloc(1, sizeof(*upload));
	upload->check = check;
	*ret_upload = upload;
	return MHD_YES;
}

static void pass_on(struct server *s, const struct webhook_id *id)
{
	CLEANUP(strbuf_release) struct strbuf peers = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf hook = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf signature = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf request = STRBUF_INIT;
	int64_t now_ms = clock_ms();

	s->relays += (double)(now_ms - s->relays_ms) / 1000 * RELAYS_A_SECOND;
	s->relays = s->relays < RELAYS_MAX ? s->relays : RELAYS_MAX;
	s->relays_ms = now_ms;
	if (s->relays < 1 || !board_read(s->base->board, BOARD_PEERS, &peers) || !peers.len)
		return;
	s->relays -= 1;
	webhook_relay_headers(s->base->config->key, id, clock_wall_s(), &hook, &signature);
	strbuf_addf(
		&request,
		"POST /hook HTTP/1.1\r\nHost: dynia\r\nConnection: close\r\nContent-Length: 0\r\n"
		"X-Dynia-Hook: %s\r\nX-Dynia-Signature: %s\r\n\r\n",
		hook.buf, signature.buf);
	relay_begin(&s->relay, peers.buf, s->base->port, request.buf);
}

static enum MHD_Result end_webhook(struct server *s, struct MHD_Connection *connection,
				   struct upload *upload)
{
	struct webhook_id id;

	if (!webhook_end(STEAL(upload->check), &id))
		return refuse(s, connection, MHD_HTTP_UNAUTHORIZED,
			      "its signature is wrong: is the secret the same on both sides?");
	if (webhook_seen(&s->seen, &id)) {
		s->counts[COUNT_KNOWN]++;
		return say(connection, MHD_HTTP_OK, "known already");
	}
	s->counts[id.relayed ? COUNT_RELAYED : COUNT_ACCEPTED]++;
	/* Where the pipe is full, the agent has been told often enough. */
	if (write(s->base->pass_fd, "h", 1) < 0 && errno != EAGAIN)
		_exit(1);
	if (!id.relayed)
		pass_on(s, &id);
	return say(connection, MHD_HTTP_ACCEPTED, "a pass is made");
}

static enum MHD_Result go_on_with(struct server *s, struct MHD_Connection *connection,
				  struct upload *upload, const char *data, size_t *size)
{
	if (!*size)
		return end_webhook(s, connection, upload);
	upload->size += *size;
	if (upload->size > WEBHOOK_BODY_MAX) {
		s->counts[COUNT_TOO_LARGE]++;
		return MHD_NO;
	}
	webhook_add(upload->check, data, *size);
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **upload)
{
	struct server *s = arg;
	bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;

	(void)version;
	if (*upload)
		return go_on_with(s, connection, *upload, data, size);
	if (strcmp(url, "/hook") == 0)
		return strcmp(method, "POST") == 0 ? begin_webhook(s, connection, upload)
						   : answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
							    "text/plain", "POST", 4);
	if (strcmp(url, "/healthz") != 0 && strcmp(url, "/metrics") != 0)
		return say(connection, MHD_HTTP_NOT_FOUND, "here are /healthz, /metrics and /hook");
	if (!is_get)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "GET", 3);
	return strcmp(url, "/healthz") == 0 ? show_health(s, connection)
					    : show_metrics(s, connection);
}

static void on_request_end(void *arg, struct MHD_Connection *connection, void **place,
			   enum MHD_RequestTerminationCode why)
{
	struct upload *upload = *place;

	(void)arg;
	(void)connection;
	(void)why;
	if (!upload)
		return;
	webhook_free(upload->check);
	free(upload);
	*place = NULL;
}

/* --- the loop ------------------------------------------------------------------------ */

static void ignore_log(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	(void)fmt;
	(void)ap;
}

static struct MHD_Daemon *start(struct server *s)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, s,
				MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL,
				MHD_OPTION_LISTEN_SOCKET, s->base->socket,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
				MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
				on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_request_end, s,
				MHD_OPTION_END);
}

static int shorter(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int wait_ms(struct server *s, struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG mhd_ms;
	int wait = relay_wait_ms(&s->relay);

	if (MHD_get_timeout(daemon, &mhd_ms) == MHD_YES)
		wait = shorter(wait, mhd_ms < TICK_MS ? (int)mhd_ms : TICK_MS);
	return s->n_connections ? shorter(wait, TICK_MS) : wait;
}

void listener_serve(const struct listener_server *base)
{
	struct server *s = xcalloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;

	s->base = base;
	s->relays = RELAYS_MAX;
	s->relays_ms = clock_ms();
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		s->connections[i].fd = -1;
	daemon = start(s);
	info = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	while (info) {
		struct pollfd fds[1 + RELAY_PEERS_MAX] = {{.fd = info->epoll_fd, .events = POLLIN}};
		size_t n = 1 + relay_poll(&s->relay, fds + 1);

		if (poll(fds, n, wait_ms(s, daemon)) < 0 && errno != EINTR)
			break;
		MHD_run(daemon);
		relay_step(&s->relay);
		drop_late(s);
	}
	log_error("the listener cannot serve");
}
