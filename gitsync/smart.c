#include "gitsync/smart.h"

#include <git2.h>
#include <string.h>

#include "base/cleanup.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/refs.h"

#define AGENT "agent=dynia/" DYNIA_VERSION
#define SERVER_TEXT_MAX 300

static void repository_freep(git_repository **p)
{
	git_repository_free(*p);
}

static void packbuilder_freep(git_packbuilder **p)
{
	git_packbuilder_free(*p);
}

static void revwalk_freep(git_revwalk **p)
{
	git_revwalk_free(*p);
}

/* --- list ------------------------------------------------------------------------------ */

static int ask_refs(const struct job *job, struct transport *transport, struct ls_refs *refs,
		    struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf request = STRBUF_INIT;
	CLEANUP(pkt_reader_release)
	struct pkt_reader answer = {.on_packet = ls_refs_on_answer, .arg = refs};
	const char *prefixes[3];
	size_t n = 0;

	if (!(refs->capabilities & CAP_LS_REFS))
		return err_set(err, ERR_GIT, "the server cannot list its refs");
	if (job->branch_ref)
		prefixes[n++] = job->branch_ref;
	if (job->own_ref)
		prefixes[n++] = job->own_ref;
	if (job->peers)
		prefixes[n++] = pool_printf(job->pool, STATUS_PREFIX "%s/", job->cluster);
	ls_refs_request(&request, refs, prefixes, n);
	return transport_exchange(transport, &request, &answer, err);
}

/* The transport stays open for what comes next. */
static int connect_and_list(const struct job *job, struct ls_refs *refs, struct transport **ret,
			    struct err *err)
{
	CLEANUP(pkt_reader_release)
	struct pkt_reader first = {.on_packet = ls_refs_on_advertisement, .arg = refs};

	if (transport_open(&job->endpoint, SERVICE_FETCH, &first, ret, err) < 0)
		return -1;
	return refs->version == 2 ? ask_refs(job, *ret, refs, err) : 0;
}

static void say_goodbye(struct transport *transport)
{
	CLEANUP(strbuf_release) struct strbuf flush = STRBUF_INIT;
	struct err ignored;

	pkt_add_flush(&flush);
	transport_exchange(transport, &flush, NULL, &ignored);
}

int smart_list(const struct job *job, struct ls_refs *ret, struct err *err)
{
	CLEANUP(transport_closep) struct transport *transport = NULL;

	if (connect_and_list(job, ret, &transport, err) < 0)
		return -1;
	say_goodbye(transport);
	return 0;
}

/* --- fetch ----------------------------------------------------------------------------- */

/* The answer to a fetch: lines, and then the pack in side-band packets. */
struct pack_answer {
	struct pack_file *file;
	int version;
	bool in_pack;
};

static int not_a_pack(struct err *err)
{
	return err_set(err, ERR_GIT, "the server's answer to the fetch cannot be read");
}

static int on_band(struct pack_answer *self, char *data, size_t len, struct err *err)
{
	switch (len > 0 ? data[0] : 0) {
	case 1:
		return pack_file_add(self->file, data + 1, len - 1, err);
	case 2: /* progress */
		return 0;
	case 3:
		pkt_chomp(data, len);
		return err_set(err, ERR_GIT, "the server says: %.*s", SERVER_TEXT_MAX, data + 1);
	default:
		return not_a_pack(err);
	}
}

static int on_pack_packet(void *arg, enum pkt_kind kind, char *data, size_t len, struct err *err)
{
	struct pack_answer *self = arg;

	if (self->in_pack && kind == PKT_FLUSH)
		return self->file->bytes > 0 ? 1 : not_a_pack(err);
	if (kind != PKT_DATA)
		return not_a_pack(err);
	if (self->in_pack)
		return on_band(self, data, len, err);
	pkt_chomp(data, len);
	/* With "done" in the request a server of version 2 goes to the pack at once; one of
	 * version 0 first says which commit it has in common. */
	if (self->version == 2 ? strcmp(data, "packfile") != 0
			       : strcmp(data, "NAK") != 0 && strncmp(data, "ACK ", 4) != 0)
		return not_a_pack(err);
	self->in_pack = true;
	return 0;
}

static void add_haves(const struct job *job, struct strbuf *request)
{
	size_t i;
	const json_t *have;

	json_array_foreach(job->haves, i, have)
	{
		pkt_addf(request, "have %s\n", json_string_value(have));
	}
}

static void build_v2(const struct job *job, const struct ls_refs *refs, const struct strbuf *wants,
		     struct strbuf *request)
{
	pkt_addf(request, "command=fetch\n");
	pkt_addf(request, AGENT "\n");
	if (refs->capabilities & CAP_OBJECT_FORMAT)
		pkt_addf(request, "object-format=sha1\n");
	pkt_add_delim(request);
	pkt_addf(request, "thin-pack\n");
	pkt_addf(request, "no-progress\n");
	pkt_addf(request, "ofs-delta\n");
	for (size_t at = 0; at < wants->len; at += GIT_OID_HEX)
		pkt_addf(request, "want %s\n", wants->buf + at);
	add_haves(job, request);
	pkt_addf(request, "done\n");
	pkt_add_flush(request);
}

static int build_v0(const struct job *job, const struct ls_refs *refs, const struct strbuf *wants,
		    struct strbuf *request, struct err *err)
{
	unsigned can = refs->capabilities;

	if (!(can & CAP_SIDE_BAND_64K))
		return err_set(err, ERR_GIT, "the server is too old: it knows no side-band-64k");
	for (size_t at = 0; at < wants->len; at += GIT_OID_HEX) {
		if (at > 0)
			pkt_addf(request, "want %s\n", wants->buf + at);
		else
			pkt_addf(request, "want %s side-band-64k%s%s%s " AGENT "\n", wants->buf,
				 can & CAP_OFS_DELTA ? " ofs-delta" : "",
				 can & CAP_THIN_PACK ? " thin-pack" : "",
				 can & CAP_NO_PROGRESS ? " no-progress" : "");
	}
	pkt_add_flush(request);
	add_haves(job, request);
	pkt_addf(request, "done\n");
	return 0;
}

static bool is_listed(const struct strbuf *list, const char *oid)
{
	for (size_t at = 0; at < list->len; at += GIT_OID_HEX) {
		if (strcmp(list->buf + at, oid) == 0)
			return true;
	}
	return false;
}

/* The ids that the mirror lacks, each with a NUL behind it. */
static int choose_wants(const struct ls_refs *refs, struct strbuf *wants, struct err *err)
{
	CLEANUP(repository_freep) git_repository *repo = NULL;
	CLEANUP(odb_freep) git_odb *odb = NULL;
	git_oid id;

	if (job_open_objects(&repo, err) < 0)
		return -1;
	if (git_repository_odb(&odb, repo) < 0)
		return git_fail(err, "read the mirror's objects");
	for (size_t i = 0; i < refs->n; i++) {
		if (git_oid_fromstr(&id, refs->v[i].oid) < 0)
			return git_fail(err, "read '%s'", refs->v[i].oid);
		if (!git_odb_exists(odb, &id) && !is_listed(wants, refs->v[i].oid))
			strbuf_add(wants, refs->v[i].oid, GIT_OID_HEX);
	}
	return 0;
}

static int fetch_pack(const struct job *job, const struct ls_refs *refs, const struct strbuf *wants,
		      struct transport *transport, struct err *err)
{
	CLEANUP(pack_file_close) struct pack_file file = {.fd = -1};
	CLEANUP(strbuf_release) struct strbuf request = STRBUF_INIT;
	struct pack_answer answer = {.file = &file, .version = refs->version};
	CLEANUP(pkt_reader_release)
	struct pkt_reader reader = {.on_packet = on_pack_packet, .arg = &answer};

	if (refs->version == 2)
		build_v2(job, refs, wants, &request);
	else if (build_v0(job, refs, wants, &request, err) < 0)
		return -1;
	if (pack_file_create(&file, err) < 0)
		return -1;
	return transport_exchange(transport, &request, &reader, err);
}

int smart_fetch(const struct job *job, struct ls_refs *ret, struct err *err)
{
	CLEANUP(transport_closep) struct transport *transport = NULL;
	CLEANUP(strbuf_release) struct strbuf wants = STRBUF_INIT;

	if (connect_and_list(job, ret, &transport, err) < 0 ||
	    job_check_branch(job, ret, err) < 0 || choose_wants(ret, &wants, err) < 0)
		return -1;
	if (wants.len > 0)
		return fetch_pack(job, ret, &wants, transport, err);
	say_goodbye(transport);
	return 0;
}

/* --- push ------------------------------------------------------------------------------ */

/* The answer to a push: "unpack ok", then "ok REF" or "ng REF WHY". */
struct push_answer {
	const char *ref;
	bool unpacked, taken;
};

static int refused(const char *ref, const char *why, struct err *err)
{
	return err_set(err, ERR_GIT, "the server refuses the push of '%s': %.*s", ref,
		       SERVER_TEXT_MAX, why);
}

static int on_push_packet(void *arg, enum pkt_kind kind, char *data, size_t len, struct err *err)
{
	struct push_answer *self = arg;
	size_t ref_len = strlen(self->ref);

	if (kind == PKT_FLUSH)
		return self->unpacked && self->taken
			       ? 1
			       : err_set(err, ERR_GIT, "the server does not say that it took '%s'",
					 self->ref);
	if (kind != PKT_DATA)
		return err_set(err, ERR_GIT, "the server's answer to the push cannot be read");
	pkt_chomp(data, len);
	if (strncmp(data, "unpack ", 7) == 0) {
		self->unpacked = strcmp(data + 7, "ok") == 0;
		return self->unpacked ? 0 : refused(self->ref, data + 7, err);
	}
	if (strncmp(data, "ok ", 3) == 0)
		self->taken = strcmp(data + 3, self->ref) == 0;
	else if (strncmp(data, "ng ", 3) == 0)
		return refused(self->ref,
			       strncmp(data + 3, self->ref, ref_len) == 0 &&
					       data[3 + ref_len] == ' '
				       ? data + 4 + ref_len
				       : data + 3,
			       err);
	return 0;
}

static int add_buf(void *data, size_t len, void *arg)
{
	strbuf_add(arg, data, len);
	return 0;
}

/* All that is behind the commit, less what is behind what the server has there. */
static int build_pack(git_repository *repo, const char *oid, const char *there, struct strbuf *to,
		      struct err *err)
{
	CLEANUP(packbuilder_freep) git_packbuilder *builder = NULL;
	CLEANUP(revwalk_freep) git_revwalk *walk = NULL;
	CLEANUP(odb_freep) git_odb *odb = NULL;
	git_oid id, old;

	if (git_oid_fromstr(&id, oid) < 0 || git_repository_odb(&odb, repo) < 0 ||
	    git_packbuilder_new(&builder, repo) < 0 || git_revwalk_new(&walk, repo) < 0 ||
	    git_revwalk_push(walk, &id) < 0)
		return git_fail(err, "pack '%s'", oid);
	if (there && git_oid_fromstr(&old, there) == 0 && git_odb_exists(odb, &old) &&
	    git_revwalk_hide(walk, &old) < 0)
		return git_fail(err, "pack '%s'", oid);
	if (git_packbuilder_insert_walk(builder, walk) < 0 ||
	    git_packbuilder_foreach(builder, add_buf, to) < 0)
		return git_fail(err, "pack '%s'", oid);
	return 0;
}

static enum ref_interest is_the_ref(const void *arg, const char *name)
{
	return strcmp(name, arg) == 0 ? REF_NEEDED : REF_IGNORED;
}

int smart_push(const struct job *job, const char *ref, const char *oid, struct err *err)
{
	static const char none[] = "0000000000000000000000000000000000000000";
	CLEANUP(ls_refs_release) struct ls_refs refs = {.wants = is_the_ref, .arg = ref};
	CLEANUP(pkt_reader_release)
	struct pkt_reader first = {.on_packet = ls_refs_on_advertisement, .arg = &refs};
	CLEANUP(transport_closep) struct transport *transport = NULL;
	CLEANUP(repository_freep) git_repository *repo = NULL;
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf request = STRBUF_INIT;
	struct push_answer answer = {.ref = ref};
	CLEANUP(pkt_reader_release)
	struct pkt_reader reader = {.on_packet = on_push_packet, .arg = &answer};
	const char *there;

	if (job_open_objects(&repo, err) < 0 ||
	    transport_open(&job->endpoint, SERVICE_PUSH, &first, &transport, err) < 0)
		return -1;
	there = ls_refs_find(&refs, ref);
	if (there && strcmp(there, oid) == 0) {
		say_goodbye(transport);
		return 0;
	}
	if (!(refs.capabilities & CAP_REPORT_STATUS))
		return err_set(err, ERR_GIT, "the server is too old: it knows no report-status");
	strbuf_addf(&line, "%s %s %s%c report-status%s " AGENT, there ? there : none, oid, ref,
		    '\0', refs.capabilities & CAP_OBJECT_FORMAT ? " object-format=sha1" : "");
	pkt_add(&request, line.buf, line.len);
	pkt_add_flush(&request);
	if (build_pack(repo, oid, there, &request, err) < 0)
		return -1;
	return transport_exchange(transport, &request, &reader, err);
}
