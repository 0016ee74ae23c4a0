#include "cli/complete.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"

/* --- candidates ---------------------------------------------------------------------- */

static bool begins_with(const char *word, const char *beginning)
{
	return strncmp(word, beginning, strlen(beginning)) == 0;
}

static void offer(const char *candidate, const char *beginning, const char *about)
{
	if (!begins_with(candidate, beginning))
		return;
	printf(about ? "%s\t%s\n" : "%s\n", candidate, about);
}

/* Folders below clusters/: where one is in the repository, as mostly. */
static void offer_clusters(const char *beginning)
{
	DIR *folder = opendir("clusters");
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (is_name(entry->d_name))
			offer(entry->d_name, beginning, NULL);
	if (folder)
		closedir(folder);
}

/* "a|b|c" */
static void offer_alternatives(const char *text, const char *beginning)
{
	AUTO_FREE char *words = xstrdup(text);
	char *rest = NULL;

	for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
		offer(word, beginning, NULL);
}

static const struct {
	const char *name;
	const char *ask; /* what the shell adds */
} places[] = {
	{"DIR", ":dirs"},
	{"PATH", ":dirs"},
	{"REPO", ":dirs"},
	{"FILE", ":files"},
};

/* A value as the help calls it. A word in capitals that is none of these can be anything: false. */
static bool offer_value(const char *value, const char *option, const char *beginning)
{
	bool known = (option && strcmp(option, "cluster") == 0) || islower((unsigned char)value[0]);

	if (option && strcmp(option, "cluster") == 0)
		offer_clusters(beginning);
	else if (islower((unsigned char)value[0]))
		offer_alternatives(value, beginning);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (strcmp(places[i].name, value) != 0)
			continue;
		printf("%s\n", places[i].ask);
		known = true;
	}
	return known;
}

static void offer_options(const struct cli_option *options, const char *beginning)
{
	char word[64];

	for (const struct cli_option *o = options; o->name; o++) {
		snprintf(word, sizeof(word), "--%s", o->name);
		offer(word, beginning, o->help);
	}
	offer("--help", beginning, "what it does, with an example");
}

/* The nth of the arguments as the usage line has them; "[PATH | PATH@REV]" is one. */
static bool offer_argument(const char *arguments, size_t nth, const char *beginning)
{
	AUTO_FREE char *text = xstrdup(arguments);
	char *rest = NULL;
	size_t at = 0;
	bool is_value = false, known = false;

	for (char *word = strtok_r(text, " []", &rest); word; word = strtok_r(NULL, " []", &rest)) {
		/* "--cluster NAME" shows that it must be there; it is an option all the same. */
		if (begins_with(word, "--") || is_value) {
			is_value = !is_value;
			continue;
		}
		if (strcmp(word, "|") == 0) {
			at--;
			continue;
		}
		if (at++ == nth)
			known |= offer_value(word, NULL, beginning);
	}
	return known;
}

/* --- where the last word is ---------------------------------------------------------- */

static const struct cli_option *find(const struct cli_option *options, const char *word)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");

	for (const struct cli_option *o = options; begins_with(word, "--") && o->name; o++)
		if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static bool wants_next(const struct cli_option *option, const char *word)
{
	return option && !option->flag && !strchr(word, '=');
}

int complete_words(const struct command *self, const struct cli_option *options, int argc,
		   char **argv)
{
	const char *last = argc > 0 ? argv[argc - 1] : "";
	const char *equals = strchr(last, '=');
	const struct cli_option *of = NULL; /* whose value comes next */
	bool only_arguments = false;
	size_t nth = 0;

	for (int i = 0; i < argc - 1; i++) {
		const char *word = argv[i];

		if (of)
			of = NULL;
		else if (only_arguments || word[0] != '-' || !word[1])
			nth++;
		else if (strcmp(word, "--") == 0)
			only_arguments = true;
		else if (wants_next(find(options, word), word))
			of = find(options, word);
	}
	if (of) {
		offer_value(of->value, of->name, last);
	} else if (only_arguments || last[0] != '-') {
		if (!offer_argument(self->arguments, nth, last) && !last[0] && !only_arguments)
			offer_options(options, last);
	} else if (equals) {
		of = find(options, last);
		if (of && !of->flag)
			offer_value(of->value, of->name, equals + 1);
	} else {
		offer_options(options, last);
	}
	return EXIT_DONE;
}

int complete(const struct command *const *commands, size_t n, int argc, char **argv)
{
	const char *first = argc > 0 ? argv[0] : "";
	struct command self;

	for (size_t i = 0; i < n; i++) {
		if (commands[i]->hidden)
			continue;
		if (argc <= 1 && commands[i]->summary)
			offer(commands[i]->name, first, commands[i]->summary);
		if (argc <= 1 || strcmp(commands[i]->name, first) != 0)
			continue;
		self = *commands[i];
		self.complete = true;
		return self.run(&self, argc - 1, argv + 1);
	}
	return EXIT_DONE;
}
