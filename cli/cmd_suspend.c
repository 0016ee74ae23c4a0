/* suspend and resume: a person takes a node out of the agent's hands, and gives it back. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "reconciler/suspend.h"

static int suspend(const char *root_path, const char *reason)
{
	CLEANUP(root_release) struct root root = ROOT_INIT;
	struct err err = {0};

	if (root_open(root_path, &root, &err) < 0 || suspend_node(&root, reason, &err) < 0)
		return cli_fail(&err);
	printf("suspended: from its next pass on the agent changes nothing here, until dynia "
	       "resume\n");
	return EXIT_DONE;
}

static int resume(const char *root_path)
{
	CLEANUP(root_release) struct root root = ROOT_INIT;
	struct err err = {0};

	if (root_open(root_path, &root, &err) < 0 || suspend_resume(&root, &err) < 0)
		return cli_fail(&err);
	printf("resumed: the next pass brings the node to what the repository says\n");
	return EXIT_DONE;
}

static int run_suspend(const struct command *self, int argc, char **argv)
{
	const char *root = NULL, *reason = NULL;
	const struct cli_option options[] = {
		{"reason", "TEXT", "why; everybody sees it in dynia status", .text = &reason},
		{"root", "DIR", "the node lives in DIR", .text = &root},
		CLI_OPTION_END,
	};
	struct cli_args args = {0};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	if (!reason || !*reason)
		return cli_usage_error(self, "--reason is needed");
	if (strlen(reason) > SUSPEND_REASON_MAX)
		return cli_usage_error(self, "--reason has room for %d bytes", SUSPEND_REASON_MAX);
	return suspend(root, reason);
}

static int run_resume(const struct command *self, int argc, char **argv)
{
	const char *root = NULL;
	const struct cli_option options[] = {
		{"root", "DIR", "the node lives in DIR", .text = &root},
		CLI_OPTION_END,
	};
	struct cli_args args = {0};
	int status = cli_parse(self, options, argc, argv, &args);

	return status >= 0 ? status : resume(root);
}

const struct command cmd_suspend = {
	.name = "suspend",
	.arguments = "--reason TEXT",
	.summary = "leave this node as it is until it is resumed",
	.help = "The agent goes on pulling, looking and reporting, and changes nothing: no commit "
		"is\n"
		"applied, no drift repaired. The reason is in the node's status.",
	.example = "  dynia suspend --reason 'moving the disk, back at 15:00'",
	.changes = true,
	.run = run_suspend,
};

const struct command cmd_resume = {
	.name = "resume",
	.arguments = "",
	.summary = "give a suspended node back to the agent",
	.help = "",
	.example = "  dynia resume",
	.changes = true,
	.run = run_resume,
};
