/*
 * Which refs a server has: its first words, in protocol version 0 (all refs at once) or 2
 * (capabilities, and then what ls-refs is asked for; gitprotocol-v2(5)). Only parses: the bytes
 * come from a transport (gitsync/transport.h) or from the poll (gitsync/poll.h).
 *
 *	struct ls_refs refs = {.wants = wants, .arg = self};
 *	struct pkt_reader first = {.on_packet = ls_refs_on_advertisement, .arg = &refs};
 *	… feed the server's first answer; then, where refs.version is 2:
 *	ls_refs_request(&request, prefixes, n);
 *	struct pkt_reader second = {.on_packet = ls_refs_on_answer, .arg = &refs};
 *	… feed the answer to it
 *	ls_refs_release(&refs);
 */
#ifndef GITSYNC_LS_REFS_H
#define GITSYNC_LS_REFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "gitsync/mirror.h"
#include "gitsync/pkt_line.h"

/* Most refs that are kept, and most bytes of a list that are read. */
#define LS_REFS_MAX 5000
#define LS_REFS_BYTES_MAX ((size_t)64 << 20)

enum ref_interest {
	REF_IGNORED,
	REF_WANTED,
	REF_NEEDED, /* kept even where there are too many */
};

enum {
	CAP_OFS_DELTA = 1 << 0,
	CAP_THIN_PACK = 1 << 1,
	CAP_SIDE_BAND_64K = 1 << 2,
	CAP_NO_PROGRESS = 1 << 3,
	CAP_REPORT_STATUS = 1 << 4,
	CAP_LS_REFS = 1 << 5, /* version 2 from here */
	CAP_FETCH = 1 << 6,
	CAP_OBJECT_FORMAT = 1 << 7, /* of either version */
};

struct ls_ref {
	char *name;
	char oid[GIT_OID_HEX];
};

struct ls_refs {
	enum ref_interest (*wants)(const void *arg, const char *name);
	const void *arg;
	struct ls_ref *v; /* in the server's order */
	size_t n, alloc;
	int version; /* 0 or 2, once something came */
	unsigned capabilities;
	size_t bytes;
	bool cut_off; /* more than LS_REFS_MAX were wanted */
	enum {
		LS_REFS_NOTHING_YET,
		LS_REFS_SERVICE_NAMED,
		LS_REFS_SERVICE_LINE_DONE,
		LS_REFS_IN_LIST
	} place;
};

void ls_refs_release(struct ls_refs *refs);
/* For a pkt_reader (gitsync/pkt_line.h): arg is a struct ls_refs. */
int ls_refs_on_advertisement(void *arg, enum pkt_kind kind, char *data, size_t len,
			     struct err *err);
void ls_refs_request(struct strbuf *to, const struct ls_refs *refs, const char *const *prefixes,
		     size_t n);
int ls_refs_on_answer(void *arg, enum pkt_kind kind, char *data, size_t len, struct err *err);
/* The id of a ref, or NULL. */
const char *ls_refs_find(const struct ls_refs *refs, const char *name);
/* Are these 40 hex digits (what follows does not matter)? */
bool is_oid_text(const char *s);

#endif
