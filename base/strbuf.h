/*
 * A growing string that is always NUL-terminated, and may hold NUL bytes (len counts).
 *
 *	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
 *	strbuf_addf(&text, "%s:%d", host, port);
 *	use(text.buf);
 *
 * Where the input is a stranger's, give it a limit: what goes beyond is dropped and `overflow` is
 * set, to be asked for once at the end.
 *
 *	struct strbuf reply = STRBUF_LIMITED(1 << 20);
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *buf; /* never NULL; points to a static empty string until something is added */
	size_t len;
	size_t alloc;
	size_t limit; /* most bytes in buf, 0 for no limit */
	bool overflow;
};

extern char strbuf_empty[1];

#define STRBUF_INIT                                                                                \
	{                                                                                          \
		.buf = strbuf_empty                                                                \
	}
#define STRBUF_LIMITED(n)                                                                          \
	{                                                                                          \
		.buf = strbuf_empty, .limit = (n)                                                  \
	}

void strbuf_init(struct strbuf *sb);
/* Frees the memory and makes it an empty buffer again; the limit stays. */
void strbuf_release(struct strbuf *sb);
/* Of a secret: overwritten first. What was left behind when it grew is not: strbuf_grow() it at the start. */
void strbuf_wipe(struct strbuf *sb);
/* Empties it and keeps the memory. */
void strbuf_clear(struct strbuf *sb);
/* Makes room for n more bytes. */
void strbuf_grow(struct strbuf *sb, size_t n);
void strbuf_add(struct strbuf *sb, const void *data, size_t n);
void strbuf_addstr(struct strbuf *sb, const char *s);
void strbuf_addch(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* Shortens it to len bytes; len must not exceed what is there. */
void strbuf_setlen(struct strbuf *sb, size_t len);
/* Removes white space at both ends. */
void strbuf_trim(struct strbuf *sb);
/* Hands the string to the caller, who frees it; the buffer is empty afterwards. */
char *strbuf_steal(struct strbuf *sb);

/*
 * Replaces by '?' each byte of a control character (also U+0080 to U+009F), of one that is not seen or turns
 * the text round (U+202E and its like), and each that is no valid UTF-8: what is left cannot drive a terminal,
 * forge a line or look like another one, and fits into JSON.
 */
void str_mask_controls(char *s);

#endif
