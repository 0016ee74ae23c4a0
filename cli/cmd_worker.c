#include "cli/command.h"
#include "gitsync/worker.h"

static int run(const struct command *self, int argc, char **argv)
{
	struct cli_args args = {0};
	int status =
		cli_parse(self, (const struct cli_option[]) {CLI_OPTION_END}, argc, argv, &args);

	return status >= 0 ? status : worker_serve();
}

const struct command cmd_worker = {
	.name = "worker",
	.arguments = "",
	.summary = "talk to a git server for the agent, which starts this by itself",
	.help = "Reads one request of the agent's from standard input and answers on standard\n"
		"output. It is not for people.",
	.example = "  dynia reconcile --once",
	.hidden = true,
	.run = run,
};
