#include "gitsync/local.h"

#include <git2.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"

/* Objects of the mirror that are copied to a repository one by one. */
struct push {
	git_odb *from;
	git_odb *to;
	struct err *err;
};

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

static int open_remote(const struct job *job, git_repository **ret, struct err *err)
{
	const char *path = job->endpoint.url.path;
	int rc = git_repository_open_ext(ret, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);

	if (rc == GIT_ENOTFOUND)
		return err_set(err, ERR_GIT, "that is no git repository");
	return rc < 0 ? git_fail(err, "open it") : 0;
}

static int list(git_repository *repo, struct ls_refs *refs, struct err *err)
{
	CLEANUP(ref_iterator_freep) git_reference_iterator *iter = NULL;
	int rc = git_reference_iterator_new(&iter, repo);

	while (rc == 0) {
		CLEANUP(ref_freep) git_reference *ref = NULL;
		enum ref_interest interest;

		rc = git_reference_next(&ref, iter);
		if (rc < 0)
			break;
		interest = refs->wants(refs->arg, git_reference_name(ref));
		if (interest == REF_IGNORED || git_reference_type(ref) != GIT_REFERENCE_DIRECT)
			continue;
		if (refs->n >= LS_REFS_MAX && interest != REF_NEEDED) {
			refs->cut_off = true;
			continue;
		}
		GROW(refs->v, refs->n, refs->alloc);
		git_oid_tostr(refs->v[refs->n].oid, GIT_OID_HEX, git_reference_target(ref));
		refs->v[refs->n++].name = xstrdup(git_reference_name(ref));
	}
	return rc == GIT_ITEROVER ? 0 : git_fail(err, "list its refs");
}

int local_list(const struct job *job, struct ls_refs *ret, struct err *err)
{
	CLEANUP(repository_freep) git_repository *repo = NULL;

	return open_remote(job, &repo, err) < 0 ? -1 : list(repo, ret, err);
}

static int add_to_file(void *data, size_t len, void *arg)
{
	struct {
		struct pack_file *file;
		struct err *err;
	} *to = arg;

	return pack_file_add(to->file, data, len, to->err);
}

static int hide_haves(const struct job *job, git_odb *odb, git_revwalk *walk, struct err *err)
{
	const json_t *have;
	size_t i;
	git_oid id;

	json_array_foreach(job->haves, i, have)
	{
		if (git_oid_fromstr(&id, json_string_value(have)) == 0 &&
		    git_odb_exists(odb, &id) && git_revwalk_hide(walk, &id) < 0)
			return git_fail(err, "compare it with the mirror");
	}
	return 0;
}

static int write_pack(git_packbuilder *builder, struct err *err)
{
	CLEANUP(pack_file_close) struct pack_file file = {.fd = -1};
	struct {
		struct pack_file *file;
		struct err *err;
	} to = {&file, err};

	if (git_packbuilder_object_count(builder) == 0)
		return 0;
	if (pack_file_create(&file, err) < 0)
		return -1;
	if (git_packbuilder_foreach(builder, add_to_file, &to) < 0)
		return err->code ? -1 : git_fail(err, "pack its objects");
	return 0;
}

int local_fetch(const struct job *job, struct ls_refs *ret, struct err *err)
{
	CLEANUP(repository_freep) git_repository *repo = NULL;
	CLEANUP(packbuilder_freep) git_packbuilder *builder = NULL;
	CLEANUP(revwalk_freep) git_revwalk *walk = NULL;
	CLEANUP(odb_freep) git_odb *odb = NULL;
	git_oid id;

	if (open_remote(job, &repo, err) < 0 || list(repo, ret, err) < 0 ||
	    job_check_branch(job, ret, err) < 0)
		return -1;
	if (git_repository_odb(&odb, repo) < 0 || git_packbuilder_new(&builder, repo) < 0 ||
	    git_revwalk_new(&walk, repo) < 0)
		return git_fail(err, "read its objects");
	for (size_t i = 0; i < ret->n; i++) {
		if (git_oid_fromstr(&id, ret->v[i].oid) < 0)
			return git_fail(err, "read its refs");
		/* A status ref may point at anything; the branch must be a commit. */
		if (git_revwalk_push(walk, &id) < 0 && job->branch_ref &&
		    strcmp(ret->v[i].name, job->branch_ref) == 0)
			return git_fail(err, "read '%s'", job->branch_ref);
	}
	if (hide_haves(job, odb, walk, err) < 0)
		return -1;
	if (git_packbuilder_insert_walk(builder, walk) < 0)
		return git_fail(err, "read its objects");
	return write_pack(builder, err);
}

/* 0: copied, or there already. */
static int copy_object(struct push *push, const git_oid *id)
{
	git_odb_object *object = NULL;
	git_oid written;
	int rc;

	if (git_odb_exists(push->to, id))
		return 0;
	if (git_odb_read(&object, push->from, id) < 0)
		return git_fail(push->err, "read the mirror");
	rc = git_odb_write(&written, push->to, git_odb_object_data(object),
			   git_odb_object_size(object), git_odb_object_type(object));
	git_odb_object_free(object);
	return rc < 0 ? git_fail(push->err, "write to it") : 0;
}

static int copy_tree(struct push *push, git_repository *from, const git_oid *id)
{
	CLEANUP(tree_freep) git_tree *tree = NULL;

	if (git_odb_exists(push->to, id))
		return 0;
	if (git_tree_lookup(&tree, from, id) < 0)
		return git_fail(push->err, "read the mirror");
	for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
		git_filemode_t mode = git_tree_entry_filemode(entry);

		if (mode == GIT_FILEMODE_TREE
			    ? copy_tree(push, from, git_tree_entry_id(entry)) < 0
			    : mode != GIT_FILEMODE_COMMIT &&
				      copy_object(push, git_tree_entry_id(entry)) < 0)
			return -1;
	}
	return copy_object(push, id);
}

/* Oldest first: what is there has all behind it. */
static int copy_commits(struct push *push, git_repository *from, const git_oid *tip)
{
	CLEANUP(revwalk_freep) git_revwalk *walk = NULL;
	git_oid id;
	int rc;

	if (git_revwalk_new(&walk, from) < 0 ||
	    git_revwalk_sorting(walk, GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE) < 0 ||
	    git_revwalk_push(walk, tip) < 0)
		return git_fail(push->err, "read the mirror");
	while ((rc = git_revwalk_next(&id, walk)) == 0) {
		CLEANUP(commit_freep) git_commit *commit = NULL;

		if (git_odb_exists(push->to, &id))
			continue;
		if (git_commit_lookup(&commit, from, &id) < 0)
			return git_fail(push->err, "read the mirror");
		if (copy_tree(push, from, git_commit_tree_id(commit)) < 0 ||
		    copy_object(push, &id) < 0)
			return -1;
	}
	return rc == GIT_ITEROVER ? 0 : git_fail(push->err, "read the mirror");
}

int local_push(const struct job *job, const char *ref, const char *oid, struct err *err)
{
	CLEANUP(repository_freep) git_repository *from = NULL;
	CLEANUP(repository_freep) git_repository *to = NULL;
	CLEANUP(odb_freep) git_odb *from_odb = NULL;
	CLEANUP(odb_freep) git_odb *to_odb = NULL;
	CLEANUP(ref_freep) git_reference *moved = NULL;
	struct push push = {.err = err};
	git_oid id;

	/* As git there would make them. */
	umask(022);
	if (open_remote(job, &to, err) < 0 || job_open_objects(&from, err) < 0)
		return -1;
	if (git_oid_fromstr(&id, oid) < 0 || git_repository_odb(&from_odb, from) < 0 ||
	    git_repository_odb(&to_odb, to) < 0)
		return git_fail(err, "push '%s'", ref);
	push.from = from_odb;
	push.to = to_odb;
	if (copy_commits(&push, from, &id) < 0)
		return err_wrap(err, "push '%s'", ref);
	if (git_reference_create(&moved, to, ref, &id, 1, NULL) < 0)
		return git_fail(err, "push '%s'", ref);
	return 0;
}
