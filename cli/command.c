#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strvec.h"
#include "cli/complete.h"

#define HELP_COLUMN 26

static void print_option(const struct cli_option *option)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
		 option->value ? option->value : "");
	printf("  %-*s %s\n", HELP_COLUMN, left, option->help);
}

static void print_help(const struct command *self, const struct cli_option *options)
{
	bool has_options = options[0].name != NULL;

	printf("usage: dynia %s%s%s%s\n\n%s.\n", self->name, has_options ? " [OPTIONS]" : "",
	       self->arguments[0] ? " " : "", self->arguments, self->summary);
	if (self->help[0])
		printf("\n%s\n", self->help);
	printf("\noptions:\n");
	for (const struct cli_option *o = options; o->name; o++)
		print_option(o);
	printf("  %-*s %s\n", HELP_COLUMN, "--help", "this text");
	printf("\nexample:\n%s\n", self->example);
}

int cli_usage_error(const struct command *self, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "dynia %s: ", self->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see dynia %s --help\n", self->name);
	return EXIT_USAGE;
}

static int unknown_option(const struct command *self, const struct cli_option *options,
			  const char *word, size_t len)
{
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;
	AUTO_FREE char *name = strndup(word, len);
	const char *near;

	strvec_push(&names, "help");
	for (const struct cli_option *o = options; o->name; o++)
		strvec_push(&names, o->name);
	near = nearest_word(name, (const char *const *)names.v);
	if (near)
		return cli_usage_error(self, "unknown option '--%s', did you mean '--%s'?", name,
				       near);
	return cli_usage_error(self, "unknown option '--%s'", name);
}

static const struct cli_option *find_option(const struct cli_option *options, const char *name,
					    size_t len)
{
	for (const struct cli_option *o = options; o->name; o++)
		if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

/* One "--name", "--name=value" or "--name value". Returns -1, or an exit status. */
static int take_option(const struct command *self, const struct cli_option *options, char **argv,
		       int *at)
{
	const char *word = argv[*at] + 2;
	const char *value = strchr(word, '=');
	size_t len = value ? (size_t)(value - word) : strlen(word);
	const struct cli_option *option = find_option(options, word, len);

	if (!option)
		return unknown_option(self, options, word, len);
	if (option->flag) {
		if (value)
			return cli_usage_error(self, "'--%s' takes no value", option->name);
		*option->flag = true;
		return -1;
	}
	if (!value && !argv[*at + 1])
		return cli_usage_error(self, "'--%s' wants %s", option->name, option->value);
	*option->text = value ? value + 1 : argv[++*at];
	return -1;
}

static int check_count(const struct command *self, const struct cli_args *args)
{
	if (args->n < args->least)
		return cli_usage_error(self, "%s is missing", self->arguments);
	if (args->n > args->most)
		return cli_usage_error(self, "'%s' is one argument too many", args->v[args->most]);
	return -1;
}

int cli_parse(const struct command *self, const struct cli_option *options, int argc, char **argv,
	      struct cli_args *args)
{
	bool only_arguments = false;

	if (self->complete)
		return complete_words(self, options, argc, argv);
	args->v = argv;
	args->n = 0;
	for (int i = 0; i < argc; i++) {
		char *word = argv[i];
		int status;

		if (only_arguments || word[0] != '-' || !word[1]) {
			argv[args->n++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0) {
			only_arguments = true;
			continue;
		}
		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			print_help(self, options);
			return EXIT_DONE;
		}
		if (word[1] != '-')
			return cli_usage_error(self, "unknown option '%s'", word);
		status = take_option(self, options, argv, &i);
		if (status >= 0)
			return status;
	}
	return check_count(self, args);
}

int cli_fail(const struct err *err)
{
	fprintf(stderr, "dynia: %s\n", err->msg);
	return err->code == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

bool cli_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && *no);
}
