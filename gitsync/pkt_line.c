#include "gitsync/pkt_line.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/cleanup.h"

#define HEADER 4
#define SERVER_TEXT_MAX 300

void pkt_reader_release(struct pkt_reader *reader)
{
	strbuf_release(&reader->pending);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The length that a header states, itself included; -1: no header. */
static int header_length(const char *header)
{
	int length = 0;

	for (int i = 0; i < HEADER; i++) {
		int value = digit(header[i]);

		if (value < 0)
			return -1;
		length = length * 16 + value;
	}
	return length == 3 || length > HEADER + PKT_DATA_MAX ? -1 : length;
}

size_t pkt_chomp(char *data, size_t len)
{
	if (len > 0 && data[len - 1] == '\n')
		data[--len] = '\0';
	return len;
}

/* `packet` begins with its header and is NUL-terminated. */
static int deliver(struct pkt_reader *reader, char *packet, int length, struct err *err)
{
	char *data = packet + HEADER;
	size_t len = length > HEADER ? (size_t)length - HEADER : 0;

	if (length < HEADER)
		return reader->on_packet(reader->arg, (enum pkt_kind)(PKT_FLUSH + length), data, 0,
					 err);
	if (len >= 4 && memcmp(data, "ERR ", 4) == 0) {
		pkt_chomp(data, len);
		return err_set(err, ERR_GIT, "the server says: %.*s", SERVER_TEXT_MAX, data + 4);
	}
	return reader->on_packet(reader->arg, PKT_DATA, data, len, err);
}

/* How many bytes the packet that is being gathered still lacks, as far as that is known; -1: it is
 * none. */
static ssize_t lacking(const struct pkt_reader *reader)
{
	size_t have = reader->pending.len;
	int length;

	if (have < HEADER)
		return (ssize_t)(HEADER - have);
	length = header_length(reader->pending.buf);
	if (length < 0)
		return -1;
	return length > HEADER ? length - (ssize_t)have : 0;
}

/* Takes the packet that is whole now. */
static int take_packet(struct pkt_reader *reader, struct err *err)
{
	struct strbuf *packet = &reader->pending;
	int rc = deliver(reader, packet->buf, header_length(packet->buf), err);

	strbuf_clear(packet);
	reader->done = rc > 0;
	return rc < 0 ? -1 : 0;
}

int pkt_feed(struct pkt_reader *reader, const char *data, size_t len, struct err *err)
{
	struct strbuf *pending = &reader->pending;

	if (!pending->buf)
		strbuf_init(pending);
	while (len > 0) {
		size_t take = (size_t)lacking(reader);

		if (reader->done)
			return err_set(err, ERR_GIT, "the server says more than it was asked for");
		if (take > len)
			take = len;
		strbuf_add(pending, data, take);
		data += take;
		len -= take;
		if (lacking(reader) < 0)
			return err_set(err, ERR_GIT,
				       "the server does not talk as a git server does");
		if (pending->len >= HEADER && lacking(reader) == 0 && take_packet(reader, err) < 0)
			return -1;
	}
	return reader->done ? 1 : 0;
}

void pkt_add(struct strbuf *to, const char *data, size_t len)
{
	assert(len <= PKT_DATA_MAX);
	strbuf_addf(to, "%04x", (unsigned)(len + HEADER));
	strbuf_add(to, data, len);
}

void pkt_addf(struct strbuf *to, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&line, fmt, ap);
	va_end(ap);
	pkt_add(to, line.buf, line.len);
}

void pkt_add_flush(struct strbuf *to)
{
	strbuf_addstr(to, "0000");
}

void pkt_add_delim(struct strbuf *to)
{
	strbuf_addstr(to, "0001");
}
