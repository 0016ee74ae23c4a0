/*
 * `dynia complete WORD...`: what may stand where the last WORD begins. The shells' completions in
 * packaging/completion/ ask it at each TAB, so they know exactly the commands and options that the
 * program has. It is not in the help.
 *
 * A line is a candidate, or "candidate<TAB>what it is". The lines ":files" and ":dirs" ask the shell
 * to add the names of files or folders. After "--name=" candidates are what comes behind the '='.
 *
 * Commands need nothing for it: cli_parse() hands its own table and words over where the command
 * was run to complete (struct command, complete). Candidates for a value follow from its name in
 * the help: "DIR", "FILE", "a|b|c", and the clusters of the current folder for --cluster.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/command.h"

int complete(const struct command *const *commands, size_t n, int argc, char **argv);
/* For cli_parse(). Returns EXIT_DONE. */
int complete_words(const struct command *self, const struct cli_option *options, int argc,
		   char **argv);

#endif
