#include "spec/yaml_problem.h"

#include <string.h>

#include "base/cleanup.h"

/* The file that was parsed. */
struct text {
	const char *data;
	size_t len;
};

/* What libyaml says, and what a person can use. */
static const struct {
	const char *problem;
	const char *text;
} problem_texts[] = {
	{"found character that cannot start any token",
	 "a value cannot begin with this character: quote it"},
	{"found a tab character that violates indentation", "a tab cannot indent: use spaces"},
	{"found a tab character where an indentation space is expected",
	 "a tab cannot indent: use spaces"},
	{"mapping values are not allowed in this context",
	 "a ': ' is not expected here: check the indentation, or quote the value that holds it"},
	{"could not find expected ':'", "expected 'key: value': is a ':' or a quote missing?"},
	{"did not find expected key", "expected a key here: check the indentation and the quotes"},
	{"did not find expected '-' indicator",
	 "expected '- ' and the next element of the list: check the indentation"},
	{"did not find expected ',' or ']'", "expected ',' or ']' in the list"},
	{"did not find expected ',' or '}'", "expected ',' or '}' in the map"},
	{"did not find expected node content", "expected a value here"},
	{"did not find expected <document start>", "nothing can follow the end of the document"},
	{"found unexpected end of stream", "the file ends inside of a quoted string"},
	{"found unexpected document indicator", "'---' or '...' inside of a quoted string"},
	{"found unknown escape character", "unknown escape sequence in a double-quoted string"},
	{"block sequence entries are not allowed in this context",
	 "a list cannot begin here: put it on a line of its own, or quote the value"},
	{"invalid leading UTF-8 octet", "the file is not valid UTF-8"},
	{"invalid trailing UTF-8 octet", "the file is not valid UTF-8"},
	{"incomplete UTF-8 octet sequence", "the file is not valid UTF-8"},
	{"invalid length of a UTF-8 sequence", "the file is not valid UTF-8"},
	{"invalid Unicode character", "the file is not valid UTF-8"},
	{"control characters are not allowed", "a control character is not allowed"},
};

static const char *problem_text(const char *problem)
{
	if (!problem)
		return "is no YAML";
	for (size_t i = 0; i < ARRAY_SIZE(problem_texts); i++)
		if (strcmp(problem, problem_texts[i].problem) == 0)
			return problem_texts[i].text;
	return problem;
}

/* Line and column of a byte, for the errors of the reader, which knows no marks. */
static void place_of(const struct text *t, size_t offset, unsigned *ret_line, unsigned *ret_column)
{
	*ret_line = *ret_column = 1;
	for (size_t i = 0; i < offset && i < t->len; i++) {
		if (t->data[i] == '\n') {
			++*ret_line;
			*ret_column = 1;
		} else if (((unsigned char)t->data[i] & 0xc0) != 0x80) {
			++*ret_column;
		}
	}
}

static char char_at(const struct text *t, size_t line, size_t column)
{
	size_t i = 0;

	for (; line > 0 && i < t->len; i++)
		line -= t->data[i] == '\n';
	return i + column < t->len ? t->data[i + column] : '\0';
}

/* What libyaml was in the middle of. */
static const char *context_text(const char *context)
{
	if (strstr(context, "mapping"))
		return "the map";
	return strstr(context, "sequence") ? "the list" : "the text";
}

void yaml_report_problem(const yaml_parser_t *p, const char *path, const char *data, size_t len,
			 struct diags *diags)
{
	const struct text t = {data, len};
	const char *text = problem_text(p->problem);
	unsigned line = (unsigned)p->problem_mark.line + 1;
	unsigned column = (unsigned)p->problem_mark.column + 1;
	unsigned context_line = (unsigned)p->context_mark.line + 1;

	if (p->error == YAML_READER_ERROR) {
		place_of(&t, p->problem_offset, &line, &column);
		diags_add(diags, path, line, column, "%s", text);
	} else if (p->context && strcmp(p->context, "while scanning a simple key") == 0) {
		/* The mark of the problem is where the next key is. */
		diags_add(diags, path, context_line, (unsigned)p->context_mark.column + 1, "%s",
			  text);
	} else if (char_at(&t, p->problem_mark.line, p->problem_mark.column) == '\t') {
		diags_add(diags, path, line, column, "a tab cannot indent: use spaces");
	} else if (p->context && context_line > 1 && context_line < line) {
		diags_add(diags, path, line, column, "%s (%s begins in line %u)", text,
			  context_text(p->context), context_line);
	} else {
		diags_add(diags, path, line, column, "%s", text);
	}
}
