/*
 * git's pkt-line framing (gitprotocol-common(5)), as a stranger sends it: bytes go in as they
 * come, whole packets come out, nothing is kept but the packet that is not whole yet (64 KiB).
 *
 *	struct pkt_reader reader = {.on_packet = on_packet, .arg = self};
 *	rc = pkt_feed(&reader, data, len, err);     0: goes on; 1: the handler has all; -1: error
 *	pkt_reader_release(&reader);
 *
 * An "ERR text" packet is the server's error, wherever it comes: the handler does not see it.
 */
#ifndef GITSYNC_PKT_LINE_H
#define GITSYNC_PKT_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Largest payload of a packet, as git has it. */
#define PKT_DATA_MAX 65516

enum pkt_kind {
	PKT_DATA,
	PKT_FLUSH,        /* 0000 */
	PKT_DELIM,        /* 0001 */
	PKT_RESPONSE_END, /* 0002 */
};

struct pkt_reader {
	/* 0: more, please; 1: that was all; -1: error. The data is NUL-terminated behind its length,
	 * and may hold NUL bytes itself. */
	int (*on_packet)(void *arg, enum pkt_kind kind, char *data, size_t len, struct err *err);
	void *arg;
	struct strbuf pending; /* a packet that has not all come yet */
	bool done;
};

void pkt_reader_release(struct pkt_reader *reader);
/* What comes behind the last packet that the handler wanted is an error: nobody asked for it. */
int pkt_feed(struct pkt_reader *reader, const char *data, size_t len, struct err *err);

/* Adds a packet with this text, which must fit. */
void pkt_add(struct strbuf *to, const char *data, size_t len);
void pkt_addf(struct strbuf *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pkt_add_flush(struct strbuf *to);
void pkt_add_delim(struct strbuf *to);

/* Shortens it by the newline that a text packet may end with; returns the new length. */
size_t pkt_chomp(char *data, size_t len);

#endif
