#include <stdio.h>

#include "cli/command.h"

static int run(const struct command *self, int argc, char **argv)
{
	const struct cli_option options[] = {CLI_OPTION_END};
	struct cli_args args = {0};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	printf("dynia %s\n", DYNIA_VERSION);
	return EXIT_DONE;
}

const struct command cmd_version = {
	.name = "version",
	.arguments = "",
	.summary = "print the version",
	.help = "",
	.example = "  dynia version",
	.run = run,
};
