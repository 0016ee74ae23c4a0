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

/* One operation. */
struct call {
	struct mirror *m;
	const struct remote *remote;
	struct pool *pool;
	struct url_parts url;
	char *shown; /* as a message may show it */
	const char *branch_ref;
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
		xasprintf("%s%s", call->m->path, call->pushes ? PUSH_FOLDER_SUFFIX : FOLDER_SUFFIX);
	uid_t uid;
	gid_t gid;

	choose_user(call, &uid, &gid);
	if (call->takes_pack || call->url.scheme == URL_SSH)
		return worker_folder_open(path, uid, gid, &call->folder, err);
	call->folder.uid = uid;
	call->folder.gid = gid;
	return 0;
}

static int fill_request(struct call *call, struct err *err)
{
	const struct remote *remote = call->remote;

	call->request = json_pack("{s:s,s:s,s:s,s:b}", "url", remote->url, "branch", remote->branch,
				  "cluster", remote->cluster, "peers", remote->peers);
	if (!call->request)
		return err_set(err, ERR_CONFIG, "'%s' is no text", call->shown);
	if (remote->own_ref)
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
	if (strcmp(name, call->branch_ref) != 0 &&
	    (!call->remote->own_ref || strcmp(name, call->remote->own_ref) != 0) &&
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

/* For struct ls_refs; `arg` is the call. */
static enum ref_interest call_wants(const void *arg, const char *name)
{
	const struct call *call = arg;
	const struct remote *remote = call->remote;

	if (strcmp(name, call->branch_ref) == 0 ||
	    (remote->own_ref && strcmp(name, remote->own_ref) == 0))
		return REF_NEEDED;
	return remote->peers && is_status_ref(name, STATUS_PREFIX, remote->cluster) ? REF_WANTED
										    : REF_IGNORED;
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
	const char *prefixes[3] = {call->branch_ref};
	size_t n = 1;
	int rc;

	if (!remote->poller || call->url.scheme != URL_HTTPS)
		return 0;
	if (remote->own_ref)
		prefixes[n++] = remote->own_ref;
	if (remote->peers)
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
	if (refs->cut_off)
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

	if (!local_ref(call->m, call->branch_ref, &id) ||
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
	return take_over_pack(call->m, &call->folder, answer.buf, err);
}

static int fetch_once(struct mirror *m, const struct remote *remote, const char *own_ref,
		      struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(call_release) struct call call = CALL_INIT;
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;
	struct remote_refs refs = {.pool = pool};
	struct remote whole = *remote;

	whole.peers = true;
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
	if (parse_refs(&call, &answer, &refs, err) < 0)
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
