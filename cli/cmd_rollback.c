#include <stdio.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/command.h"
#include "reconciler/rollback.h"

static int rollback(const char *root_path, int64_t generation)
{
	CLEANUP(root_release) struct root root = ROOT_INIT;
	char revision[GIT_OID_HEX];
	struct err err = {0};

	if (root_open(root_path, &root, &err) < 0 ||
	    rollback_order(&root, generation, revision, &err) < 0)
		return cli_fail(&err);
	printf("the next pass brings this node to %.7s, where it stays until the branch moves\n",
	       revision);
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *root = NULL;
	const struct cli_option options[] = {
		{"root", "DIR", "the node lives in DIR", .text = &root},
		CLI_OPTION_END,
	};
	struct cli_args args = {.most = 1};
	int status = cli_parse(self, options, argc, argv, &args);
	struct err err = {0};
	int64_t generation = 0;

	if (status >= 0)
		return status;
	if (args.n && parse_int(args.v[0], 1, INT64_MAX, &generation, &err) < 0)
		return cli_usage_error(self, "GENERATION: %s", err.msg);
	return rollback(root, generation);
}

const struct command cmd_rollback = {
	.name = "rollback",
	.arguments = "[GENERATION]",
	.summary = "bring this node back to an earlier generation, until the branch moves",
	.help = "Without a number: to the last generation of another commit. dynia history and "
		"the\n"
		"generation in the status tell the numbers. For all nodes at once, revert the "
		"commit.",
	.example = "  dynia rollback\n  dynia rollback 11",
	.changes = true,
	.run = run,
};
