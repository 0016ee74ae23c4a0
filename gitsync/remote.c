/*
 * Talk with remotes. The child lists and downloads objects and writes no ref: it can be killed at
 * any moment, and a ref's lock file that it held would stop every later write. It hands back lines
 * "ID NAME", which the parent takes as a stranger's word: it checks them, looks whether the objects
 * arrived, and then moves the refs.
 */
#include <git2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/mirror.h"
#include "gitsync/refs.h"
#include "gitsync/url.h"

#define REFS_MAX 5000
#define OUTPUT_MAX (1 << 20)
#define RECEIVE_BYTES_MAX ((size_t)1 << 30)
#define RECEIVE_OBJECTS_MAX 2000000U
#define OID_LEN (GIT_OID_HEX - 1)

/* One operation, for parent and child. */
struct call {
	struct mirror *m;
	const struct remote *remote;
	char *url;   /* as libgit2 takes it */
	char *shown; /* as a message may show it */
	char *branch_ref;
	const char *push_ref;
	bool network;
	bool too_large;         /* the download was stopped by our limit */
	struct strbuf rejected; /* why the server refused a push */
};

static void call_release(struct call *call)
{
	free(call->url);
	free(call->shown);
	free(call->branch_ref);
	strbuf_release(&call->rejected);
}

static void remote_freep(git_remote **p)
{
	git_remote_free(*p);
}

static int call_init(struct call *call, struct mirror *m, const struct remote *remote,
		     struct err *err)
{
	if (remote_supported(remote->url, err) < 0)
		return -1;
	if (!is_branch_name(remote->branch))
		return err_set(err, ERR_CONFIG, "'%s' is no name of a branch", remote->branch);
	if (!is_name(remote->cluster))
		return err_set(err, ERR_CONFIG, "'%s' is no name of a cluster", remote->cluster);
	call->m = m;
	call->remote = remote;
	call->url = url_for_libgit2(remote->url);
	call->shown = url_shown(remote->url);
	call->branch_ref = xasprintf(HEADS_PREFIX "%s", remote->branch);
	call->network = url_is_network(remote->url);
	strbuf_init(&call->rejected);
	return 0;
}

/* --- in the child -------------------------------------------------------------------- */

static int connect_to(const struct call *call, git_remote **ret, struct err *err)
{
	CLEANUP(remote_freep) git_remote *remote = NULL;

	/* libgit2 writes to sockets that the server may have closed. */
	signal(SIGPIPE, SIG_IGN);
	if (git_remote_create_anonymous(&remote, call->m->repo, call->url) < 0 ||
	    git_remote_connect(remote, GIT_DIRECTION_FETCH, NULL, NULL, NULL) < 0)
		return git_fail_remote(err, call->network, "connect to '%s'", call->shown);
	*ret = STEAL(remote);
	return 0;
}

static void add_ref(struct strbuf *out, const git_remote_head *head)
{
	char oid[GIT_OID_HEX];

	git_oid_tostr(oid, sizeof(oid), &head->oid);
	strbuf_addf(out, "%s %s\n", oid, head->name);
}

/* The branch comes first, so that a flood of status refs cannot push it out. */
static int list_refs(const struct call *call, git_remote *remote, struct strbuf *out,
		     struct err *err)
{
	const git_remote_head **heads;
	size_t n, kept = 0;

	if (git_remote_ls(&heads, &n, remote) < 0)
		return git_fail_remote(err, call->network, "list the refs of '%s'", call->shown);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(heads[i]->name, call->branch_ref) == 0)
			add_ref(out, heads[i]);
	}
	for (size_t i = 0; i < n && kept < REFS_MAX - 1; i++) {
		if (is_status_ref(heads[i]->name, STATUS_PREFIX, call->remote->cluster)) {
			add_ref(out, heads[i]);
			kept++;
		}
	}
	return 0;
}

static int write_refs(const struct strbuf *refs, int out_fd, struct err *err)
{
	if (dprintf(out_fd, "%s", refs->buf) < 0)
		return err_errno(err, "hand back the list of refs");
	return 0;
}

static int poll_in_child(void *arg, int out_fd, struct err *err)
{
	const struct call *call = arg;
	CLEANUP(remote_freep) git_remote *remote = NULL;
	CLEANUP(strbuf_release) struct strbuf refs = STRBUF_INIT;

	if (connect_to(call, &remote, err) < 0 || list_refs(call, remote, &refs, err) < 0)
		return -1;
	return write_refs(&refs, out_fd, err);
}

static int on_progress(const git_indexer_progress *stats, void *arg)
{
	struct call *call = arg;

	if (stats->received_bytes <= RECEIVE_BYTES_MAX &&
	    stats->total_objects <= RECEIVE_OBJECTS_MAX)
		return 0;
	call->too_large = true;
	return -1;
}

static int download(struct call *call, git_remote *remote, struct err *err)
{
	git_fetch_options opts;
	AUTO_FREE char *branch = xasprintf("+%s:%s", call->branch_ref, call->branch_ref);
	AUTO_FREE char *status = xasprintf("+" STATUS_PREFIX "%s/*:" STATUS_PREFIX "%s/*",
					   call->remote->cluster, call->remote->cluster);
	char *specs[] = {branch, status};
	const git_strarray refspecs = {.strings = specs, .count = ARRAY_SIZE(specs)};

	git_fetch_options_init(&opts, GIT_FETCH_OPTIONS_VERSION);
	opts.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	opts.callbacks.transfer_progress = on_progress;
	opts.callbacks.payload = call;
	if (git_remote_download(remote, &refspecs, &opts) == 0)
		return 0;
	if (call->too_large)
		return err_set(err, ERR_LIMIT, "'%s' sends more than %zu MiB or %u objects",
			       call->shown, RECEIVE_BYTES_MAX >> 20, RECEIVE_OBJECTS_MAX);
	return git_fail_remote(err, call->network, "fetch from '%s'", call->shown);
}

static bool starts_with_ref(const struct strbuf *refs, const char *name)
{
	const char *first = refs->buf + OID_LEN + 1;
	size_t len = strlen(name);

	return refs->len > OID_LEN + 1 + len && strncmp(first, name, len) == 0 &&
	       first[len] == '\n';
}

static int fetch_in_child(void *arg, int out_fd, struct err *err)
{
	struct call *call = arg;
	CLEANUP(remote_freep) git_remote *remote = NULL;
	CLEANUP(strbuf_release) struct strbuf refs = STRBUF_INIT;

	if (connect_to(call, &remote, err) < 0 || list_refs(call, remote, &refs, err) < 0)
		return -1;
	if (!starts_with_ref(&refs, call->branch_ref))
		return err_set(err, ERR_GIT,
			       "'%s' has no branch '%s': push one, or set branch: in agent.yaml",
			       call->shown, call->remote->branch);
	if (download(call, remote, err) < 0)
		return -1;
	return write_refs(&refs, out_fd, err);
}

static int on_pushed(const char *ref, const char *refusal, void *arg)
{
	struct call *call = arg;

	(void)ref;
	if (refusal)
		strbuf_addstr(&call->rejected, refusal);
	return 0;
}

static int push_in_child(void *arg, int out_fd, struct err *err)
{
	struct call *call = arg;
	CLEANUP(remote_freep) git_remote *remote = NULL;
	git_push_options opts;
	AUTO_FREE char *spec = xasprintf("+%s:%s", call->push_ref, call->push_ref);
	const git_strarray refspecs = {.strings = &spec, .count = 1};

	(void)out_fd;
	signal(SIGPIPE, SIG_IGN);
	git_push_options_init(&opts, GIT_PUSH_OPTIONS_VERSION);
	opts.callbacks.push_update_reference = on_pushed;
	opts.callbacks.payload = call;
	if (git_remote_create_anonymous(&remote, call->m->repo, call->url) < 0 ||
	    git_remote_push(remote, &refspecs, &opts) < 0)
		return git_fail_remote(err, call->network, "push '%s' to '%s'", call->push_ref,
				       call->shown);
	if (call->rejected.len)
		return err_set(err, ERR_GIT, "'%s' refuses the push of '%s': %s", call->shown,
			       call->push_ref, call->rejected.buf);
	return 0;
}

/* --- in the parent ------------------------------------------------------------------- */

static int run_call(struct call *call, int (*fn)(void *, int, struct err *), struct strbuf *out,
		    struct err *err)
{
	if (process_call(fn, call, call->remote->deadline_ms, out, err) < 0) {
		/* The child's own errors name the URL; those of the call as such do not. */
		if (!strstr(err->msg, call->shown))
			err_wrap(err, "'%s'", call->shown);
		return -1;
	}
	if (out->overflow)
		return err_set(err, ERR_LIMIT, "'%s': the list of refs is too long", call->shown);
	return 0;
}

static bool is_oid_text(const char *s)
{
	return strspn(s, "0123456789abcdef") == OID_LEN;
}

/* One line without its newline: "ID NAME". */
static bool parse_line(const struct call *call, char *line, struct pool *pool,
		       struct remote_ref *ret)
{
	const char *name = line + OID_LEN + 1;

	if (!is_oid_text(line) || line[OID_LEN] != ' ')
		return false;
	if (strcmp(name, call->branch_ref) != 0 &&
	    !is_status_ref(name, STATUS_PREFIX, call->remote->cluster))
		return false;
	line[OID_LEN] = '\0';
	memcpy(ret->oid, line, GIT_OID_HEX);
	ret->name = pool_strdup(pool, name);
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct remote_ref *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int parse_refs(const struct call *call, struct strbuf *text, struct remote_refs *ret,
		      struct err *err)
{
	char *line = text->buf, *end;

	ret->v = pool_calloc(ret->pool, REFS_MAX, sizeof(*ret->v));
	ret->n = 0;
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (ret->n == REFS_MAX || !parse_line(call, line, ret->pool, &ret->v[ret->n]))
			return err_set(err, ERR_GIT, "'%s': cannot read its list of refs",
				       call->shown);
		ret->n++;
	}
	qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return 0;
}

const char *remote_refs_find(const struct remote_refs *refs, const char *name)
{
	struct remote_ref key = {.name = name};
	const struct remote_ref *found =
		refs->n ? bsearch(&key, refs->v, refs->n, sizeof(key), by_name) : NULL;

	return found ? found->oid : NULL;
}

int remote_poll(struct mirror *m, const struct remote *remote, struct remote_refs *ret,
		struct err *err)
{
	CLEANUP(call_release) struct call call = {0};
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_LIMITED(OUTPUT_MAX);

	if (mirror_heal(m, err) < 0 || call_init(&call, m, remote, err) < 0 ||
	    run_call(&call, poll_in_child, &out, err) < 0)
		return -1;
	return parse_refs(&call, &out, ret, err);
}

/* Gives the id of a ref that the mirror has. One that cannot be read counts as none: it is
 * written anew. */
static bool local_ref(struct mirror *m, const char *name, git_oid *ret)
{
	return git_reference_name_to_id(ret, m->repo, name) == 0;
}

static int move_ref(const struct call *call, const struct remote_ref *ref, struct err *err)
{
	struct mirror *m = call->m;
	CLEANUP(commit_freep) git_commit *commit = NULL;
	CLEANUP(ref_freep) git_reference *moved = NULL;
	git_oid now;

	if (commit_lookup(m, ref->oid, &commit, err) < 0) {
		/* A stranger's status ref may point at anything. The branch must be a commit. */
		if (strcmp(ref->name, call->branch_ref) != 0) {
			err_clear(err);
			return 0;
		}
		m->damaged = true;
		return -1;
	}
	if (local_ref(m, ref->name, &now) && git_oid_equal(&now, git_commit_id(commit)))
		return 0;
	if (git_reference_create(&moved, m->repo, ref->name, git_commit_id(commit), 1, NULL) < 0)
		return git_fail(err, "write '%s' in '%s'", ref->name, m->path);
	return 0;
}

static int remove_gone(const struct call *call, const struct remote_refs *refs, const char *own_ref,
		       struct err *err)
{
	CLEANUP(ref_iterator_freep) git_reference_iterator *iter = NULL;
	AUTO_FREE char *glob = xasprintf(STATUS_PREFIX "%s/*", call->remote->cluster);
	const char *name;
	int rc;

	/* The rest of a list that was cut off is not gone. */
	if (refs->n >= REFS_MAX)
		return 0;
	if (git_reference_iterator_glob_new(&iter, call->m->repo, glob) < 0)
		return git_fail(err, "list the refs of '%s'", call->m->path);
	while ((rc = git_reference_next_name(&name, iter)) == 0) {
		if (remote_refs_find(refs, name) || (own_ref && strcmp(name, own_ref) == 0))
			continue;
		if (git_reference_remove(call->m->repo, name) < 0)
			return git_fail(err, "remove '%s' from '%s'", name, call->m->path);
	}
	if (rc != GIT_ITEROVER)
		return git_fail(err, "list the refs of '%s'", call->m->path);
	return 0;
}

static int apply_refs(const struct call *call, const struct remote_refs *refs, const char *own_ref,
		      struct err *err)
{
	CLEANUP(odb_freep) git_odb *odb = NULL;
	git_oid own;

	if (git_repository_odb(&odb, call->m->repo) < 0 || git_odb_refresh(odb) < 0)
		return git_fail(err, "read '%s'", call->m->path);
	for (size_t i = 0; i < refs->n; i++) {
		const struct remote_ref *ref = &refs->v[i];

		if (own_ref && strcmp(ref->name, own_ref) == 0 && local_ref(call->m, own_ref, &own))
			continue;
		if (move_ref(call, ref, err) < 0)
			return -1;
	}
	return remove_gone(call, refs, own_ref, err);
}

static int fetch_once(struct mirror *m, const struct remote *remote, const char *own_ref,
		      struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(call_release) struct call call = {0};
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_LIMITED(OUTPUT_MAX);
	struct remote_refs refs = {.pool = pool};

	if (call_init(&call, m, remote, err) < 0)
		return -1;
	if (run_call(&call, fetch_in_child, &out, err) < 0) {
		if (m->own) {
			mirror_sweep(m->path);
			m->damaged = !mirror_is_sound(m);
		}
		return -1;
	}
	if (parse_refs(&call, &out, &refs, err) < 0)
		return -1;
	return apply_refs(&call, &refs, own_ref, err);
}

int remote_fetch(struct mirror *m, const struct remote *remote, const char *own_ref,
		 struct err *err)
{
	struct err again = {0};

	if (mirror_heal(m, err) < 0)
		return -1;
	if (fetch_once(m, remote, own_ref, err) == 0)
		return 0;
	/* Everything in a damaged mirror can be fetched once more. */
	if (!m->damaged || mirror_heal(m, &again) < 0)
		return -1;
	err_clear(err);
	return fetch_once(m, remote, own_ref, err);
}

int remote_push(struct mirror *m, const struct remote *remote, const char *ref, struct err *err)
{
	CLEANUP(call_release) struct call call = {0};
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_LIMITED(OUTPUT_MAX);
	git_oid id;

	if (call_init(&call, m, remote, err) < 0)
		return -1;
	if (strncmp(ref, HEADS_PREFIX, strlen(HEADS_PREFIX)) != 0 ||
	    git_reference_is_valid_name(ref) != 1)
		return err_set(err, ERR_GIT, "'%s' is no ref to push", ref);
	if (!local_ref(m, ref, &id))
		return git_fail(err, "read '%s' in '%s'", ref, m->path);
	call.push_ref = ref;
	return run_call(&call, push_in_child, &out, err);
}
