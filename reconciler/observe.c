#include "reconciler/observe.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/http.h"
#include "base/parse.h"
#include "base/pool.h"
#include "base/strbuf.h"

#define REPLY_MAX (1 << 20)
#define VRRP_MAX 63

/* --- one service --------------------------------------------------------------------- */

static void build_url(const struct endpoints *at, const struct watched_service *s,
		      struct strbuf *url, struct strbuf *connect_to)
{
	const char *host = s->host ? s->host : at->ingress_host;

	strbuf_addf(url, "%s://%s:%d%s", at->ingress_tls ? "https" : "http", host,
		    (int)at->ingress_port, s->path);
	strbuf_addf(connect_to, "%s:%d:%s:%d", host, (int)at->ingress_port, at->ingress_host,
		    (int)at->ingress_port);
}

/* 0 where it answers 2xx or 3xx; else -1 and why. */
static int ask(const struct watch *watch, const struct watched_service *s, struct err *err)
{
	const struct endpoints *at = &watch->at;
	CLEANUP(strbuf_release) struct strbuf url = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf connect_to = STRBUF_INIT;
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;

	build_url(at, s, &url, &connect_to);
	const struct http_request req = {
		.url = url.buf,
		.connect_to = connect_to.buf,
		.timeout_ms = (int)s->timeout_ms,
		.reply_limit = REPLY_MAX,
		.insecure = true,
		.source_address = at->probe_from,
		.proxy_header = watch->proxy_header,
	};
	if (http_do(&req, &reply, err) < 0)
		return -1;
	if (reply.status >= 200 && reply.status < 400)
		return 0;
	return err_set(err, ERR_HEALTH, "%s answers %ld", s->path, reply.status);
}

static void probe_service(const struct watch *watch, const struct watched_service *s,
			  struct probe *probe, int64_t running_for_ms)
{
	struct err err = {0};

	probe->due_ms = clock_ms() + s->interval_ms;
	if (ask(watch, s, &err) == 0) {
		probe->failures = 0;
		probe->was_healthy = true;
		probe->health = "healthy";
		probe->message[0] = '\0';
		return;
	}
	snprintf(probe->message, sizeof(probe->message), "%.*s", (int)sizeof(probe->message) - 1,
		 err.msg);
	str_mask_controls(probe->message);
	/* What has just been started is asked as often as it is looked at. */
	if (!probe->was_healthy)
		probe->due_ms = 0;
	if (running_for_ms < s->start_period_ms) {
		probe->health = "unknown";
		return;
	}
	probe->failures++;
	probe->health = probe->failures >= s->retries ? "failed" : "degraded";
}

/* Without a path of its own a service is as healthy as the Caddy that serves it. */
static void look_at_service(const struct watch *watch, const struct watched_service *s,
			    struct probe *probe, const char *caddy_health, int64_t running_for_ms)
{
	if (!s->path) {
		probe->health = caddy_health;
		probe->message[0] = '\0';
	} else if (!probe->health || clock_ms() >= probe->due_ms) {
		probe_service(watch, s, probe, running_for_ms);
	}
}

/* --- the programs -------------------------------------------------------------------- */

static const char *program_health(const struct program_state *state, const char *config)
{
	if (!state->running || !state->answers)
		return "failed";
	return strcmp(state->config, config) == 0 ? "healthy" : "degraded";
}

/* NULL where it is not wanted. */
static int look_at(const struct runtime_context *rt, const struct watch *watch,
		   enum program program, struct program_state *ret, const char **ret_health,
		   struct err *err)
{
	const struct runtime_ops *ops = runtime_ops_of(rt->root, rt->at->runtime, program);

	*ret_health = NULL;
	if (!watch_config(watch, program)[0])
		return 0;
	if (!ops)
		return err_set(err, ERR_CONFIG, "nothing here runs %s", program_name(program));
	if (ops->observe(rt, program, ret, err) < 0)
		return -1;
	*ret_health = program_health(ret, watch_config(watch, program));
	return 0;
}

/* What `dynia vrrp` wrote last: "master 2026-01-01T00:00:00Z". */
static void read_vrrp(const struct root *root, struct observation *ret)
{
	static const char *const states[][2] = {{"master ", "MASTER"},
						{"backup ", "BACKUP"},
						{"fault ", "FAULT"}};
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	struct err ignored;

	if (file_read_in(root->fd, PATH_VRRP, VRRP_MAX, &line, &ignored) < 0)
		return;
	line.buf[strcspn(line.buf, "\n")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		size_t len = strlen(states[i][0]);

		if (strncmp(line.buf, states[i][0], len) != 0)
			continue;
		ret->vrrp_state = states[i][1];
		ret->vrrp_since_s = clock_parse(line.buf + len);
	}
}

static int look_at_programs(const struct runtime_context *rt, const struct watch *watch,
			    struct observation *ret, struct err *err)
{
	struct err ignored;

	if (look_at(rt, watch, PROGRAM_CADDY, &ret->caddy, &ret->caddy_health, err) < 0 ||
	    look_at(rt, watch, PROGRAM_HAPROXY, &ret->haproxy, &ret->haproxy_health, err) < 0 ||
	    look_at(rt, watch, PROGRAM_KEEPALIVED, &ret->keepalived, &ret->keepalived_health, err) <
		    0)
		return -1;
	if (ret->keepalived_health)
		read_vrrp(rt->root, ret);
	ret->has_servers =
		ret->haproxy.answers &&
		haproxy_servers(watch->at.haproxy_socket, rt->pool, &ret->servers, &ignored) == 0;
	return 0;
}

int observe_node(const struct root *root, const struct watch *watch, struct probe *probes,
		 int64_t running_for_ms, struct pool *pool, struct observation *ret,
		 struct err *err)
{
	struct runtime_context rt = {.root = root, .pool = pool, .at = &watch->at};

	memset(ret, 0, sizeof(*ret));
	if (look_at_programs(&rt, watch, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < watch->n_services; i++)
		look_at_service(watch, &watch->services[i], &probes[i], ret->caddy_health,
				running_for_ms);
	return 0;
}
