#include "base/strbuf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

/* Never written to: its only byte is the NUL that every empty buffer ends in. */
char strbuf_empty[1];

void strbuf_init(struct strbuf *sb)
{
	*sb = (struct strbuf)STRBUF_INIT;
}

void strbuf_wipe(struct strbuf *sb)
{
	if (sb->alloc)
		explicit_bzero(sb->buf, sb->alloc);
	strbuf_release(sb);
}

void strbuf_release(struct strbuf *sb)
{
	size_t limit = sb->limit;

	if (sb->alloc)
		free(sb->buf);
	*sb = (struct strbuf)STRBUF_LIMITED(limit);
}

void strbuf_clear(struct strbuf *sb)
{
	strbuf_setlen(sb, 0);
	sb->overflow = false;
}

void strbuf_grow(struct strbuf *sb, size_t n)
{
	size_t want = xsize_add(xsize_add(sb->len, n), 1);
	size_t size;

	if (want <= sb->alloc)
		return;
	size = sb->alloc + sb->alloc / 2;
	if (size < want)
		size = want;
	if (size < 64)
		size = 64;
	sb->buf = xreallocarray(sb->alloc ? sb->buf : NULL, size, 1);
	sb->alloc = size;
	sb->buf[sb->len] = '\0';
}

void strbuf_add(struct strbuf *sb, const void *data, size_t n)
{
	if (sb->limit && n > sb->limit - sb->len) {
		n = sb->limit - sb->len;
		sb->overflow = true;
	}
	if (n == 0)
		return;
	strbuf_grow(sb, n);
	memcpy(sb->buf + sb->len, data, n);
	strbuf_setlen(sb, sb->len + n);
}

void strbuf_addstr(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void strbuf_addch(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(sb, fmt, ap);
	va_end(ap);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
	char text[256];
	char *longer;
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n >= 0 && (size_t)n < sizeof(text)) {
		strbuf_add(sb, text, (size_t)n);
	} else if (n >= 0) {
		longer = xmalloc((size_t)n + 1);
		vsnprintf(longer, (size_t)n + 1, fmt, again);
		strbuf_add(sb, longer, (size_t)n);
		free(longer);
	}
	va_end(again);
}

void strbuf_setlen(struct strbuf *sb, size_t len)
{
	sb->len = len;
	if (sb->alloc)
		sb->buf[len] = '\0';
}

void strbuf_trim(struct strbuf *sb)
{
	size_t start = 0;

	while (sb->len > 0 && isspace((unsigned char)sb->buf[sb->len - 1]))
		sb->len--;
	while (start < sb->len && isspace((unsigned char)sb->buf[start]))
		start++;
	memmove(sb->buf, sb->buf + start, sb->len - start);
	strbuf_setlen(sb, sb->len - start);
}

char *strbuf_steal(struct strbuf *sb)
{
	char *s = sb->alloc ? sb->buf : xstrdup("");

	sb->alloc = 0;
	strbuf_release(sb);
	return s;
}

void str_mask_controls(char *s)
{
	while (*s) {
		uint32_t code = 0;
		size_t len = utf8_decode(s, &code);

		/* What follows the first byte of a masked sequence is no valid beginning, and
		 * masked next. */
		if (len == 0 || utf8_is_harmful(code))
			*s++ = '?';
		else
			s += len;
	}
}
