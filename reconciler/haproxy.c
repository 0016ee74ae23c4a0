#include "reconciler/haproxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/unixsock.h"
#include "render/layout.h"

#define COMMAND_TIMEOUT_MS 2000
#define REPLY_MAX (4 << 20)
#define FAILED_MARK "[failed: "
/* Columns of `show stat`, counted from 0 (management guide, 9.1). */
#define STAT_STATUS 17
#define STAT_CHECK_STATUS 36

int haproxy_loaded(const char *socket, char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_LIMITED(REPLY_MAX);
	const char *value;

	ret_digest[0] = '\0';
	if (unixsock_command(socket, "show env " CONFIG_VARIABLE, COMMAND_TIMEOUT_MS, &reply, err) <
	    0)
		return -1;
	strbuf_trim(&reply);
	value = strchr(reply.buf, '=');
	if (value && strlen(value + 1) == SHA256_HEX_SIZE - 1)
		memcpy(ret_digest, value + 1, SHA256_HEX_SIZE);
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

int haproxy_servers(const char *socket, long *ret_up, long *ret_all, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf reply = STRBUF_LIMITED(REPLY_MAX);
	char *line, *rest;

	*ret_up = *ret_all = 0;
	/* -1: all proxies, 4: servers, -1: all of them */
	if (unixsock_command(socket, "show stat -1 4 -1", COMMAND_TIMEOUT_MS, &reply, err) < 0)
		return -1;
	for (line = strtok_r(reply.buf, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char status[32], check[32];

		take_column(line, STAT_STATUS, status, sizeof(status));
		take_column(line, STAT_CHECK_STATUS, check, sizeof(check));
		if (line[0] == '#' || strcmp(status, "no check") == 0)
			continue;
		(*ret_all)++;
		*ret_up += strncmp(status, "UP", 2) == 0 && check[0];
	}
	return 0;
}
