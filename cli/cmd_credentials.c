#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bootstrap/deliver.h"
#include "cli/command.h"
#include "reconciler/credentials.h"

/* All at once, so that no half of it stays behind in memory. */
static int read_message(struct strbuf *ret, struct err *err)
{
	strbuf_grow(ret, CREDENTIALS_MESSAGE_MAX + 1);
	for (;;) {
		ssize_t n = read(STDIN_FILENO, ret->buf + ret->len,
				 CREDENTIALS_MESSAGE_MAX + 1 - ret->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read standard input");
		strbuf_setlen(ret, ret->len + (size_t)n);
		if (ret->len > CREDENTIALS_MESSAGE_MAX)
			return err_set(err, ERR_LIMIT, "more than %zu bytes of credentials",
				       CREDENTIALS_MESSAGE_MAX);
		if (n == 0)
			return 0;
	}
}

static int install(const char *root_path)
{
	CLEANUP(root_release) struct root root = ROOT_INIT;
	CLEANUP(strbuf_wipe) struct strbuf message = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;
	struct err err = {0};

	if (root_open(root_path, &root, &err) < 0 || read_message(&message, &err) < 0 ||
	    credentials_install(&root, message.buf, message.len, &answer, &err) < 0)
		return cli_fail(&err);
	fputs(answer.buf, stdout);
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *root = NULL;
	const struct cli_option options[] = {
		{"root", "DIR", "the node lives in DIR", .text = &root},
		CLI_OPTION_END,
	};
	struct cli_args args = {.least = 1, .most = 1};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	if (strcmp(args.v[0], "install") != 0)
		return cli_usage_error(self, "'%s' is not install", args.v[0]);
	return install(root);
}

const struct command cmd_credentials = {
	.name = "credentials",
	.arguments = "install",
	.summary = "take credentials for this node from standard input",
	.help = "What dynia bootstrap runs on a node, over ssh, to bring it its credentials. They "
		"go to\n"
		"/etc/dynia with mode 0600, and the agent makes a pass. It is not for people.",
	.example = "  dynia bootstrap credentials --credentials ./secret",
	.hidden = true,
	.changes = true,
	.run = run,
};
