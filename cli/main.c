/* dynia: finds the command and runs it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "gitsync/worker.h"

/* In the order of the help. */
static const struct command *const commands[] = {
	&cmd_init,    &cmd_validate, &cmd_render,  &cmd_plan,     &cmd_reconcile,   &cmd_status,
	&cmd_history, &cmd_suspend,  &cmd_resume,  &cmd_rollback, &cmd_bootstrap,   &cmd_check,
	&cmd_vrrp,    &cmd_schema,   &cmd_version, &cmd_worker,   &cmd_credentials,
};

static void print_help(FILE *to)
{
	fprintf(to, "usage: dynia COMMAND [OPTIONS] [ARGUMENTS]\n\n"
		    "Keeps a small fleet of plain machines at what a git repository says.\n\n"
		    "commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!commands[i]->hidden)
			fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	}
	fprintf(to, "\ndynia COMMAND --help says more, with an example.\n");
}

static int unknown_command(const char *word)
{
	const char *names[ARRAY_SIZE(commands) + 1] = {NULL};
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!commands[i]->hidden)
			names[n++] = commands[i]->name;
	}
	near = nearest_word(word, names);
	if (near)
		fprintf(stderr, "dynia: unknown command '%s', did you mean '%s'?\n", word, near);
	else
		fprintf(stderr, "dynia: unknown command '%s'; see dynia --help\n", word);
	return EXIT_USAGE;
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		print_help(stdout);
		return EXIT_DONE;
	}
	if (strcmp(word, "complete") == 0)
		return complete(commands, ARRAY_SIZE(commands), argc - 2, argv + 2);
	if (strcmp(word, "--version") == 0)
		word = cmd_version.name;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, word) == 0) {
			/* `| head` ends what only shows something. What changes something is not left half-way:
			 * it goes on in silence. */
			if (commands[i]->changes)
				signal(SIGPIPE, SIG_IGN);
			/* A worker starts no worker. */
			if (commands[i] != &cmd_worker)
				worker_set_program("/proc/self/exe");
			return commands[i]->run(commands[i], argc - 2, argv + 2);
		}
	return unknown_command(word);
}

/* Where one of the three is closed, the next file or connection would have its number, and what is meant for a
 * person would be written there. To this, nothing can be written. */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* The other end of the pipe is closed. */
static bool is_unread(int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLOUT};

	return poll(&look, 1, 0) > 0 && look.revents & POLLERR;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	int status;

	occupy_standard_descriptors();
	status = dispatch(argc, argv);
	/* A full disk behind a redirection: what was asked for is not there. Who reads no more did not ask. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && !is_unread(STDOUT_FILENO)) {
		err_errno(&err, "write to standard output");
		return cli_fail(&err);
	}
	return status;
}
