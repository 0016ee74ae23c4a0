#include "gitsync/text.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* Length of the sequence that the byte begins, and the bits of the code point in it; 0 where it
 * begins none. */
static size_t sequence_start(unsigned char c, uint32_t *bits)
{
	static const struct {
		unsigned char mask, value;
	} starts[] = {{0x80, 0x00}, {0xe0, 0xc0}, {0xf0, 0xe0}, {0xf8, 0xf0}};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		if ((c & starts[i].mask) == starts[i].value) {
			*bits = c & (unsigned char)~starts[i].mask;
			return i + 1;
		}
	}
	return 0;
}

/* Bytes of the character at s, and its code point; 0 where it is no shortest-form UTF-8. */
static size_t decode(const char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = sequence_start((unsigned char)s[0], ret);

	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		*ret = *ret << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (len == 0 || *ret < least[len] || *ret > 0x10ffff || (*ret >= 0xd800 && *ret <= 0xdfff))
		return 0;
	return len;
}

/* Unicode 15, categories Cc, Zl and Zp, and the bidirectional controls of UAX #9. */
static bool is_harmful(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c},
		{0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	}
	return false;
}

static char *clean_until(struct pool *pool, const char *text, const char *end, size_t max)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	while (text < end) {
		uint32_t c = 0;
		size_t len = decode(text, &c);
		bool keep = len > 0 && !is_harmful(c);

		if (out.len + (keep ? len : 1) > max)
			break;
		if (keep)
			strbuf_add(&out, text, len);
		else
			strbuf_addch(&out, '?');
		text += len > 0 ? len : 1;
	}
	return pool_memdup(pool, out.buf, out.len);
}

char *text_line(struct pool *pool, const char *text, size_t max)
{
	return clean_until(pool, text, text + strcspn(text, "\n"), max);
}

char *text_clean(struct pool *pool, const char *text, size_t max)
{
	return clean_until(pool, text, text + strlen(text), max);
}

bool text_has_control(const char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			return true;
	}
	return false;
}
