#include "gitsync/ls_refs.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"

#define OID_LEN (GIT_OID_HEX - 1)
#define AGENT "dynia/" DYNIA_VERSION

static const struct {
	const char *name; /* the word, or what stands before its '=' */
	unsigned flag;
} capability_rows[] = {
	{"ofs-delta", CAP_OFS_DELTA},
	{"thin-pack", CAP_THIN_PACK},
	{"side-band-64k", CAP_SIDE_BAND_64K},
	{"no-progress", CAP_NO_PROGRESS},
	{"report-status", CAP_REPORT_STATUS},
	{"ls-refs", CAP_LS_REFS},
	{"fetch", CAP_FETCH},
	{"object-format", CAP_OBJECT_FORMAT},
};

void ls_refs_release(struct ls_refs *refs)
{
	for (size_t i = 0; i < refs->n; i++)
		free(refs->v[i].name);
	free(refs->v);
	refs->v = NULL;
	refs->n = 0;
}

bool is_oid_text(const char *s)
{
	return strspn(s, "0123456789abcdef") >= OID_LEN;
}

const char *ls_refs_find(const struct ls_refs *refs, const char *name)
{
	for (size_t i = 0; i < refs->n; i++) {
		if (strcmp(refs->v[i].name, name) == 0)
			return refs->v[i].oid;
	}
	return NULL;
}

static int nonsense(struct err *err)
{
	return err_set(err, ERR_GIT, "the server's list of refs cannot be read");
}

static int count_bytes(struct ls_refs *refs, size_t len, struct err *err)
{
	refs->bytes += len;
	if (refs->bytes > LS_REFS_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "the server's list of refs is longer than %zu MiB",
			       LS_REFS_BYTES_MAX >> 20);
	return 0;
}

/* One word of a list of capabilities. */
static int add_capability(struct ls_refs *refs, const char *word, size_t len, struct err *err)
{
	size_t name_len = 0;

	while (name_len < len && word[name_len] != '=')
		name_len++;
	for (size_t i = 0; i < ARRAY_SIZE(capability_rows); i++) {
		const char *name = capability_rows[i].name;

		if (strlen(name) != name_len || memcmp(name, word, name_len) != 0)
			continue;
		refs->capabilities |= capability_rows[i].flag;
		if (capability_rows[i].flag == CAP_OBJECT_FORMAT &&
		    (len != strlen("object-format=sha1") ||
		     memcmp(word, "object-format=sha1", len) != 0))
			return err_set(err, ERR_GIT,
				       "the repository's object format is not sha1, the only one "
				       "that this version knows");
	}
	return 0;
}

static int add_capabilities(struct ls_refs *refs, const char *text, struct err *err)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (add_capability(refs, text, len, err) < 0)
			return -1;
		text += len;
		text += strspn(text, " ");
	}
	return 0;
}

/* "ID NAME", and for version 2 " ATTRIBUTES" behind it. */
static int add_ref(struct ls_refs *refs, char *line, struct err *err)
{
	enum ref_interest interest;
	char *name = line + OID_LEN + 1;

	if (!is_oid_text(line) || line[OID_LEN] != ' ')
		return nonsense(err);
	name[strcspn(name, " ")] = '\0';
	interest = refs->wants(refs->arg, name);
	if (interest == REF_IGNORED)
		return 0;
	if (refs->n >= LS_REFS_MAX && (interest != REF_NEEDED || ls_refs_find(refs, name))) {
		refs->cut_off = true;
		return 0;
	}
	GROW(refs->v, refs->n, refs->alloc);
	memcpy(refs->v[refs->n].oid, line, OID_LEN);
	refs->v[refs->n].oid[OID_LEN] = '\0';
	refs->v[refs->n++].name = xstrdup(name);
	return 0;
}

static int first_packet(struct ls_refs *refs, char *data, size_t len, struct err *err)
{
	if (strcmp(data, "version 2") == 0) {
		refs->version = 2;
		refs->place = LS_REFS_IN_LIST;
		return 0;
	}
	if (strncmp(data, "# service=git-", strlen("# service=git-")) == 0 &&
	    refs->place == LS_REFS_NOTHING_YET) {
		refs->place = LS_REFS_SERVICE_NAMED;
		return 0;
	}
	refs->place = LS_REFS_IN_LIST;
	if (strcmp(data, "version 1") == 0)
		return 0;
	/* The capabilities stand behind a NUL in the first ref. */
	if (strlen(data) < len && add_capabilities(refs, data + strlen(data) + 1, err) < 0)
		return -1;
	return add_ref(refs, data, err);
}

int ls_refs_on_advertisement(void *arg, enum pkt_kind kind, char *data, size_t len, struct err *err)
{
	struct ls_refs *refs = arg;

	if (kind == PKT_FLUSH && refs->place == LS_REFS_SERVICE_NAMED) {
		refs->place = LS_REFS_SERVICE_LINE_DONE;
		return 0;
	}
	if (kind == PKT_FLUSH)
		return 1;
	if (kind != PKT_DATA || count_bytes(refs, len, err) < 0)
		return kind != PKT_DATA ? nonsense(err) : -1;
	len = pkt_chomp(data, len);
	if (refs->place == LS_REFS_SERVICE_NAMED)
		return nonsense(err);
	if (refs->place != LS_REFS_IN_LIST)
		return first_packet(refs, data, len, err);
	if (refs->version == 2)
		return add_capability(refs, data, strlen(data), err);
	return add_ref(refs, data, err);
}

void ls_refs_request(struct strbuf *to, const struct ls_refs *refs, const char *const *prefixes,
		     size_t n)
{
	pkt_addf(to, "command=ls-refs\n");
	pkt_addf(to, "agent=" AGENT "\n");
	if (refs->capabilities & CAP_OBJECT_FORMAT)
		pkt_addf(to, "object-format=sha1\n");
	pkt_add_delim(to);
	for (size_t i = 0; i < n; i++)
		pkt_addf(to, "ref-prefix %s\n", prefixes[i]);
	pkt_add_flush(to);
}

int ls_refs_on_answer(void *arg, enum pkt_kind kind, char *data, size_t len, struct err *err)
{
	struct ls_refs *refs = arg;

	if (kind == PKT_FLUSH)
		return 1;
	if (kind != PKT_DATA)
		return nonsense(err);
	if (count_bytes(refs, len, err) < 0)
		return -1;
	pkt_chomp(data, len);
	/* A branch that is not born yet; nobody asked for it. */
	if (strncmp(data, "unborn ", strlen("unborn ")) == 0)
		return 0;
	return add_ref(refs, data, err);
}
