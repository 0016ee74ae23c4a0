#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/http.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "cli/command.h"
#include "reconciler/root.h"
#include "render/layout.h"

/* Below keepalived's time-out for the script, which is 1 s. */
#define TIMEOUT_MS 800
#define REPLY_MAX (64 << 10)

/* 1: the node leaves (reconciler/leave.h), and the address is to leave it. */
static int leaves(const char *root_path, struct err *err)
{
	CLEANUP(root_release) struct root root = ROOT_INIT;
	CLEANUP(strbuf_release) struct strbuf flag = STRBUF_INIT;

	strbuf_addf(&flag, "%s/" DRAIN_FLAG, layout_path(LAYOUT_DRAIN, RUNTIME_SYSTEM));
	if (root_open(root_path, &root, err) < 0)
		return -1;
	return file_stat_in(root.fd, flag.buf, NULL, err);
}

static int check_ingress(const char *root, const char *address, int64_t port)
{
	CLEANUP(strbuf_release) struct strbuf url = STRBUF_INIT;
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	struct err err = {0};
	int leaving = leaves(root, &err);

	if (leaving > 0)
		err_set(&err, ERR_HEALTH, "this node leaves: the branch names it no more");
	if (leaving)
		return cli_fail(&err);
	strbuf_addf(&url, "http://%s:%d/healthz", address, (int)port);
	const struct http_request req = {
		.url = url.buf,
		.timeout_ms = TIMEOUT_MS,
		.reply_limit = REPLY_MAX,
	};
	if (http_do(&req, &reply, &err) < 0)
		return cli_fail(&err);
	if (reply.status == 200)
		return EXIT_DONE;
	err_set(&err, ERR_HEALTH, "the ingress answers %ld: no backend is up", reply.status);
	return cli_fail(&err);
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *port_text = "8405", *address = "127.0.0.1", *root = NULL;
	const struct cli_option options[] = {
		{"port", "PORT", "ingress.health_port of the cluster (default 8405)",
		 .text = &port_text},
		{"address", "ADDRESS", "where it listens (default 127.0.0.1)", .text = &address},
		{"root", "DIR", "the node lives in DIR", .text = &root},
		CLI_OPTION_END,
	};
	struct cli_args args = {.least = 1, .most = 1};
	int status = cli_parse(self, options, argc, argv, &args);
	struct err err = {0};
	int64_t port;

	if (status >= 0)
		return status;
	if (strcmp(args.v[0], "ingress") != 0)
		return cli_usage_error(self, "'%s' cannot be checked: only 'ingress' can",
				       args.v[0]);
	if (parse_int(port_text, 1, 65535, &port, &err) < 0)
		return cli_usage_error(self, "--port: %s", err.msg);
	if (!is_ipv4(address))
		return cli_usage_error(self, "--address: '%s' is no IPv4 address", address);
	return check_ingress(root, address, port);
}

const struct command cmd_check = {
	.name = "check",
	.arguments = "ingress",
	.summary = "ask this node's HAProxy whether it serves (keepalived's track script)",
	.help = "One request to the health port on loopback: exit 0 means that HAProxy answers and "
		"has\n"
		"at least one backend that is up, and that the node does not leave its cluster. "
		"Needs no agent\n"
		"and no configuration.",
	.example = "  dynia check ingress --port 8405 && echo serving",
	.run = run,
};
