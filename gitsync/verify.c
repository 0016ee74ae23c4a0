#include "gitsync/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/pool.h"
#include "gitsync/commit_object.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/text.h"
#include "gitsync/verify_signature.h"

#define LISTS_MAX (COMMIT_PARENTS_MAX + 1)
#define SUBJECT_MAX 60

/* A list of signers that is in force somewhere; two that are the same text are the same. */
struct signers {
	char *text; /* NULL: there is none */
	git_oid blob;
};

struct new_commit {
	git_oid id;
	size_t list; /* index into lists: what the commit's own tree says */
};

struct verification {
	const struct verify_job *job;
	git_odb *odb;
	struct new_commit *commits; /* parents before children */
	size_t n, alloc;
	struct signers *lists; /* the first is the node's */
	size_t n_lists, lists_alloc;
	size_t base_list;
	struct verify_verdict *verdict;
};

static void verification_release(struct verification *v)
{
	for (size_t i = 0; i < v->n_lists; i++)
		free(v->lists[i].text);
	free(v->lists);
	free(v->commits);
	git_odb_free(v->odb);
}

static void revwalk_freep(git_revwalk **p)
{
	git_revwalk_free(*p);
}

static void odb_object_freep(git_odb_object **p)
{
	git_odb_object_free(*p);
}

static void tree_entry_freep(git_tree_entry **p)
{
	git_tree_entry_free(*p);
}

/* --- saying no ----------------------------------------------------------------------- */

/* The commit as a person finds it: "1a2b3c4 ('its subject', by Ada)". */
static char *name_commit(const struct verification *v, const git_oid *id)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(commit_freep) git_commit *commit = NULL;
	char oid[GIT_OID_HEX];
	struct commit_info info;

	git_oid_tostr(oid, sizeof(oid), id);
	if (git_commit_lookup(&commit, v->job->repo, id) < 0)
		return xasprintf("commit %.7s", oid);
	commit_info_fill(commit, pool, &info);
	return xasprintf("commit %.7s ('%s', by %s)", oid,
			 text_line(pool, info.subject, SUBJECT_MAX), info.author);
}

/* Always returns 0: a verdict was found. */
static int say_no(struct verification *v, const git_oid *id, const char *reason, const char *what)
{
	AUTO_FREE char *name = name_commit(v, id);

	v->verdict->reason = reason;
	if (v->job->base)
		err_set(&v->verdict->why, ERR_VERIFY,
			"%s: %.300s; every commit since %.7s must be signed by an allowed signer: "
			"sign what is new "
			"('git rebase --force-rebase -S %.7s') and push again",
			name, what, v->job->base, v->job->base);
	else
		err_set(&v->verdict->why, ERR_VERIFY,
			"%s: %.300s; the first commit that a node takes must be signed by a signer "
			"of its own file: "
			"sign it ('git commit --amend -S'), or push a signed one on top",
			name, what);
	return 0;
}

/* --- lists of signers ---------------------------------------------------------------- */

static size_t add_list(struct verification *v, char *text, const git_oid *blob)
{
	GROW(v->lists, v->n_lists, v->lists_alloc);
	v->lists[v->n_lists] = (struct signers) {.text = text};
	if (blob)
		v->lists[v->n_lists].blob = *blob;
	return v->n_lists++;
}

/* The blob's index among the lists, read where it is a new one. -1, or -2 where it is too large or no text. */
static long list_of_blob(struct verification *v, const git_oid *blob, struct err *err)
{
	CLEANUP(odb_object_freep) git_odb_object *object = NULL;
	size_t size;
	git_object_t type;

	for (size_t i = 1; i < v->n_lists; i++)
		if (git_oid_equal(&v->lists[i].blob, blob))
			return (long)i;
	if (git_odb_read_header(&size, &type, v->odb, blob) < 0)
		return git_fail(err, "read '" SIGNERS_FILE "'");
	if (size > SIGNERS_SIZE_MAX)
		return -2;
	if (git_odb_read(&object, v->odb, blob) < 0)
		return git_fail(err, "read '" SIGNERS_FILE "'");
	if (memchr(git_odb_object_data(object), '\0', git_odb_object_size(object)))
		return -2;
	return (long)add_list(v, xstrndup(git_odb_object_data(object), git_odb_object_size(object)),
			      blob);
}

/* The list in a tree; the node's where the tree has none. -1, or -2 where it is there and cannot be one. */
static long list_of_tree(struct verification *v, const git_oid *tree_id, struct err *err)
{
	CLEANUP(tree_freep) git_tree *tree = NULL;
	CLEANUP(tree_entry_freep) git_tree_entry *entry = NULL;
	git_filemode_t mode;
	int rc;

	if (git_tree_lookup(&tree, v->job->repo, tree_id) < 0)
		return git_fail(err, "read the files of a commit");
	rc = git_tree_entry_bypath(&entry, tree, SIGNERS_FILE);
	if (rc == GIT_ENOTFOUND)
		return 0;
	if (rc < 0)
		return git_fail(err, "look for '" SIGNERS_FILE "'");
	mode = git_tree_entry_filemode(entry);
	if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE)
		return -2;
	return list_of_blob(v, git_tree_entry_id(entry), err);
}

static int find_base_list(struct verification *v, struct err *err)
{
	CLEANUP(commit_freep) git_commit *base = NULL;
	git_oid id;
	long list;

	if (!v->job->base)
		return 0;
	if (git_oid_fromstr(&id, v->job->base) < 0 ||
	    git_commit_lookup(&base, v->job->repo, &id) < 0)
		return git_fail(err, "read commit %.7s", v->job->base);
	list = list_of_tree(v, git_commit_tree_id(base), err);
	if (list == -2)
		return err_set(err, ERR_VERIFY, "'" SIGNERS_FILE "' of %.7s is no list of signers",
			       v->job->base);
	v->base_list = list < 0 ? 0 : (size_t)list;
	return list < 0 ? -1 : 0;
}

static const struct new_commit *find_new(const struct verification *v, const git_oid *id)
{
	for (size_t i = v->n; i-- > 0;)
		if (git_oid_equal(&v->commits[i].id, id))
			return &v->commits[i];
	return NULL;
}

static void need_list(size_t list, size_t lists[LISTS_MAX], size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (lists[i] == list)
			return;
	lists[(*n)++] = list;
}

/* The lists that must know a commit's signer. */
static size_t lists_for(const struct verification *v, const struct commit_object *commit,
			size_t ret[LISTS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < commit->n_parents && v->job->base; i++) {
		const struct new_commit *parent = NULL;
		git_oid id;

		if (git_oid_fromstr(&id, commit->parents[i]) == 0)
			parent = find_new(v, &id);
		need_list(parent ? parent->list : v->base_list, ret, &n);
	}
	if (!n)
		need_list(v->base_list, ret, &n);
	return n;
}

/* --- one commit ---------------------------------------------------------------------- */

/* 1 good; 0 a verdict was found; -1. */
static int check_signature(struct verification *v, const git_oid *id,
			   const struct commit_object *commit, struct err *err)
{
	size_t lists[LISTS_MAX];
	size_t n = lists_for(v, commit, lists);
	struct err why = {0};
	int good = 0;

	switch (commit->kind) {
	case SIGNATURE_NONE:
		return say_no(v, id, "UnsignedCommit", "it is not signed");
	case SIGNATURE_OTHER:
		return say_no(v, id, "UnknownSigner",
			      "its signature is neither SSH's nor OpenPGP's");
	case SIGNATURE_OPENPGP:
		if (!v->job->has_keyring)
			return say_no(
				v, id, "UnknownSigner",
				"it is signed with OpenPGP, and this node has no verify.keyring");
		good = verify_openpgp(commit, &why, err);
		break;
	case SIGNATURE_SSH:
		for (size_t i = 0; i < n; i++) {
			const char *text = v->lists[lists[i]].text;

			if (!text)
				return say_no(
					v, id, "UnknownSigner",
					"it is signed with SSH, and there is no list of signers");
			good = verify_ssh(commit, text, &why, err);
			if (good <= 0)
				break;
		}
		break;
	}
	return good == 0 ? say_no(v, id, "UnknownSigner", why.msg) : good;
}

static int check_commit(struct verification *v, struct new_commit *c, struct err *err)
{
	CLEANUP(odb_object_freep) git_odb_object *object = NULL;
	CLEANUP(commit_object_release) struct commit_object commit = COMMIT_OBJECT_INIT;
	struct err why = {0};
	git_oid tree;
	long list;
	int good;

	if (git_odb_read(&object, v->odb, &c->id) < 0)
		return git_fail(err, "read a commit");
	if (git_odb_object_size(object) > COMMIT_OBJECT_MAX)
		return say_no(v, &c->id, "BadCommit", "it is larger than 1 MiB");
	if (commit_object_parse(git_odb_object_data(object), git_odb_object_size(object), &commit,
				&why) < 0)
		return say_no(v, &c->id, "BadCommit", why.msg);
	good = check_signature(v, &c->id, &commit, err);
	if (good <= 0)
		return good;
	if (git_oid_fromstr(&tree, commit.tree) < 0)
		return say_no(v, &c->id, "BadCommit", "it names no tree");
	list = list_of_tree(v, &tree, err);
	if (list == -2)
		return say_no(v, &c->id, "BadCommit",
			      "its '" SIGNERS_FILE "' is no file with a list of signers");
	if (list < 0)
		return -1;
	c->list = (size_t)list;
	v->verdict->commits++;
	return 1;
}

/* --- all of them --------------------------------------------------------------------- */

static void add_new(struct verification *v, const git_oid *id)
{
	GROW(v->commits, v->n, v->alloc);
	v->commits[v->n++] = (struct new_commit) {.id = *id};
}

/* 1 listed; 0 a verdict was found: they are too many; -1. */
static int list_new(struct verification *v, const git_oid *tip, struct err *err)
{
	CLEANUP(revwalk_freep) git_revwalk *walk = NULL;
	git_oid base, id;
	int rc;

	if (!v->job->base) {
		add_new(v, tip);
		return 1;
	}
	if (git_oid_fromstr(&base, v->job->base) < 0 || git_revwalk_new(&walk, v->job->repo) < 0 ||
	    git_revwalk_sorting(walk, GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE) < 0 ||
	    git_revwalk_push(walk, tip) < 0 || git_revwalk_hide(walk, &base) < 0)
		return git_fail(err, "list the commits since %.7s", v->job->base);
	while ((rc = git_revwalk_next(&id, walk)) == 0) {
		if (v->n == VERIFY_COMMITS_MAX) {
			v->verdict->reason = "TooManyCommits";
			err_set(&v->verdict->why, ERR_LIMIT,
				"%.7s has more than %d commits since %.7s, the last one that was "
				"verified, which is "
				"more than a node looks at in one go: push them in several steps, "
				"or run "
				"'dynia reconcile --accept-history %.7s' on this node",
				v->job->tip, VERIFY_COMMITS_MAX, v->job->base, v->job->tip);
			return 0;
		}
		add_new(v, &id);
	}
	if (rc != GIT_ITEROVER)
		return git_fail(err, "list the commits since %.7s", v->job->base);
	return 1;
}

int verify_commits(const struct verify_job *job, struct verify_verdict *ret, struct err *err)
{
	CLEANUP(verification_release) struct verification v = {.job = job, .verdict = ret};
	git_oid tip;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (git_oid_fromstr(&tip, job->tip) < 0)
		return err_set(err, ERR_GIT, "'%s' is no commit's id", job->tip);
	if (git_repository_odb(&v.odb, job->repo) < 0)
		return git_fail(err, "read the repository");
	add_list(&v, job->signers ? xstrdup(job->signers) : NULL, NULL);
	if (find_base_list(&v, err) < 0)
		return -1;
	rc = list_new(&v, &tip, err);
	for (size_t i = 0; i < v.n && rc > 0; i++)
		rc = check_commit(&v, &v.commits[i], err);
	return rc < 0 ? -1 : 0;
}
