/*
 * Writes words as a dialect writes them, for tests/e2e/test_quoting.py.
 *
 *	quote DIALECT < words > quoted
 *
 * Words end in a NUL, and so does what comes out; an empty answer stands for a word that was
 * refused. Dialects: those of render/writer.h, "haproxy-text" and "caddyfile-text" for words that go
 * through conf_haproxy_text() or conf_caddy_text() first, and "yaml".
 */
#include <stdbool.h>

#include "base/cleanup.h"
#include "render/writer.h"
#include "render/yaml_writer.h"

typedef int (*quote_fn)(struct conf_writer *w, const char *word, struct strbuf *out,
			struct err *err);

static int quote_plain(struct conf_writer *w, const char *word, struct strbuf *out, struct err *err)
{
	return w->dialect->quote(out, word, err);
}

static int quote_haproxy_text(struct conf_writer *w, const char *word, struct strbuf *out,
			      struct err *err)
{
	return quote_plain(w, conf_haproxy_text(w, word), out, err);
}

static int quote_caddy_text(struct conf_writer *w, const char *word, struct strbuf *out,
			    struct err *err)
{
	return quote_plain(w, conf_caddy_text(w, word), out, err);
}

/* The value alone of a document that holds nothing else. */
static int quote_yaml(struct conf_writer *w, const char *word, struct strbuf *out, struct err *err)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();
	CLEANUP(strbuf_release) struct strbuf document = STRBUF_INIT;

	(void)w;
	yaml_string(y, "v", word);
	if (yaml_writer_finish(y, &document, err) < 0)
		return -1;
	strbuf_trim(&document);
	strbuf_addstr(out, document.buf + strlen("v: "));
	return 0;
}

static const struct mode {
	const char *name;
	const struct dialect *dialect;
	quote_fn quote;
} modes[] = {
	{"haproxy", &dialect_haproxy, quote_plain},
	{"haproxy-text", &dialect_haproxy, quote_haproxy_text},
	{"caddyfile", &dialect_caddyfile, quote_plain},
	{"caddyfile-text", &dialect_caddyfile, quote_caddy_text},
	{"keepalived", &dialect_keepalived, quote_plain},
	{"logrotate", &dialect_logrotate, quote_plain},
	{"systemd", &dialect_systemd, quote_plain},
	{"arguments", &dialect_arguments, quote_plain},
	{"yaml", &dialect_haproxy, quote_yaml},
};

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}

static void quote_words(const struct mode *mode, struct pool *pool)
{
	CLEANUP(conf_release) struct conf_writer w;
	AUTO_FREE char *word = NULL;
	size_t alloc = 0;

	conf_init(&w, mode->dialect, pool);
	while (getdelim(&word, &alloc, '\0', stdin) > 0) {
		CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
		struct err err;

		if (mode->quote(&w, word, &out, &err) < 0)
			strbuf_clear(&out);
		fwrite(out.buf, 1, out.len + 1, stdout);
	}
}

int main(int argc, char **argv)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const struct mode *mode = argc == 2 ? find_mode(argv[1]) : NULL;

	if (!mode) {
		fprintf(stderr, "usage: quote DIALECT < words > quoted\n");
		return 2;
	}
	quote_words(mode, pool);
	return 0;
}
