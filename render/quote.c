#include <stdbool.h>
#include <string.h>

#include "render/writer.h"

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static int refuse(const char *word, const char *why, struct err *err)
{
	return err_set(err, ERR_CONFIG, "'%s' cannot be written: %s", word, why);
}

/* No language has a way to write these inside a word that all of its versions read alike. */
static int check_control(const char *word, struct err *err)
{
	for (const char *p = word; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return refuse(word, "control character", err);
	return 0;
}

static bool is_bare(const char *word, const char *safe)
{
	return *word && word[strspn(word, safe)] == '\0';
}

/* Strong quotes hold everything but themselves. */
static int quote_haproxy(struct strbuf *out, const char *word, struct err *err)
{
	if (check_control(word, err) < 0)
		return -1;
	if (is_bare(word, ALNUM "_-./:,=+*")) {
		strbuf_addstr(out, word);
		return 0;
	}
	strbuf_addch(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			strbuf_addstr(out, "'\\'");
		strbuf_addch(out, *word);
	}
	strbuf_addch(out, '\'');
	return 0;
}

/* A brace passes only with a backslash before it, as conf_caddy_text() writes it: such a brace
 * opens no placeholder. Behind a closing brace alone there is nothing to close, unless it is the
 * whole word. */
static const char *caddy_brace(const char *word)
{
	if (strstr(word, "{$"))
		return "Caddy replaces {$...} by the environment";
	for (const char *p = word; (p = strchr(p, '{')); p++)
		if (p == word || p[-1] != '\\')
			return "Caddy takes { for a placeholder";
	return strcmp(word, "}") == 0 ? "Caddy takes } for the end of a block" : NULL;
}

/* In double quotes Caddy knows one escape, \", and takes every other pair of backslash and
 * character as it is: so a backslash that stands alone before a quote cannot be told from an
 * escape. */
static int quote_caddy_double(struct strbuf *out, const char *word, struct err *err)
{
	bool pending = false;

	strbuf_addch(out, '"');
	for (const char *p = word;; p++) {
		if ((*p == '"' || *p == '\0') && pending)
			return refuse(word, "Caddy has no quotes for a backtick and this backslash",
				      err);
		if (*p == '\0')
			break;
		if (*p == '"')
			strbuf_addch(out, '\\');
		pending = *p == '\\' && !pending;
		strbuf_addch(out, *p);
	}
	strbuf_addch(out, '"');
	return 0;
}

static int quote_caddyfile(struct strbuf *out, const char *word, struct err *err)
{
	const char *brace = caddy_brace(word);

	if (check_control(word, err) < 0)
		return -1;
	if (brace)
		return refuse(word, brace, err);
	if (is_bare(word, ALNUM "_-./:,=+*@")) {
		strbuf_addstr(out, word);
		return 0;
	}
	if (strchr(word, '`'))
		return quote_caddy_double(out, word, err);
	strbuf_addch(out, '`');
	strbuf_addstr(out, word);
	strbuf_addch(out, '`');
	return 0;
}

/* keepalived has quotes and no escapes, and replaces or drops $ # ! @ ~ in them. */
static int quote_keepalived(struct strbuf *out, const char *word, struct err *err)
{
	if (!is_bare(word, ALNUM "_-./:,=+% "))
		return refuse(word, "keepalived takes only letters, digits and _-./:,=+%", err);
	if (strchr(word, ' ')) {
		strbuf_addch(out, '"');
		strbuf_addstr(out, word);
		strbuf_addch(out, '"');
	} else {
		strbuf_addstr(out, word);
	}
	return 0;
}

/* A log file's name is a shell pattern, with popt's quoting around it. */
static int quote_logrotate(struct strbuf *out, const char *word, struct err *err)
{
	if (check_control(word, err) < 0)
		return -1;
	if (!*word || strpbrk(word, "\"'\\[]?{}#"))
		return refuse(word, "logrotate would take it for a pattern or a quote", err);
	if (is_bare(word, ALNUM "_-./:,=+*")) {
		strbuf_addstr(out, word);
		return 0;
	}
	strbuf_addch(out, '"');
	strbuf_addstr(out, word);
	strbuf_addch(out, '"');
	return 0;
}

/* systemd's Exec lines: C escapes in double quotes, % is a specifier and $ a variable. */
static int quote_systemd(struct strbuf *out, const char *word, struct err *err)
{
	if (check_control(word, err) < 0)
		return -1;
	if (is_bare(word, ALNUM "_-./:,=+")) {
		strbuf_addstr(out, word);
		return 0;
	}
	strbuf_addch(out, '"');
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			strbuf_addch(out, '\\');
		if (*word == '%' || *word == '$')
			strbuf_addch(out, *word);
		strbuf_addch(out, *word);
	}
	strbuf_addch(out, '"');
	return 0;
}

static int quote_arguments(struct strbuf *out, const char *word, struct err *err)
{
	if (!is_bare(word, ALNUM "_-./:,=+"))
		return refuse(word, "only letters, digits and _-./:,=+ are safe here", err);
	strbuf_addstr(out, word);
	return 0;
}

const struct dialect dialect_haproxy = {
	.name = "haproxy",
	.indent = "    ",
	.quote = quote_haproxy,
};

const struct dialect dialect_caddyfile = {
	.name = "caddyfile",
	.indent = "\t",
	.braces = true,
	.quote = quote_caddyfile,
};

const struct dialect dialect_keepalived = {
	.name = "keepalived",
	.indent = "    ",
	.braces = true,
	.quote = quote_keepalived,
};

const struct dialect dialect_logrotate = {
	.name = "logrotate",
	.indent = "    ",
	.braces = true,
	.quote = quote_logrotate,
};

const struct dialect dialect_systemd = {
	.name = "systemd",
	.indent = "",
	.quote = quote_systemd,
};

const struct dialect dialect_arguments = {
	.name = "arguments",
	.indent = "",
	.quote = quote_arguments,
};
