#include "reconciler/docker.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "reconciler/docker_call.h"
#include "render/labels.h"

/* A container has 30 s to stop before it is killed. */
#define STOP_TIMEOUT_MS 60000
#define START_TIMEOUT_MS 60000
/* A pull that brings nothing for so long has failed; one that brings something may take its time. */
#define PULL_STALL_MS 45000
#define PULL_TIMEOUT_MS (20 * 60 * 1000)

/* --- images -------------------------------------------------------------------------- */

int docker_image(struct docker *docker, const char *image, struct pool *pool, const char **ret_id,
		 struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	json_t *object;

	strbuf_addstr(&path, "/images/");
	docker_encode(&path, image);
	strbuf_addstr(&path, "/json");
	if (docker_ask(docker, path.buf, &object, err) < 0)
		return -1;
	if (!object)
		return 0;
	*ret_id = docker_text(object, "Id", pool);
	json_decref(object);
	return 1;
}

/* RFC 4648, section 5, as the Engine API wants the login. */
static void base64url(struct strbuf *ret, const char *text, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < len; i += 3) {
		unsigned long bits = (unsigned long)(unsigned char)text[i] << 16;

		if (i + 1 < len)
			bits |= (unsigned long)(unsigned char)text[i + 1] << 8;
		if (i + 2 < len)
			bits |= (unsigned char)text[i + 2];
		strbuf_addch(ret, digits[bits >> 18 & 63]);
		strbuf_addch(ret, digits[bits >> 12 & 63]);
		strbuf_addch(ret, i + 1 < len ? digits[bits >> 6 & 63] : '=');
		strbuf_addch(ret, i + 2 < len ? digits[bits & 63] : '=');
	}
}

static void make_auth(struct strbuf *ret, const char *image, const char *username,
		      const char *password)
{
	CLEANUP(strbuf_release) struct strbuf server = STRBUF_INIT;
	json_t *login;
	char *text;

	strbuf_add(&server, image, strcspn(image, "/"));
	login = json_pack("{ss ss ss}", "username", username, "password", password, "serveraddress",
			  server.buf);
	text = json_dumps(login, JSON_COMPACT);
	base64url(ret, text, strlen(text));
	explicit_bzero(text, strlen(text));
	free(text);
	json_decref(login);
}

/* Progress is a stream of JSON objects; one with "error" is the last. */
static const char *pull_error(const struct strbuf *body, struct pool *pool)
{
	const char *from = body->buf;
	const char *found = NULL;

	while (*from) {
		size_t len = strcspn(from, "\r\n");
		json_t *line = len ? json_loadb(from, len, 0, NULL) : NULL;

		if (json_object_get(line, "error"))
			found = docker_text(line, "error", pool);
		json_decref(line);
		from += len;
		from += strspn(from, "\r\n");
	}
	return found;
}

/* Docker pulls every tag of a name without one. */
static void add_reference(struct strbuf *url, const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *name = slash ? slash + 1 : image;

	strbuf_addstr(url, "/images/create?fromImage=");
	docker_encode(url, image);
	if (!strchr(name, ':') && !strchr(image, '@'))
		strbuf_addstr(url, "&tag=latest");
}

int docker_pull(struct docker *docker, const char *image, const char *username,
		const char *password, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf auth = STRBUF_INIT;
	struct docker_call call = {
		.method = "POST",
		.timeout_ms = PULL_TIMEOUT_MS,
		.stall_ms = PULL_STALL_MS,
		.keep_tail = true,
	};
	const char *error;
	int failed;

	add_reference(&path, image);
	if (username)
		make_auth(&auth, image, username, password);
	call.path = path.buf;
	call.auth = username ? auth.buf : NULL;
	failed = docker_do(docker, &call, &reply, err);
	explicit_bzero(auth.buf, auth.len);
	if (failed)
		return err_set(err, ERR_IMAGE, "image '%s' cannot be pulled: nothing came for %d s",
			       image, PULL_STALL_MS / 1000);
	if (reply.status != 200) {
		docker_refused(&call, &reply, ERR_IMAGE, err);
		return err_wrap(err, "image '%s' cannot be pulled", image);
	}
	error = pull_error(&reply.body, pool);
	if (error)
		return err_set(err, ERR_IMAGE, "image '%s' cannot be pulled: %s", image, error);
	return 0;
}

/* --- containers ---------------------------------------------------------------------- */

static int post(struct docker *docker, const struct container *container, const char *verb,
		int timeout_ms, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	struct docker_call call = {.method = "POST", .timeout_ms = timeout_ms};

	strbuf_addf(&path, "/containers/%s/%s", container->id, verb);
	call.path = path.buf;
	if (docker_order(docker, &call, true, err) < 0)
		return err_wrap(err, "%s container '%s'", verb, container->name);
	return 0;
}

int docker_start(struct docker *docker, const struct container *container, struct err *err)
{
	return post(docker, container, "start", START_TIMEOUT_MS, err);
}

int docker_unpause(struct docker *docker, const struct container *container, struct err *err)
{
	return post(docker, container, "unpause", START_TIMEOUT_MS, err);
}

int docker_remove(struct docker *docker, const struct container *container, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	struct docker_call call = {.method = "DELETE", .timeout_ms = STOP_TIMEOUT_MS};

	/* A paused one cannot take its TERM. */
	if (strcmp(container->state, "paused") == 0 && docker_unpause(docker, container, err) < 0)
		return -1;
	if (post(docker, container, "stop", STOP_TIMEOUT_MS, err) < 0)
		return -1;
	strbuf_addf(&path, "/containers/%s?force=1&v=1", container->id);
	call.path = path.buf;
	if (docker_order(docker, &call, true, err) < 0)
		return err_wrap(err, "remove container '%s'", container->name);
	return 0;
}

/* --- networks and volumes ------------------------------------------------------------ */

static const char *subnet_of(const json_t *network)
{
	const json_t *config = json_object_get(json_object_get(network, "IPAM"), "Config");
	const char *subnet =
		json_string_value(json_object_get(json_array_get(config, 0), "Subnet"));

	return subnet ? subnet : "";
}

static bool is_ours(const json_t *network, const char *root)
{
	const char *label =
		json_string_value(json_object_get(json_object_get(network, "Labels"), LABEL_ROOT));

	return label && strcmp(label, root[0] ? root : "/") == 0;
}

/* 1 and the network, 0, -1. The caller releases it. */
static int find_network(struct docker *docker, const char *name, json_t **ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;

	strbuf_addstr(&path, "/networks/");
	docker_encode(&path, name);
	if (docker_ask(docker, path.buf, ret, err) < 0)
		return -1;
	return *ret != NULL;
}

static int create_network(struct docker *docker, const char *name, const char *subnet,
			  const char *root, struct err *err)
{
	json_t *body = json_pack("{ss sb ss s{s[{ss}]} s{ss ss}}", "Name", name, "CheckDuplicate",
				 1, "Driver", "bridge", "IPAM", "Config", "Subnet", subnet,
				 "Labels", LABEL_ROOT, root[0] ? root : "/", LABEL_NETWORK, "1");
	const struct docker_call call = {.method = "POST",
					 .path = "/networks/create",
					 .body = body,
					 .timeout_ms = 30000};
	int failed = docker_order(docker, &call, false, err);

	json_decref(body);
	return failed < 0 ? err_wrap(err, "network '%s' (%s)", name, subnet) : 0;
}

int docker_network_ensure(struct docker *docker, const char *name, const char *subnet,
			  const char *root, struct err *err)
{
	json_t *network;
	int there = find_network(docker, name, &network, err);

	if (there < 0)
		return -1;
	if (!there)
		return create_network(docker, name, subnet, root, err);
	if (is_ours(network, root) && strcmp(subnet_of(network), subnet) != 0)
		err_set(err, ERR_APPLY,
			"network '%s' is %.60s here, and the repository says %s: give the new one "
			"another name, and every service moves to it",
			name, subnet_of(network), subnet);
	else
		there = 0;
	json_decref(network);
	return there ? -1 : 0;
}

static int delete_thing(struct docker *docker, const char *kind, const char *name, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	struct docker_call call = {.method = "DELETE", .timeout_ms = 30000};

	strbuf_addf(&path, "/%s/", kind);
	docker_encode(&path, name);
	call.path = path.buf;
	return docker_order(docker, &call, true, err);
}

int docker_network_remove(struct docker *docker, const char *name, const char *root,
			  struct err *err)
{
	json_t *network;
	int there = find_network(docker, name, &network, err);
	struct err in_use;

	if (there <= 0)
		return there;
	if (is_ours(network, root))
		(void)delete_thing(docker, "networks", name, &in_use);
	json_decref(network);
	return 0;
}

static int remove_all(struct docker *docker, const char *kind, const char *project,
		      const char *list, const char *key, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	json_t *answer;
	const json_t *rows, *row;
	size_t i;
	int failed = 0;

	strbuf_addf(&path, "/%s?", kind);
	docker_filter(&path, LABEL_PROJECT, project);
	if (docker_ask(docker, path.buf, &answer, err) < 0)
		return -1;
	rows = list ? json_object_get(answer, list) : answer;
	json_array_foreach(rows, i, row)
	{
		const char *name = docker_text(row, key, pool);

		if (!failed && *name)
			failed = delete_thing(docker, kind, name, err);
	}
	json_decref(answer);
	return failed;
}

int docker_project_remove(struct docker *docker, const char *project, bool volumes, struct err *err)
{
	if (remove_all(docker, "networks", project, NULL, "Id", err) < 0)
		return err_wrap(err, "networks of '%s'", project);
	if (volumes && remove_all(docker, "volumes", project, "Volumes", "Name", err) < 0)
		return err_wrap(err, "volumes of '%s'", project);
	return 0;
}
