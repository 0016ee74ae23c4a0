/*
 * Writes one configuration file, word by word. A renderer reads like the file that it makes:
 *
 *	conf_open(w, "backend %s", "caddy");
 *	conf_line(w, "balance %s", "roundrobin");
 *	conf_line(w, "server %s %s check fall %d", node->name, address, 2);
 *	conf_close(w);
 *
 * The format is a literal. Every %s is one whole word of the language, set off by white space, and
 * is quoted where it must be; what the language cannot represent is refused: the writer keeps the
 * first such error, and conf_finish() returns it. %d, %u, %zu, %ld, %lld and %% are there for
 * numbers and a percent sign; nothing else is. There is no way to write a string raw.
 *
 * A dialect is an indent, a brace style and a quote function; `../shared/design/rendering.md` says
 * how each language treats a word, found by trying, and tests/e2e/test_quoting.py sends words
 * through the real parsers.
 */
#ifndef RENDER_WRITER_H
#define RENDER_WRITER_H

#include <stdarg.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "base/strbuf.h"

struct dialect {
	const char *name;
	const char *indent;
	bool braces; /* blocks in { }, else by section heading and indent (HAProxy) */
	/* Appends the word, quoted where needed; -1 where the language has no way to write it. */
	int (*quote)(struct strbuf *out, const char *word, struct err *err);
};

extern const struct dialect dialect_haproxy;
extern const struct dialect dialect_caddyfile;
extern const struct dialect dialect_keepalived;
extern const struct dialect dialect_logrotate;
extern const struct dialect dialect_systemd;
/* Arguments of ufw and rules of iptables-restore, a line each: no quotes at all. */
extern const struct dialect dialect_arguments;

struct conf_writer {
	const struct dialect *dialect;
	struct pool *pool; /* for words that are put together */
	struct strbuf out;
	unsigned depth;
	struct err err; /* the first failure */
};

void conf_init(struct conf_writer *w, const struct dialect *dialect, struct pool *pool);
void conf_release(struct conf_writer *w);
void conf_open(struct conf_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A block with no heading: Caddy's global options. */
void conf_open_bare(struct conf_writer *w);
void conf_close(struct conf_writer *w);
void conf_line(struct conf_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "# text"; a line feed in it cannot get out of the comment. */
void conf_comment(struct conf_writer *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void conf_blank(struct conf_writer *w);
/* 0 and the text, which belongs to the pool; -1 and the first error. */
int conf_finish(struct conf_writer *w, const char **ret_data, size_t *ret_len, struct err *err);

/* Words that are put together before they are quoted as one; they live in the writer's pool. */

/* "127.0.0.1:80", "[::1]:80" */
const char *conf_endpoint(struct conf_writer *w, const char *address, int64_t port);
/* For a word that HAProxy evaluates as a log-format string: every % doubled. */
const char *conf_haproxy_text(struct conf_writer *w, const char *text);
/* For a word in which Caddy replaces placeholders at run time: { and } escaped; "{$" cannot be, and
 * is refused. */
const char *conf_caddy_text(struct conf_writer *w, const char *text);
/* printf into the pool, for a word of several parts whose characters are already checked. */
const char *conf_word(struct conf_writer *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
