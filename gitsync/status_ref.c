#include "gitsync/status_ref.h"

#include <git2.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/parse.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/refs.h"

struct entries {
	struct status_entry *v;
	size_t n, alloc;
};

static void entries_release(struct entries *entries)
{
	free(entries->v);
}

static void treebuilder_freep(git_treebuilder **p)
{
	git_treebuilder_free(*p);
}

static void signature_freep(git_signature **p)
{
	git_signature_free(*p);
}

const char *status_ref_name(struct pool *pool, const char *cluster, const char *node)
{
	return pool_printf(pool, STATUS_PREFIX "%s/%s", cluster, node);
}

/* --- writing ------------------------------------------------------------------------- */

/* A tree that holds nothing but status.json. */
static int write_tree(struct mirror *m, const char *json, size_t len, git_oid *ret, struct err *err)
{
	CLEANUP(treebuilder_freep) git_treebuilder *builder = NULL;
	git_oid blob;

	if (git_blob_create_from_buffer(&blob, m->repo, json, len) < 0 ||
	    git_treebuilder_new(&builder, m->repo, NULL) < 0 ||
	    git_treebuilder_insert(NULL, builder, STATUS_FILE, &blob, GIT_FILEMODE_BLOB) < 0 ||
	    git_treebuilder_write(ret, builder) < 0)
		return git_fail(err, "write " STATUS_FILE " to '%s'", m->path);
	return 0;
}

/* What a commit is written with besides its own. */
struct writer {
	struct mirror *m;
	const struct status_signer *signer; /* NULL: not signed */
};

static int write_signed(const struct writer *w, const git_tree *tree, const git_commit *parent,
			const git_signature *author, const char *message, git_oid *ret,
			struct err *err)
{
	const git_commit *parents[1] = {parent};
	CLEANUP(strbuf_release) struct strbuf signature = STRBUF_INIT;
	CLEANUP(git_buf_dispose) git_buf text = {0};

	if (git_commit_create_buffer(&text, w->m->repo, author, author, NULL, message, tree,
				     parent ? 1 : 0, parents) < 0)
		return git_fail(err, "write a status commit to '%s'", w->m->path);
	if (w->signer->sign(w->signer->arg, text.ptr, text.size, &signature, err) < 0)
		return err_wrap(err, "sign the status");
	strbuf_trim(&signature);
	if (git_commit_create_with_signature(ret, w->m->repo, text.ptr, signature.buf, "gpgsig") <
	    0)
		return git_fail(err, "write a status commit to '%s'", w->m->path);
	return 0;
}

static int write_commit(const struct writer *w, const git_oid *tree_id, const git_oid *parent_id,
			const git_signature *author, const char *message, git_oid *ret,
			struct err *err)
{
	struct mirror *m = w->m;
	CLEANUP(tree_freep) git_tree *tree = NULL;
	CLEANUP(commit_freep) git_commit *parent = NULL;
	const git_commit *parents[1];

	if (git_tree_lookup(&tree, m->repo, tree_id) < 0 ||
	    (parent_id && git_commit_lookup(&parent, m->repo, parent_id) < 0))
		return git_fail(err, "read the status in '%s'", m->path);
	if (w->signer)
		return write_signed(w, tree, parent, author, message, ret, err);
	parents[0] = parent;
	if (git_commit_create(ret, m->repo, NULL, author, author, NULL, message, tree,
			      parent ? 1 : 0, parents) < 0)
		return git_fail(err, "write a status commit to '%s'", m->path);
	return 0;
}

/* The ids from tip backwards, newest first, at most `most`. Ends early where a parent is not there.
 */
static size_t list_history(struct mirror *m, const git_oid *tip, size_t most, git_oid *ret)
{
	git_oid id = *tip;
	size_t n = 0;

	while (n < most) {
		CLEANUP(commit_freep) git_commit *commit = NULL;

		if (git_commit_lookup(&commit, m->repo, &id) < 0)
			break;
		ret[n++] = id;
		if (git_commit_parentcount(commit) == 0)
			break;
		id = *git_commit_parent_id(commit, 0);
	}
	return n;
}

/* Writes the newest n commits anew, the oldest of them on top of `onto`, or without a parent where that is NULL. */
static int rewrite(const struct writer *w, const git_oid *history, size_t n, const git_oid *onto,
		   git_oid *ret_tip, struct err *err)
{
	struct mirror *m = w->m;

	for (size_t i = n; i-- > 0;) {
		CLEANUP(commit_freep) git_commit *commit = NULL;
		git_oid parent = *ret_tip;

		if (git_commit_lookup(&commit, m->repo, &history[i]) < 0)
			return git_fail(err, "read the status in '%s'", m->path);
		if (write_commit(w, git_commit_tree_id(commit), i + 1 < n ? &parent : onto,
				 git_commit_author(commit), git_commit_message(commit), ret_tip,
				 err) < 0)
			return -1;
	}
	return 0;
}

/* The commit that the next one follows: the tip, or the tip of a history that was cut to keep - 1.
 * 1 where there is one, 0 for none. */
static int choose_parent(const struct writer *w, const git_oid *tip, size_t keep, git_oid *ret,
			 struct err *err)
{
	size_t most = keep + keep / 4;
	AUTO_FREE git_oid *history = NULL;
	size_t n;

	*ret = *tip;
	if (keep == 0)
		return 1;
	history = xcalloc(most, sizeof(*history));
	n = list_history(w->m, tip, most, history);
	if (n == 0)
		return 0;
	if (n < most)
		return 1;
	if (keep == 1)
		return 0;
	return rewrite(w, history, keep - 1, NULL, ret, err) < 0 ? -1 : 1;
}

static int check_names(const char *cluster, const char *node, struct err *err)
{
	if (!is_name(cluster))
		return err_set(err, ERR_CONFIG, "'%s' is no name of a cluster", cluster);
	if (!is_name(node))
		return err_set(err, ERR_CONFIG, "'%s' is no name of a node", node);
	return 0;
}

/* Makes the commit and gives its id; old is the ref's, or NULL where there is no ref yet. */
static int make_commit(const struct writer *w, const git_oid *old, const git_signature *author,
		       const char *json, size_t len, const char *message, size_t keep, git_oid *ret,
		       struct err *err)
{
	AUTO_FREE char *text = xasprintf("%s\n", message);
	git_oid tree, parent;
	int has_parent = 0;

	if (write_tree(w->m, json, len, &tree, err) < 0)
		return -1;
	if (old)
		has_parent = choose_parent(w, old, keep, &parent, err);
	if (has_parent < 0)
		return -1;
	return write_commit(w, &tree, has_parent ? &parent : NULL, author, text, ret, err);
}

int status_ref_commit(struct mirror *m, const char *cluster, const char *node, const char *json,
		      size_t len, const char *message, int64_t time_s, int64_t keep,
		      const struct status_signer *signer, struct err *err)
{
	const struct writer writer = {m, signer};
	AUTO_FREE char *name = xasprintf(STATUS_PREFIX "%s/%s", cluster, node);
	AUTO_FREE char *email = xasprintf("%s@%s.dynia.invalid", node, cluster);
	CLEANUP(signature_freep) git_signature *author = NULL;
	CLEANUP(ref_freep) git_reference *ref = NULL;
	git_oid old, id;
	int rc;

	if (check_names(cluster, node, err) < 0)
		return -1;
	rc = git_reference_name_to_id(&old, m->repo, name);
	if (rc < 0 && rc != GIT_ENOTFOUND)
		return git_fail(err, "read '%s' in '%s'", name, m->path);
	if (git_signature_new(&author, node, email, time_s, 0) < 0)
		return git_fail(err, "write a status commit to '%s'", m->path);
	if (make_commit(&writer, rc == 0 ? &old : NULL, author, json, len, message,
			keep > 0 ? (size_t)keep : 0, &id, err) < 0)
		return -1;
	if (git_reference_create_matching(&ref, m->repo, name, &id, rc == 0, rc == 0 ? &old : NULL,
					  NULL) < 0)
		return git_fail(err, "write '%s' in '%s'", name, m->path);
	return 0;
}

/* --- what the server has ------------------------------------------------------------- */

#define PUSHED_PREFIX "refs/dynia/pushed/"
#define URL_DIGITS 16

static char *pushed_name(const char *url, const char *cluster, const char *node)
{
	char digest[SHA256_HEX_SIZE];

	sha256_hex(url, strlen(url), digest);
	return xasprintf(PUSHED_PREFIX "%.*s/%s/%s", URL_DIGITS, digest, cluster, node);
}

void status_ref_pushed(struct mirror *m, const char *url, const char *cluster, const char *node,
		       char ret_oid[GIT_OID_HEX])
{
	AUTO_FREE char *name = pushed_name(url, cluster, node);
	git_oid id;

	ret_oid[0] = '\0';
	if (git_reference_name_to_id(&id, m->repo, name) == 0)
		git_oid_tostr(ret_oid, GIT_OID_HEX, &id);
}

static int set_ref(struct mirror *m, const char *name, const char *oid, struct err *err)
{
	CLEANUP(commit_freep) git_commit *commit = NULL;
	CLEANUP(ref_freep) git_reference *ref = NULL;

	if (commit_lookup(m, oid, &commit, err) < 0)
		return -1;
	if (git_reference_create(&ref, m->repo, name, git_commit_id(commit), 1, NULL) < 0)
		return git_fail(err, "write '%s' in '%s'", name, m->path);
	return 0;
}

int status_ref_set_pushed(struct mirror *m, const char *url, const char *cluster, const char *node,
			  const char *oid, struct err *err)
{
	AUTO_FREE char *name = pushed_name(url, cluster, node);

	if (check_names(cluster, node, err) < 0)
		return -1;
	if (oid[0])
		return set_ref(m, name, oid, err);
	return git_reference_remove(m->repo, name) < 0
		       ? git_fail(err, "remove '%s' from '%s'", name, m->path)
		       : 0;
}

int status_ref_rebase(struct mirror *m, const char *cluster, const char *node, const char *onto,
		      int64_t keep, const struct status_signer *signer, struct err *err)
{
	const struct writer writer = {m, signer};
	AUTO_FREE char *name = xasprintf(STATUS_PREFIX "%s/%s", cluster, node);
	AUTO_FREE git_oid *history = NULL;
	size_t most = keep > 0 ? (size_t)keep : 1;
	char oid[GIT_OID_HEX];
	git_oid tip, below;
	size_t n;

	if (check_names(cluster, node, err) < 0)
		return -1;
	if (git_oid_fromstr(&below, onto) < 0 || git_reference_name_to_id(&tip, m->repo, name) < 0)
		return git_fail(err, "read '%s' in '%s'", name, m->path);
	history = xcalloc(most, sizeof(*history));
	n = list_history(m, &tip, most, history);
	if (rewrite(&writer, history, n, &below, &tip, err) < 0)
		return -1;
	git_oid_tostr(oid, sizeof(oid), &tip);
	return set_ref(m, name, oid, err);
}

int status_ref_adopt(struct mirror *m, const char *cluster, const char *node, const char *oid,
		     struct err *err)
{
	AUTO_FREE char *name = xasprintf(STATUS_PREFIX "%s/%s", cluster, node);

	return check_names(cluster, node, err) < 0 ? -1 : set_ref(m, name, oid, err);
}

/* --- reading ------------------------------------------------------------------------- */

static void fill_entry(const git_commit *commit, struct pool *pool, struct status_entry *ret)
{
	struct commit_info info;

	commit_info_fill(commit, pool, &info);
	git_oid_tostr(ret->oid, sizeof(ret->oid), git_commit_id(commit));
	ret->time_s = info.time_s;
	ret->subject = info.subject;
}

/* Adds the ref's newest commit; what is no commit is left out. */
static void add_ref(struct mirror *m, const git_reference *ref, const char *prefix,
		    struct pool *pool, struct entries *entries)
{
	CLEANUP(commit_freep) git_commit *commit = NULL;
	struct status_entry *entry;

	if (git_reference_type(ref) != GIT_REFERENCE_DIRECT ||
	    git_commit_lookup(&commit, m->repo, git_reference_target(ref)) < 0)
		return;
	GROW(entries->v, entries->n, entries->alloc);
	entry = &entries->v[entries->n++];
	status_ref_split(git_reference_name(ref), prefix, pool, &entry->cluster, &entry->node);
	fill_entry(commit, pool, entry);
}

static int add_refs(struct mirror *m, const char *prefix, const char *cluster, struct pool *pool,
		    struct entries *entries, struct err *err)
{
	CLEANUP(ref_iterator_freep) git_reference_iterator *iter = NULL;
	AUTO_FREE char *glob = xasprintf("%s*", prefix);
	int rc = git_reference_iterator_glob_new(&iter, m->repo, glob);

	while (rc == 0) {
		CLEANUP(ref_freep) git_reference *ref = NULL;

		rc = git_reference_next(&ref, iter);
		if (rc == 0 && is_status_ref(git_reference_name(ref), prefix, cluster))
			add_ref(m, ref, prefix, pool, entries);
	}
	if (rc != GIT_ITEROVER)
		return git_fail(err, "list the refs of '%s'", m->path);
	return 0;
}

/* By cluster, then node; of one node the newer first. */
static int by_node(const void *a, const void *b)
{
	const struct status_entry *x = a, *y = b;
	int order = strcmp(x->cluster, y->cluster);

	if (order == 0)
		order = strcmp(x->node, y->node);
	if (order == 0)
		order = (x->time_s < y->time_s) - (x->time_s > y->time_s);
	return order;
}

static bool is_same_node(const struct status_entry *a, const struct status_entry *b)
{
	return strcmp(a->cluster, b->cluster) == 0 && strcmp(a->node, b->node) == 0;
}

int status_ref_list(struct mirror *m, const char *cluster, struct pool *pool,
		    struct status_entries *ret, struct err *err)
{
	CLEANUP(entries_release) struct entries entries = {0};

	if (add_refs(m, STATUS_PREFIX, cluster, pool, &entries, err) < 0 ||
	    add_refs(m, STATUS_PREFIX_CLONE, cluster, pool, &entries, err) < 0)
		return -1;
	ret->v = pool_calloc(pool, entries.n, sizeof(*ret->v));
	ret->n = 0;
	if (entries.n)
		qsort(entries.v, entries.n, sizeof(*entries.v), by_node);
	for (size_t i = 0; i < entries.n; i++) {
		if (i == 0 || !is_same_node(&entries.v[i - 1], &entries.v[i]))
			ret->v[ret->n++] = entries.v[i];
	}
	return 0;
}

int status_ref_read(struct mirror *m, const char *oid, struct pool *pool, const char **ret_json,
		    size_t *ret_len, struct err *err)
{
	CLEANUP(commit_freep) git_commit *commit = NULL;
	CLEANUP(tree_freep) git_tree *tree = NULL;
	const git_tree_entry *entry;
	int rc;

	if (commit_lookup(m, oid, &commit, err) < 0)
		return -1;
	if (git_commit_tree(&tree, commit) < 0)
		return git_fail(err, "read the files of commit %s", oid);
	entry = git_tree_entry_byname(tree, STATUS_FILE);
	rc = entry ? blob_read(m, entry, STATUS_FILE, STATUS_SIZE_MAX, pool, ret_json, ret_len, err)
		   : 0;
	if (rc == 0)
		return err_set(err, ERR_GIT, "commit %s holds no " STATUS_FILE, oid);
	return rc < 0 ? err_wrap(err, "commit %s", oid) : 0;
}

int status_ref_log(struct mirror *m, const char *cluster, const char *node, size_t most,
		   struct pool *pool, struct status_entries *ret, struct err *err)
{
	struct status_entries tips;
	CLEANUP(entries_release) struct entries entries = {0};
	CLEANUP(commit_freep) git_commit *commit = NULL;

	ret->n = 0;
	if (check_names(cluster, node, err) < 0 ||
	    status_ref_list(m, cluster, pool, &tips, err) < 0)
		return -1;
	for (size_t i = 0; i < tips.n && !commit; i++) {
		if (strcmp(tips.v[i].node, node) == 0 &&
		    commit_lookup(m, tips.v[i].oid, &commit, err) < 0)
			return -1;
	}
	while (commit && entries.n < most) {
		git_commit *parent = NULL;
		struct status_entry *entry;

		GROW(entries.v, entries.n, entries.alloc);
		entry = &entries.v[entries.n++];
		entry->cluster = pool_strdup(pool, cluster);
		entry->node = pool_strdup(pool, node);
		fill_entry(commit, pool, entry);
		if (git_commit_parentcount(commit) > 0 && git_commit_parent(&parent, commit, 0) < 0)
			return git_fail(err, "read the history of '%s' in '%s'", node, m->path);
		git_commit_free(commit);
		commit = parent;
	}
	ret->v = pool_calloc(pool, entries.n, sizeof(*ret->v));
	ret->n = entries.n;
	if (entries.n)
		memcpy(ret->v, entries.v, entries.n * sizeof(*entries.v));
	return 0;
}
