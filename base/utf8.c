#include "base/utf8.h"

#include "base/cleanup.h"

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

size_t utf8_decode(const char *s, uint32_t *ret)
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

bool utf8_is_harmful(uint32_t c)
{
	/* Unicode 15: categories Cc, Zl and Zp, the bidirectional controls of UAX #9, and what shows nothing
	 * (Default_Ignorable_Code_Point) but the two that words and emoji need, U+200C and U+200D, and the
	 * variation selectors of emoji. */
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},     {0x7f, 0x9f},       {0xad, 0xad},       {0x034f, 0x034f},
		{0x061c, 0x061c}, {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
		{0x200b, 0x200b}, {0x200e, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},
		{0x3164, 0x3164}, {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
		{0xfffe, 0xffff}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}
