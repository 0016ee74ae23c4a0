/*
 * The commands: one row of a table in main.c and one cmd_<verb>.c each. A command's options are
 * rows, too: parsing, the help text and "did you mean" come from them.
 *
 *	static int run(const struct command *self, int argc, char **argv)
 *	{
 *		const char *cluster = NULL;
 *		const struct cli_option options[] = {
 *			{"cluster", "NAME", "the cluster to look at", .text = &cluster},
 *			CLI_OPTION_END,
 *		};
 *		struct cli_args args = {.most = 1};
 *		int status = cli_parse(self, options, argc, argv, &args);
 *
 *		if (status >= 0)
 *			return status;
 *		…
 *	}
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Exit statuses (docs: interfaces). */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_REPOSITORY = 3,
	EXIT_TO_DO = 4,
};

struct command {
	const char *name;
	const char *arguments; /* behind the options in the usage line, "" for none */
	const char *summary;   /* one line */
	const char *help;      /* a paragraph or two */
	const char *example;   /* lines that can be pasted */
	bool hidden;           /* not in the list of commands: the program's own */
	bool changes;          /* something: it is not ended by a reader who goes away */
	int (*run)(const struct command *self, int argc, char **argv);
	bool complete; /* cli_parse() lists what the last word may become (cli/complete.h) */
};

struct cli_option {
	const char *name;
	const char *value; /* name of the value in the help; NULL: a switch */
	const char *help;
	const char **text; /* where the value goes */
	bool *flag;        /* where a switch goes */
};

#define CLI_OPTION_END                                                                             \
	{                                                                                          \
		.name = NULL                                                                       \
	}

struct cli_args {
	size_t least; /* how many arguments there must be, and may be */
	size_t most;
	char **v;
	size_t n;
};

/* -1: go on. Else the exit status: --help was printed (0), or the command was used wrongly (2, with
 * a line that says how). */
int cli_parse(const struct command *self, const struct cli_option *options, int argc, char **argv,
	      struct cli_args *args);
/* "dynia NAME: …" on standard error. Returns EXIT_USAGE. */
int cli_usage_error(const struct command *self, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "dynia: MESSAGE" on standard error. Returns the exit status that the code stands for. */
int cli_fail(const struct err *err);
/* Standard output is a terminal, and NO_COLOR is not set. */
bool cli_colour(void);

extern const struct command cmd_init, cmd_validate, cmd_render, cmd_plan, cmd_reconcile, cmd_status,
	cmd_history, cmd_suspend, cmd_resume, cmd_rollback, cmd_bootstrap, cmd_check, cmd_vrrp,
	cmd_schema, cmd_version, cmd_worker, cmd_credentials;

#endif
