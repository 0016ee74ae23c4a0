#include "reconciler/haproxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/unixsock.h"
#include "render/layout.h"

#define COMMAND_TIMEOUT_MS 2000
#define REPLY_MAX (4 << 20)
#define NAME_SIZE 256
#define FAILED_MARK "[failed: "
/* Columns of `show stat`, counted from 0 (management guide, 9.1). */
#define STAT_NAME 1
#define STAT_STATUS 17
#define STAT_CHECK_STATUS 36

/* The rest of the line behind `mark`, or NULL. */
static char *line_behind(char *text, const char *mark)
{
	char *at = strstr(text, mark);

	if (!at)
		return NULL;
	at += strlen(mark);
	at[strcspn(at, "\r\n")] = '\0';
	return at;
}

int haproxy_loaded(const char *socket, char ret_digest[SHA256_HEX_SIZE], pid_t *ret_worker,
		   struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf info = STRBUF_LIMITED(REPLY_MAX);
	CLEANUP(strbuf_release) struct strbuf env = STRBUF_LIMITED(REPLY_MAX);
	const char *digest, *pid;

	ret_digest[0] = '\0';
	*ret_worker = 0;
	if (unixsock_command(socket, "show info", COMMAND_TIMEOUT_MS, &info, err) < 0 ||
	    unixsock_command(socket, "show env " CONFIG_VARIABLE, COMMAND_TIMEOUT_MS, &env, err) <
		    0)
		return -1;
	pid = line_behind(info.buf, "\nPid: ");
	if (pid)
		*ret_worker = (pid_t)strtol(pid, NULL, 10);
	digest = line_behind(env.buf, CONFIG_VARIABLE "=");
	if (digest && strlen(digest) == SHA256_HEX_SIZE - 1)
		memcpy(ret_digest, digest, SHA256_HEX_SIZE);
	return 0;
}

int haproxy_failed_reloads(const char *master_socket, long *ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_LIMITED(REPLY_MAX);
	const char *mark;

	if (unixsock_command(master_socket, "show proc", COMMAND_TIMEOUT_MS, &reply, err) < 0)
		return -1;
	mark = strstr(reply.buf, FAILED_MARK);
	*ret = mark ? strtol(mark + strlen(FAILED_MARK), NULL, 10) : 0;
	return 0;
}

/* The column of a line of comma-separated values, cut out in place of a copy; empty where there are
 * fewer. */
static void take_column(const char *line, int column, char *ret, size_t size)
{
	const char *end;
	size_t len;

	for (int i = 0; i < column && line; i++) {
		line = strchr(line, ',');
		line = line ? line + 1 : NULL;
	}
	ret[0] = '\0';
	if (!line)
		return;
	end = strchr(line, ',');
	len = end ? (size_t)(end - line) : strlen(line);
	if (len >= size)
		return;
	memcpy(ret, line, len);
	ret[len] = '\0';
}

static bool has_name(const struct haproxy_servers *servers, const char *name)
{
	for (size_t i = 0; i < servers->n_names; i++)
		if (strcmp(servers->names[i], name) == 0)
			return true;
	return false;
}

static void take_server(const char *line, struct pool *pool, struct haproxy_servers *ret)
{
	char name[NAME_SIZE], status[32], check[32];

	take_column(line, STAT_NAME, name, sizeof(name));
	take_column(line, STAT_STATUS, status, sizeof(status));
	take_column(line, STAT_CHECK_STATUS, check, sizeof(check));
	if (strcmp(status, "no check") == 0)
		return;
	ret->all++;
	ret->up += strncmp(status, "UP", 2) == 0 && check[0];
	if (!has_name(ret, name))
		ret->names[ret->n_names++] = pool_strdup(pool, name);
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int haproxy_servers(const char *socket, struct pool *pool, struct haproxy_servers *ret,
		    struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_LIMITED(REPLY_MAX);
	char *line, *rest;

	*ret = (struct haproxy_servers) {0};
	/* -1: all proxies, 4: servers, -1: all of them */
	if (unixsock_command(socket, "show stat -1 4 -1", COMMAND_TIMEOUT_MS, &reply, err) < 0)
		return -1;
	ret->names = pool_calloc(pool, count_lines(reply.buf), sizeof(*ret->names));
	for (line = strtok_r(reply.buf, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (line[0] != '#')
			take_server(line, pool, ret);
	return 0;
}
