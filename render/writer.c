#include "render/writer.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"

void conf_init(struct conf_writer *w, const struct dialect *dialect, struct pool *pool)
{
	*w = (struct conf_writer) {.dialect = dialect, .pool = pool, .out = STRBUF_INIT};
}

void conf_release(struct conf_writer *w)
{
	strbuf_release(&w->out);
}

static void put_indent(struct conf_writer *w)
{
	for (unsigned i = 0; i < w->depth; i++)
		strbuf_addstr(&w->out, w->dialect->indent);
}

/* What is refused leaves no text behind: the whole file is refused with it. */
static void put_word(struct conf_writer *w, const char *word)
{
	struct err err;

	assert(word);
	if (w->err.code == ERR_NONE && w->dialect->quote(&w->out, word, &err) < 0)
		w->err = err;
}

/* The literal's own text goes out as it is; only words and numbers are filled in. */
static void put_format(struct conf_writer *w, const char *fmt, va_list ap)
{
	const char *start = fmt;

	for (const char *at; (at = strchr(fmt, '%')); fmt = at + 1) {
		strbuf_add(&w->out, fmt, (size_t)(at - fmt));
		at++;
		if (*at == '%') {
			strbuf_addch(&w->out, '%');
		} else if (*at == 's') {
			assert(at - 1 == start || at[-2] == ' ');
			assert(at[1] == '\0' || at[1] == ' ');
			put_word(w, va_arg(ap, const char *));
		} else if (*at == 'd') {
			strbuf_addf(&w->out, "%d", va_arg(ap, int));
		} else if (*at == 'u') {
			strbuf_addf(&w->out, "%u", va_arg(ap, unsigned));
		} else if (at[0] == 'z' && at[1] == 'u') {
			at++;
			strbuf_addf(&w->out, "%zu", va_arg(ap, size_t));
		} else if (at[0] == 'l' && at[1] == 'd') {
			at++;
			strbuf_addf(&w->out, "%ld", va_arg(ap, long));
		} else {
			assert(at[0] == 'l' && at[1] == 'l' && at[2] == 'd');
			at += 2;
			strbuf_addf(&w->out, "%lld", va_arg(ap, long long));
		}
	}
	strbuf_addstr(&w->out, fmt);
}

void conf_open(struct conf_writer *w, const char *fmt, ...)
{
	va_list ap;

	put_indent(w);
	va_start(ap, fmt);
	put_format(w, fmt, ap);
	va_end(ap);
	if (w->dialect->braces)
		strbuf_addstr(&w->out, " {");
	strbuf_addch(&w->out, '\n');
	w->depth++;
}

void conf_open_bare(struct conf_writer *w)
{
	assert(w->dialect->braces);
	put_indent(w);
	strbuf_addstr(&w->out, "{\n");
	w->depth++;
}

void conf_close(struct conf_writer *w)
{
	assert(w->depth);
	w->depth--;
	if (!w->dialect->braces)
		return;
	put_indent(w);
	strbuf_addstr(&w->out, "}\n");
}

void conf_line(struct conf_writer *w, const char *fmt, ...)
{
	va_list ap;

	put_indent(w);
	va_start(ap, fmt);
	put_format(w, fmt, ap);
	va_end(ap);
	strbuf_addch(&w->out, '\n');
}

void conf_comment(struct conf_writer *w, const char *fmt, ...)
{
	va_list ap;
	size_t start;

	put_indent(w);
	strbuf_addstr(&w->out, "# ");
	start = w->out.len;
	va_start(ap, fmt);
	strbuf_vaddf(&w->out, fmt, ap);
	va_end(ap);
	for (char *p = w->out.buf + start; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '{' || *p == '}')
			*p = '?';
	/* HAProxy and systemd join a line that ends in a backslash with the next. */
	if (w->out.buf[w->out.len - 1] == '\\')
		w->out.buf[w->out.len - 1] = '?';
	strbuf_addch(&w->out, '\n');
}

void conf_blank(struct conf_writer *w)
{
	strbuf_addch(&w->out, '\n');
}

int conf_finish(struct conf_writer *w, const char **ret_data, size_t *ret_len, struct err *err)
{
	if (w->err.code != ERR_NONE) {
		*err = w->err;
		return -1;
	}
	assert(w->depth == 0);
	*ret_data = pool_memdup(w->pool, w->out.buf, w->out.len);
	*ret_len = w->out.len;
	return 0;
}

const char *conf_endpoint(struct conf_writer *w, const char *address, int64_t port)
{
	return pool_printf(w->pool, strchr(address, ':') ? "[%s]:%lld" : "%s:%lld", address,
			   (long long)port);
}

const char *conf_haproxy_text(struct conf_writer *w, const char *text)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	if (!strchr(text, '%'))
		return text;
	for (; *text; text++) {
		if (*text == '%')
			strbuf_addch(&out, '%');
		strbuf_addch(&out, *text);
	}
	return pool_memdup(w->pool, out.buf, out.len);
}

const char *conf_caddy_text(struct conf_writer *w, const char *text)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	/* With no opening brace Caddy looks for nothing, not even for the backslashes. */
	if (!strchr(text, '{'))
		return text;
	for (; *text; text++) {
		if (*text == '{' || *text == '}')
			strbuf_addch(&out, '\\');
		strbuf_addch(&out, *text);
	}
	return pool_memdup(w->pool, out.buf, out.len);
}

const char *conf_word(struct conf_writer *w, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&out, fmt, ap);
	va_end(ap);
	return pool_memdup(w->pool, out.buf, out.len);
}
