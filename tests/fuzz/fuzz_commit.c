/*
 * Fuzzes what a signature is looked for in: a commit object, and what gpgv says of one. What the parser takes must be
 * whole: payload and signature together are the object, less the header's name and the spaces before its lines.
 */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "gitsync/commit_object.h"
#include "gitsync/verify_signature.h"
#include "tests/fuzz/fuzz.h"

static size_t count_lines(const struct strbuf *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->buf[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(commit_object_release) struct commit_object commit = COMMIT_OBJECT_INIT;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err err = {0};
	const char *why = NULL;

	strbuf_add(&text, data, size);
	if (commit_object_parse(text.buf, text.len, &commit, &err) < 0) {
		assert(err.code == ERR_VERIFY && err.msg[0]);
	} else {
		size_t lines = count_lines(&commit.signature);

		assert((commit.kind == SIGNATURE_NONE) == (commit.signature.len == 0));
		assert(lines == 0 || text.len == commit.payload.len + commit.signature.len +
							 strlen("gpgsig ") + lines - 1);
		assert(strlen(commit.payload.buf) == commit.payload.len);
		assert(commit.n_parents <= COMMIT_PARENTS_MAX && strlen(commit.tree) == 40);
	}
	openpgp_status_is_good(text.buf, &why);
	return 0;
}
