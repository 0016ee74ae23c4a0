/*
 * Fuzzes what a git server says: packets, the advertisement of versions 0 and 2, the answer to
 * ls-refs. The first byte chooses what is expected, and in how large pieces it comes; a list must not
 * depend on the pieces.
 */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "gitsync/ls_refs.h"
#include "tests/fuzz/fuzz.h"

static enum ref_interest wants(const void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "refs/heads/main") == 0)
		return REF_NEEDED;
	return strncmp(name, "refs/heads/", 11) == 0 ? REF_WANTED : REF_IGNORED;
}

static int feed(struct ls_refs *refs, bool first, const char *data, size_t size, size_t piece)
{
	CLEANUP(pkt_reader_release)
	struct pkt_reader reader = {.on_packet =
					    first ? ls_refs_on_advertisement : ls_refs_on_answer,
				    .arg = refs};
	struct err err = {0};
	int rc = 0;

	for (size_t at = 0; at < size && rc == 0; at += piece) {
		rc = pkt_feed(&reader, data + at, piece < size - at ? piece : size - at, &err);
		assert(reader.pending.len <= PKT_DATA_MAX + 4);
		assert((rc < 0) == (err.code != ERR_NONE));
	}
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(ls_refs_release) struct ls_refs whole = {.wants = wants};
	CLEANUP(ls_refs_release) struct ls_refs pieces = {.wants = wants};
	bool first;
	int rc;

	if (size == 0)
		return 0;
	first = data[0] & 1;
	rc = feed(&whole, first, (const char *)data + 1, size - 1, size);
	/* In one piece the packets behind the last that was wanted are an error, in pieces not seen. */
	if (feed(&pieces, first, (const char *)data + 1, size - 1, (data[0] >> 1) + 1U) == rc) {
		assert(whole.n == pieces.n && whole.version == pieces.version);
		for (size_t i = 0; i < whole.n; i++) {
			assert(strcmp(whole.v[i].name, pieces.v[i].name) == 0);
			assert(strlen(whole.v[i].oid) == 40);
		}
	}
	return 0;
}
