#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "cli/command.h"
#include "reconciler/root.h"

static const char *const states[] = {"master", "backup", "fault"};

static int write_state(const char *root_path, const char *state)
{
	CLEANUP(root_release) struct root root = ROOT_INIT;
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	struct err err = {0};
	char at[CLOCK_TEXT_SIZE];

	clock_format(clock_wall_s(), at);
	strbuf_addf(&line, "%s %s\n", state, at);
	if (root_open(root_path, &root, &err) < 0 ||
	    file_replace_in(root.fd, PATH_VRRP, line.buf, line.len, 0644, &err) < 0)
		return cli_fail(&err);
	root_wake_agent(&root);
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
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (strcmp(args.v[0], states[i]) == 0)
			return write_state(root, states[i]);
	return cli_usage_error(self, "'%s' is no VRRP state: master, backup or fault", args.v[0]);
}

const struct command cmd_vrrp = {
	.name = "vrrp",
	.arguments = "master|backup|fault",
	.summary = "record this node's VRRP state (keepalived's notify script)",
	.help = "Writes the state and the time to /run/dynia/vrrp, and has the agent make a pass: "
		"with\n"
		"vip.move: digitalocean the new master assigns the reserved IP to itself.",
	.example = "  dynia vrrp backup",
	.changes = true,
	.run = run,
};
