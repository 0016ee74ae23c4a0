/*
 * Talk with remotes, the agent's side: a worker (gitsync/worker.h) lists, fetches or pushes, and
 * hands back lines "ID NAME", which are taken as a stranger's word: they are checked, it is looked
 * whether the objects arrived, and then the refs are moved.
 */
#include <fcntl.h>
#include <git2.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "gitsync/credentials.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/ls_refs.h"
#include "gitsync/mirror.h"
#include "gitsync/poll.h"
#include "gitsync/refs.h"
#include "gitsync/take_over.h"
#include "gitsync/url.h"
#include "gitsync/worker.h"
#include "gitsync/worker_internal.h"

#define OID_LEN (GIT_OID_HEX - 1)
/* The branch and the status refs, and an own ref. */
#define REFS_MAX (LS_REFS_MAX + 2)
/* Of the mirror's commits, how many are named to a server at most. */
#define HAVES_MAX 256
/* The branch is named so far back, at growing distances: enough for a force-push. */
#define BRANCH_DEPTH 256
#define FOLDER_SUFFIX ".incoming"
/* A push may go on while something is fetched. */
#define PUSH_FOLDER_SUFFIX ".outgoing"
/* And the status refs, too. */
#define STATUS_FOLDER_SUFFIX ".status"

/* One operation. */
struct call {
	struct mirror *m;
	const struct remote *remote;
	struct pool *pool;
	struct url_parts url;
	char *shown;            /* as a message may show it */
	const char *branch_ref; /* NULL: the branch is none of its business */
	bool takes_pack;
	bool pushes;
	json_t *request;
	struct worker_folder folder;
	int objects_fd;
};

static void call_release(struct call *call)
{
	free(call->shown);
	json_decref(call->request);
	worker_folder_close(&call->folder);
	cleanup_close(&call->objects_fd);
	pool_free(call->pool);
}

#define CALL_INIT                                                                                  \
	{                                                                                          \
		.folder = WORKER_FOLDER_INIT, .objects_fd = -1                                     \
	}

static int open_objects(struct call *call, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/objects", call->m->path);

	call->objects_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return call->objects_fd < 0 ? err_errno(err, "open '%s'", path) : 0;
}

/* A local repository is nobody's word from afar: it is read and written by whoever owns it. */
static void choose_user(const struct call *call, uid_t *ret_uid, gid_t *ret_gid)
{
	struct stat st;

	worker_user(ret_uid, ret_gid);
	if (call->url.scheme == URL_FILE && geteuid() == 0 && stat(call->url.path, &st) == 0) {
		*ret_uid = st.st_uid;
		*ret_gid = st.st_gid;
	}
}

/* Only where there is something to be put into it: a poll that finds nothing new writes nothing. */
static int open_folder(struct call *call, struct err *err)
{
	AUTO_FREE char *path =
		xasprintf("%s%s", call->m->path,
			  call->pushes                          ? PUSH_FOLDER_SUFFIX
			  : call->remote->part == REMOTE_STATUS ? STATUS_FOLDER_SUFFIX
								: FOLDER_SUFFIX);
	uid_t uid;
	gid_t gid;

	choose_user(call, &uid, &gid);
	if (call->takes_pack || call->url.scheme == URL_SSH)
		return worker_folder_open(path, uid, gid, &call->folder, err);
	call->folder.uid = uid;
	call->folder.gid = gid;
	return 0;
}

static bool wants_own(const struct call *call)
{
	return call->remote->own_ref && call->remote->part != REMOTE_BRANCH;
}

static bool wants_peers(const struct call *call)
{
	return call->remote->peers && call->remote->part != REMOTE_BRANCH;
}

static bool is_branch(const struct call *call, const char *name)
{
	return call->branch_ref && strcmp(name, call->branch_ref) == 0;
}

/* For struct ls_refs; `arg` is the call. */
static enum ref_interest call_wants(const void *arg, const char *name)
{
	const struct call *call = arg;

	if (is_branch(call, name) || (wants_own(call) && strcmp(name, call->remote->own_ref) == 0))
		return REF_NEEDED;
	return wants_peers(call) && is_status_ref(name, STATUS_PREFIX, call->remote->cluster)
		       ? REF_WANTED
		       : REF_IGNORED;
}

static int fill_request(struct call *call, struct err *err)
{
	const struct remote *remote = call->remote;

	call->request = json_pack("{s:s,s:s,s:b}", "url", remote->url, "cluster", remote->cluster,
				  "peers", wants_peers(call));
	if (!call->request)
		return err_set(err, ERR_CONFIG, "'%s' is no text", call->shown);
	if (call->branch_ref)
		json_object_set_new(call->request, "branch", json_string(remote->branch));
	if (wants_own(call))
		json_object_set_new(call->request, "own_ref", json_string(remote->own_ref));
	return credentials_add(remote, call->url.scheme, call->request, &call->folder, err);
}

static int call_parse(struct call *call, struct mirror *m, const struct remote *remote,
		      struct err *err)
{
	call->pool = pool_new();
	call->m = m;
	call->remote = remote;
	if (url_parse(remote->url, call->pool, &call->url, err) < 0)
		return -1;
	if (!is_branch_name(remote->branch))
		return err_set(err, ERR_CONFIG, "'%s' is no name of a branch", remote->branch);
	if (!is_name(remote->cluster))
		return err_set(err, ERR_CONFIG, "'%s' is no name of a cluster", remote->cluster);
	call->shown = url_shown(remote->url);
	if (remote->part != REMOTE_STATUS)
		call->branch_ref = pool_printf(call->pool, HEADS_PREFIX "%s", remote->branch);
	return 0;
}

/* What a worker needs. */
static int call_prepare(struct call *call, struct err *err)
{
	if (open_objects(call, err) < 0 || open_folder(call, err) < 0)
		return -1;
	return fill_request(call, err);
}

static int call_init(struct call *call, struct mirror *m, const struct remote *remote,
		     struct err *err)
{
	return call_parse(call, m, remote, err) < 0 ? -1 : call_prepare(call, err);
}

static int run_operation(struct call *call, const char *operation, struct strbuf *answer,
			 struct err *err)
{
	const struct worker_call worker = {
		.operation = operation,
		.request = call->request,
		.folder = &call->folder,
		.objects_fd = call->objects_fd,
		.deadline_ms = call->remote->deadline_ms,
	};

	if (worker_run(&worker, answer, err) == 0)
		return 0;
	return strstr(err->msg, call->shown) ? -1 : err_wrap(err, "'%s'", call->shown);
}

/* One line without its newline: "ID NAME". */
static bool parse_line(const struct call *call, char *line, struct pool *pool,
		       struct remote_ref *ret)
{
	const char *name = line + OID_LEN + 1;

	if (!is_oid_text(line) || line[OID_LEN] != ' ')
		return false;
	if (call_wants(call, name) == REF_IGNORED)
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
	ret->cut_off = false;
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (strcmp(line, WORKER_CUT_OFF) == 0) {
			ret->cut_off = true;
			continue;
		}
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

static void take_refs(const struct ls_refs *from, struct remote_refs *ret)
{
	ret->v = pool_calloc(ret->pool, from->n + 1, sizeof(*ret->v));
	ret->n = from->n;
	ret->cut_off = from->cut_off;
	for (size_t i = 0; i < from->n; i++) {
		ret->v[i].name = pool_strdup(ret->pool, from->v[i].name);
		memcpy(ret->v[i].oid, from->v[i].oid, GIT_OID_HEX);
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
}

/* On the kept connection: 1 done, 0 a worker shall do it, -1. */
static int poll_here(struct call *call, struct remote_refs *ret, struct err *err)
{
	const struct remote *remote = call->remote;
	CLEANUP(ls_refs_release) struct ls_refs refs = {.wants = call_wants, .arg = call};
	const char *prefixes[3];
	size_t n = 0;
	int rc;

	if (!remote->poller || call->url.scheme != URL_HTTPS)
		return 0;
	if (call->branch_ref)
		prefixes[n++] = call->branch_ref;
	if (wants_own(call))
		prefixes[n++] = remote->own_ref;
	if (wants_peers(call))
		prefixes[n++] = pool_printf(call->pool, STATUS_PREFIX "%s/", remote->cluster);
	rc = poller_ask(remote->poller, remote, prefixes, n, &refs, err);
	if (rc > 0)
		take_refs(&refs, ret);
	return rc < 0 ? err_wrap(err, "'%s'", call->shown) : rc;
}

int remote_poll(struct mirror *m, const struct remote *remote, struct remote_refs *ret,
		struct err *err)
{
	int here;
	CLEANUP(call_release) struct call call = CALL_INIT;
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;

	if (mirror_heal(m, err) < 0 || call_parse(&call, m, remote, err) < 0)
		return -1;
	here = poll_here(&call, ret, err);
	if (here != 0)
		return here < 0 ? -1 : 0;
	if (call_prepare(&call, err) < 0 || run_operation(&call, "list", &answer, err) < 0)
		return -1;
	return parse_refs(&call, &answer, ret, err);
}

/* Gives the id of a ref that the mirror has. One that cannot be read counts as none: it is
 * written anew. */
static bool local_ref(struct mirror *m, const char *name, git_oid *ret)
{
	return git_reference_name_to_id(ret, m->repo, name) == 0;
}

/* 1: moved, or made; 0: it is there already, or is none to have; -1. */
static int move_ref(const struct call *call, const struct remote_ref *ref, struct err *err)
{
	struct mirror *m = call->m;
	CLEANUP(commit_freep) git_commit *commit = NULL;
	CLEANUP(ref_freep) git_reference *moved = NULL;
	git_oid now;

	if (commit_lookup(m, ref->oid, &commit, err) < 0) {
		/* A stranger's status ref may point at anything. The branch must be a commit. */
		if (!is_branch(call, ref->name)) {
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
	return 1;
}

/* 1: some were removed. */
static int remove_gone(const struct call *call, const struct remote_refs *refs, const char *own_ref,
		       struct err *err)
{
	CLEANUP(ref_iterator_freep) git_reference_iterator *iter = NULL;
	AUTO_FREE char *glob = xasprintf(STATUS_PREFIX "%s/*", call->remote->cluster);
	const char *name;
	int rc, removed = 0;

	/* The rest of a list that was cut off, or not asked for, is not gone. */
	if (refs->cut_off || !wants_peers(call))
		return 0;
	if (git_reference_iterator_glob_new(&iter, call->m->repo, glob) < 0)
		return git_fail(err, "list the refs of '%s'", call->m->path);
	while ((rc = git_reference_next_name(&name, iter)) == 0) {
		if (remote_refs_find(refs, name) || (own_ref && strcmp(name, own_ref) == 0))
			continue;
		if (git_reference_remove(call->m->repo, name) < 0)
			return git_fail(err, "remove '%s' from '%s'", name, call->m->path);
		removed = 1;
	}
	if (rc != GIT_ITEROVER)
		return git_fail(err, "list the refs of '%s'", call->m->path);
	return removed;
}

static bool leaves_own(const struct call *call, const char *own_ref)
{
	git_oid own;

	return call->remote->part == REMOTE_STATUS || local_ref(call->m, own_ref, &own);
}

/* 1: some ref is another one than before. */
static int apply_refs(const struct call *call, const struct remote_refs *refs, const char *own_ref,
		      struct err *err)
{
	CLEANUP(odb_freep) git_odb *odb = NULL;
	int moved = 0, removed;

	if (git_repository_odb(&odb, call->m->repo) < 0 || git_odb_refresh(odb) < 0)
		return git_fail(err, "read '%s'", call->m->path);
	for (size_t i = 0; i < refs->n; i++) {
		const struct remote_ref *ref = &refs->v[i];

		int rc;

		if (own_ref && strcmp(ref->name, own_ref) == 0 && leaves_own(call, own_ref))
			continue;
		rc = move_ref(call, ref, err);
		if (rc < 0)
			return -1;
		moved |= rc;
	}
	removed = remove_gone(call, refs, own_ref, err);
	return removed < 0 ? -1 : moved | removed;
}

static void revwalk_freep(git_revwalk **p)
{
	git_revwalk_free(*p);
}

static void add_have(json_t *haves, const git_oid *id)
{
	char oid[GIT_OID_HEX];

	git_oid_tostr(oid, sizeof(oid), id);
	json_array_append_new(haves, json_string(oid));
}

/* The branch's commits, one, two, four, ... back. */
static void add_branch_haves(const struct call *call, json_t *haves)
{
	CLEANUP(revwalk_freep) git_revwalk *walk = NULL;
	git_oid id;

	if (!call->branch_ref || !local_ref(call->m, call->branch_ref, &id) ||
	    git_revwalk_new(&walk, call->m->repo) < 0 || git_revwalk_push(walk, &id) < 0)
		return;
	git_revwalk_simplify_first_parent(walk);
	for (size_t i = 0; i <= BRANCH_DEPTH && git_revwalk_next(&id, walk) == 0; i++) {
		if ((i & (i - 1)) == 0)
			add_have(haves, &id);
	}
}

/* What the mirror has; not knowing it makes a fetch larger, and not wrong. */
static json_t *list_haves(const struct call *call)
{
	CLEANUP(ref_iterator_freep) git_reference_iterator *iter = NULL;
	json_t *haves = json_array();
	const char *name;
	git_oid id;

	add_branch_haves(call, haves);
	/* A server is not told of what another one has. */
	if (call->remote->part == REMOTE_BRANCH)
		return haves;
	if (git_reference_iterator_glob_new(&iter, call->m->repo, STATUS_PREFIX "*") < 0)
		return haves;
	while (json_array_size(haves) < HAVES_MAX && git_reference_next_name(&name, iter) == 0) {
		if (local_ref(call->m, name, &id))
			add_have(haves, &id);
	}
	return haves;
}

/* Names the pack's objects, looks whether it is whole, and takes it into the mirror. */
static int take_pack(struct call *call, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;
	int has_pack = worker_folder_has_pack(&call->folder, err);

	if (has_pack <= 0)
		return has_pack;
	if (run_operation(call, "index", &answer, err) < 0)
		return -1;
	strbuf_trim(&answer);
	return take_over_pack(call->m, call->objects_fd, &call->folder, answer.buf, err);
}

/* The refs that the server has, with the mirror as it is then: 1 where a ref of it moved. */
static int fetch_once(struct mirror *m, const struct remote *remote, const char *own_ref,
		      struct remote_refs *ret, struct err *err)
{
	CLEANUP(call_release) struct call call = CALL_INIT;
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;
	struct remote whole = *remote;

	whole.peers = remote->peers || remote->part == REMOTE_ALL;
	if (own_ref)
		whole.own_ref = own_ref;
	call.takes_pack = true;
	if (call_init(&call, m, &whole, err) < 0)
		return -1;
	json_object_set_new(call.request, "haves", list_haves(&call));
	if (run_operation(&call, "fetch", &answer, err) < 0 || take_pack(&call, err) < 0) {
		if (m->own)
			m->damaged = !mirror_is_sound(m);
		return -1;
	}
	if (parse_refs(&call, &answer, ret, err) < 0)
		return -1;
	return apply_refs(&call, ret, own_ref, err);
}

int remote_fetch(struct mirror *m, const struct remote *remote, const char *own_ref,
		 struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct remote_refs refs = {.pool = pool};
	struct err again = {0};

	if (mirror_heal(m, err) < 0)
		return -1;
	if (fetch_once(m, remote, own_ref, &refs, err) >= 0)
		return 0;
	/* Everything in a damaged mirror can be fetched once more. */
	if (!m->damaged || mirror_heal(m, &again) < 0)
		return -1;
	err_clear(err);
	return fetch_once(m, remote, own_ref, &refs, err) < 0 ? -1 : 0;
}

int remote_fetch_status(struct mirror *m, const struct remote *remote, struct status_found *ret,
			struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct remote_refs refs = {.pool = pool};
	struct remote part = *remote;
	const char *own;
	int moved;

	part.part = REMOTE_STATUS;
	moved = fetch_once(m, &part, remote->own_ref, &refs, err);
	if (moved < 0)
		return -1;
	own = remote->own_ref ? remote_refs_find(&refs, remote->own_ref) : NULL;
	ret->own[0] = '\0';
	if (own)
		memcpy(ret->own, own, GIT_OID_HEX);
	ret->moved = moved > 0;
	return 0;
}

bool remote_is_same_host(const char *url, const char *other)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct url_parts a, b;
	struct err ignored;

	return url_parse(url, pool, &a, &ignored) == 0 &&
	       url_parse(other, pool, &b, &ignored) == 0 && a.scheme == b.scheme &&
	       strcasecmp(a.host, b.host) == 0 && strcmp(a.port, b.port) == 0;
}

int remote_push(struct mirror *m, const struct remote *remote, const char *ref, struct err *err)
{
	CLEANUP(call_release) struct call call = CALL_INIT;
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;
	char oid[GIT_OID_HEX];
	git_oid id;

	call.pushes = true;
	if (call_init(&call, m, remote, err) < 0)
		return -1;
	if (strncmp(ref, HEADS_PREFIX, strlen(HEADS_PREFIX)) != 0 ||
	    git_reference_is_valid_name(ref) != 1)
		return err_set(err, ERR_GIT, "'%s' is no ref to push", ref);
	if (!local_ref(m, ref, &id))
		return git_fail(err, "read '%s' in '%s'", ref, m->path);
	git_oid_tostr(oid, sizeof(oid), &id);
	json_object_set_new(call.request, "ref", json_string(ref));
	json_object_set_new(call.request, "oid", json_string(oid));
	return run_operation(&call, "push", &answer, err);
}
