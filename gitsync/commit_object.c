#include "gitsync/commit_object.h"

#include <stdbool.h>
#include <string.h>

#include "base/parse.h"

#define OID_LEN (COMMIT_OID_SIZE - 1)

/* The header that is being read: lines of it that are left. */
struct reader {
	const char *at;
	const char *end; /* of the object */
};

struct line {
	const char *text; /* without its line feed */
	size_t len;
};

void commit_object_release(struct commit_object *commit)
{
	strbuf_release(&commit->signature);
	strbuf_release(&commit->payload);
}

/* The next line of the header; false at the empty line that ends it. */
static bool next_line(struct reader *r, struct line *ret)
{
	const char *eol = memchr(r->at, '\n', (size_t)(r->end - r->at));

	if (!eol || eol == r->at)
		return false;
	*ret = (struct line) {r->at, (size_t)(eol - r->at)};
	r->at = eol + 1;
	return true;
}

static bool has_key(const struct line *line, const char *key)
{
	size_t len = strlen(key);

	return line->len > len && strncmp(line->text, key, len) == 0 && line->text[len] == ' ';
}

static bool take_oid(const struct line *line, const char *key, char ret[COMMIT_OID_SIZE])
{
	size_t key_len = strlen(key) + 1;

	if (!has_key(line, key) || line->len != key_len + OID_LEN)
		return false;
	memcpy(ret, line->text + key_len, OID_LEN);
	ret[OID_LEN] = '\0';
	return strspn(ret, "0123456789abcdef") == OID_LEN;
}

/* "NAME <EMAIL> SECONDS +ZONE" */
static bool take_time(const struct line *line, int64_t *ret)
{
	const char *close = memrchr(line->text, '>', line->len);
	const char *end = line->text + line->len;
	const char *zone = close ? memrchr(close, ' ', (size_t)(end - close)) : NULL;
	char seconds[16];
	struct err ignored;
	size_t len;

	if (!zone || zone < close + 2 || close[1] != ' ' || end - zone != 6 ||
	    (zone[1] != '+' && zone[1] != '-') || strspn(zone + 2, "0123456789") < 4)
		return false;
	len = (size_t)(zone - (close + 2));
	if (len >= sizeof(seconds))
		return false;
	memcpy(seconds, close + 2, len);
	seconds[len] = '\0';
	/* Up to the year 9999, which ssh-keygen(1) can still be told. */
	return parse_int(seconds, 0, 253402300799, ret, &ignored) == 0;
}

static enum signature_kind kind_of(const struct strbuf *signature)
{
	if (strncmp(signature->buf, "-----BEGIN SSH SIGNATURE-----\n", 30) == 0)
		return SIGNATURE_SSH;
	if (strncmp(signature->buf, "-----BEGIN PGP SIGNATURE-----\n", 30) == 0)
		return SIGNATURE_OPENPGP;
	return SIGNATURE_OTHER;
}

/* The value and its continuation lines, each less the space before it. */
static void take_signature(struct reader *r, const struct line *first, struct strbuf *ret)
{
	size_t key_len = strlen("gpgsig ");
	struct line line;

	strbuf_add(ret, first->text + key_len, first->len - key_len);
	strbuf_addch(ret, '\n');
	while (r->at < r->end && *r->at == ' ' && next_line(r, &line)) {
		strbuf_add(ret, line.text + 1, line.len - 1);
		strbuf_addch(ret, '\n');
	}
}

static int fail(struct err *err, const char *what)
{
	return err_set(err, ERR_VERIFY, "%s", what);
}

static int read_start(struct reader *r, struct commit_object *ret, struct err *err)
{
	struct line line;

	if (!next_line(r, &line) || !take_oid(&line, "tree", ret->tree))
		return fail(err, "it names no tree");
	while (next_line(r, &line) && has_key(&line, "parent")) {
		if (ret->n_parents == COMMIT_PARENTS_MAX)
			return err_set(err, ERR_VERIFY, "it has more than %d parents",
				       COMMIT_PARENTS_MAX);
		if (!take_oid(&line, "parent", ret->parents[ret->n_parents++]))
			return fail(err, "one of its parents is no commit's id");
	}
	/* `line` is the one after the parents. */
	if (!has_key(&line, "author"))
		return fail(err, "it names no author after its parents");
	if (!next_line(r, &line) || !has_key(&line, "committer") ||
	    !take_time(&line, &ret->committed_s))
		return fail(err, "it names no committer with a time after its author");
	return 0;
}

/* What Git reads at one place only, or not at all, must not be there twice or where it does not belong. */
static int check_key(const struct line *line, struct err *err)
{
	static const char *const once[] = {"tree", "parent", "author", "committer"};

	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (has_key(line, once[i]))
			return err_set(err, ERR_VERIFY, "it has a second header '%s'", once[i]);
	if (has_key(line, "gpgsig-sha256"))
		return fail(err,
			    "it has a signature over another form of itself ('gpgsig-sha256')");
	return 0;
}

int commit_object_parse(const char *data, size_t len, struct commit_object *ret, struct err *err)
{
	struct reader r = {data, data + len};
	bool found = false;
	struct line line;

	if (memchr(data, '\0', len))
		return fail(err, "it has a NUL byte in it");
	if (read_start(&r, ret, err) < 0)
		return -1;
	strbuf_add(&ret->payload, data, (size_t)(r.at - data));
	while (next_line(&r, &line)) {
		if (check_key(&line, err) < 0)
			return -1;
		if (!has_key(&line, "gpgsig")) {
			strbuf_add(&ret->payload, line.text, line.len + 1);
			continue;
		}
		if (found)
			return fail(err, "it has several signatures");
		found = true;
		take_signature(&r, &line, &ret->signature);
		ret->kind = kind_of(&ret->signature);
	}
	if (r.at == r.end || *r.at != '\n')
		return fail(err, "its header has no end");
	strbuf_add(&ret->payload, r.at, (size_t)(r.end - r.at));
	return 0;
}
