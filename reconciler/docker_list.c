/* What runs: the list of containers, and what it does not say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "reconciler/docker_call.h"
#include "render/compose.h"
#include "render/labels.h"

#define CONTAINERS_MAX 10000

/* "Up 3 minutes (healthy)": a unit may hide nearly one more of itself. */
static int64_t up_at_most(const char *status)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {
		{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}, {"week", 604800},
	};
	long long n;
	char unit[16];

	if (strncmp(status, "Up Less than", 12) == 0)
		return 1;
	if (strncmp(status, "Up About a minute", 17) == 0)
		return 120;
	if (strncmp(status, "Up About an hour", 16) == 0)
		return 7200;
	if (sscanf(status, "Up %10lld %15[a-z]", &n, unit) != 2 || n < 0)
		return INT64_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strncmp(unit, units[i].unit, strlen(units[i].unit)) == 0)
			return (n + 1) * units[i].seconds;
	return INT64_MAX;
}

static const char *health_in(const char *status)
{
	if (strstr(status, "(healthy)"))
		return "healthy";
	if (strstr(status, "(unhealthy)"))
		return "unhealthy";
	return strstr(status, "(health: starting)") ? "starting" : "";
}

/* "Exited (3) 2 seconds ago", "Restarting (3) …". */
static int64_t exit_code_in(const char *status)
{
	const char *open = strchr(status, '(');
	char *end;
	long code = open ? strtol(open + 1, &end, 10) : 0;

	return open && *end == ')' ? code : 0;
}

static int64_t published_port(const json_t *row)
{
	const json_t *ports = json_object_get(row, "Ports");
	size_t i;
	const json_t *port;

	json_array_foreach(ports, i, port)
	{
		json_int_t n = json_integer_value(json_object_get(port, "PublicPort"));

		if (n > 0 && n <= 65535)
			return (int64_t)n;
	}
	return 0;
}

static bool read_container(const json_t *row, struct pool *pool, struct container *ret)
{
	const json_t *labels = json_object_get(row, "Labels");
	const char *status = docker_text(row, "Status", pool);
	const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));

	*ret = (struct container) {
		.id = docker_text(row, "Id", pool),
		.image = docker_text(row, "Image", pool),
		.image_id = docker_text(row, "ImageID", pool),
		.project = docker_text(labels, LABEL_PROJECT, pool),
		.service = docker_text(labels, LABEL_SERVICE, pool),
		.part = docker_text(labels, LABEL_PART, pool),
		.spec = docker_text(labels, LABEL_SPEC, pool),
		.surge = json_object_get(labels, LABEL_SURGE) != NULL,
		.state = docker_text(row, "State", pool),
		.health = health_in(status),
		.exit_code = exit_code_in(status),
		.up_s_max = up_at_most(status),
		.port = published_port(row),
		.restarts = -1,
	};
	if (name && *name == '/')
		name++;
	ret->name = pool_memdup(pool, name ? name : "", name ? strnlen(name, 255) : 0);
	str_mask_controls((char *)ret->name);
	return docker_is_id(ret->id);
}

static int by_place(const void *a, const void *b)
{
	const struct container *x = a, *y = b;
	int order = strcmp(x->service, y->service);

	if (!order)
		order = strcmp(x->part, y->part);
	return order ? order : strcmp(x->name, y->name);
}

static int list_labelled(struct docker *docker, const char *label, const char *value,
			 struct pool *pool, struct container_list *ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	json_t *rows;
	const json_t *row;
	size_t i;

	*ret = (struct container_list) {0};
	strbuf_addstr(&path, "/containers/json?all=1&");
	docker_filter(&path, label, value);
	if (docker_ask(docker, path.buf, &rows, err) < 0)
		return -1;
	if (!json_is_array(rows) || json_array_size(rows) > CONTAINERS_MAX) {
		json_decref(rows);
		return err_set(err, ERR_DOCKER,
			       "docker: the list of containers is none, or longer than %d",
			       CONTAINERS_MAX);
	}
	ret->v = pool_calloc(pool, json_array_size(rows) + 1, sizeof(*ret->v));
	json_array_foreach(rows, i, row)
	{
		if (read_container(row, pool, &ret->v[ret->n]))
			ret->n++;
	}
	json_decref(rows);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_place);
	return 0;
}

int docker_inspect(struct docker *docker, struct container *container, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	json_t *object;

	strbuf_addf(&path, "/containers/%s/json", container->id);
	if (docker_ask(docker, path.buf, &object, err) < 0)
		return -1;
	container->restarts =
		object ? (int64_t)json_integer_value(json_object_get(object, "RestartCount")) : -1;
	json_decref(object);
	return 0;
}

/* Without a terminal each piece has a header of eight bytes: stream, three zeros, length. */
static void drop_headers(const struct strbuf *raw, struct strbuf *ret)
{
	size_t at = 0;

	while (at + 8 <= raw->len) {
		const unsigned char *head = (const unsigned char *)raw->buf + at;
		size_t len = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 |
			     head[7];

		if (head[0] > 2 || head[1] || head[2] || head[3])
			break;
		at += 8;
		len = len < raw->len - at ? len : raw->len - at;
		strbuf_add(ret, raw->buf + at, len);
		at += len;
	}
	if (!at)
		strbuf_add(ret, raw->buf, raw->len);
}

#define LOG_LINES "50"
#define LOG_MAX (64 << 10)

static void read_log(struct docker *docker, const struct container *container, const char *tail,
		     struct strbuf *ret)
{
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	struct docker_call call = {.keep_tail = true};
	struct err ignored;

	strbuf_addf(&path, "/containers/%s/logs?stdout=1&stderr=1&tail=%s", container->id, tail);
	call.path = path.buf;
	if (docker_do(docker, &call, &reply, &ignored) == 0 && reply.status == 200)
		drop_headers(&reply.body, ret);
}

const char *docker_last_words(struct docker *docker, const struct container *container,
			      struct pool *pool)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_LIMITED(DOCKER_TEXT_MAX);
	char *line;

	read_log(docker, container, "1", &text);
	strbuf_trim(&text);
	line = pool_memdup(pool, text.buf, strcspn(text.buf, "\n"));
	str_mask_controls(line);
	return line;
}

char *docker_log(struct docker *docker, const struct container *container, struct pool *pool)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_LIMITED(LOG_MAX);

	read_log(docker, container, LOG_LINES, &text);
	return pool_memdup(pool, text.buf, text.len);
}

int docker_list(struct docker *docker, const char *root, struct pool *pool,
		struct container_list *ret, struct err *err)
{
	return list_labelled(docker, LABEL_ROOT, root[0] ? root : "/", pool, ret, err);
}

int docker_list_ingress(struct docker *docker, const char *root, const char *program,
			struct pool *pool, struct container_list *ret, struct err *err)
{
	const char *value = ingress_label(pool, root, program);

	return list_labelled(docker, LABEL_INGRESS, value, pool, ret, err);
}
