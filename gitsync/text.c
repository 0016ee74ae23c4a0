#include "gitsync/text.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/utf8.h"

static char *clean_until(struct pool *pool, const char *text, const char *end, size_t max)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	while (text < end) {
		uint32_t c = 0;
		size_t len = utf8_decode(text, &c);
		bool keep = len > 0 && !utf8_is_harmful(c);

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
