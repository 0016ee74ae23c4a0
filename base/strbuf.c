#include "base/strbuf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"

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

/*
 * Bytes of the well-formed UTF-8 sequence at s (Unicode, table 3-7), 0 where there is none. The NUL
 * at the end of a string continues no sequence, so nothing behind it is read.
 */
static size_t utf8_sequence(const unsigned char *s)
{
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t len = 0;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf) {
		if (s[i] < low || s[i] > high)
			return 0;
	}
	return len;
}

static bool is_control(const unsigned char *s)
{
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

/* Of a valid sequence. */
static unsigned code_point(const unsigned char *s, size_t len)
{
	unsigned code = len == 1 ? s[0] : s[0] & (0x7fu >> len);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (s[i] & 0x3f);
	return code;
}

/* Characters that show nothing, turn round what is beside them or break the line. Two of those are parts of words and of
 * emoji, and left: U+200C and U+200D. */
static bool is_unseen(unsigned code)
{
	static const struct {
		unsigned first, last;
	} unseen[] = {
		{0x00ad, 0x00ad},   {0x034f, 0x034f}, {0x061c, 0x061c}, {0x115f, 0x1160},
		{0x17b4, 0x17b5},   {0x180b, 0x180f}, {0x200b, 0x200b}, {0x200e, 0x200f},
		{0x2028, 0x202e},   {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfeff, 0xfeff},
		{0xffa0, 0xffa0},   {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x1d173, 0x1d17a},
		{0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < ARRAY_SIZE(unseen); i++)
		if (code >= unseen[i].first && code <= unseen[i].last)
			return true;
	return false;
}

void str_mask_controls(char *s)
{
	while (*s) {
		size_t len = utf8_sequence((const unsigned char *)s);

		/* What follows the first byte of a masked sequence is no valid beginning, and
		 * masked next. */
		if (len == 0 || is_control((const unsigned char *)s) ||
		    is_unseen(code_point((const unsigned char *)s, len)))
			*s++ = '?';
		else
			s += len;
	}
}
