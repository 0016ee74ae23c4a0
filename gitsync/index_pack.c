/*
 * The worker's second step of a fetch, in a process that no server has talked to: gives each object
 * of the pack its name (its digest), and looks whether all that the objects point at is there, in
 * the pack or in the mirror. What passes can be taken over as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/operations.h"
#include "gitsync/worker_internal.h"

#define OBJECTS_MAX 2000000U
/* Commits, folders and tags are read whole by the agent. */
#define OBJECT_BYTES_MAX ((size_t)16 << 20)

struct check {
	git_repository *repo; /* the mirror's objects and the pack's */
	git_odb *all;
	struct err *err;
};

static void indexer_freep(git_indexer **p)
{
	git_indexer_free(*p);
}

static void repository_freep(git_repository **p)
{
	git_repository_free(*p);
}

static void tag_freep(git_tag **p)
{
	git_tag_free(*p);
}

static int on_progress(const git_indexer_progress *stats, void *arg)
{
	bool *too_many = arg;

	*too_many = stats->total_objects > OBJECTS_MAX;
	return *too_many ? -1 : 0;
}

static int feed(git_indexer *indexer, bool *too_many, struct err *err)
{
	AUTO_CLOSE int fd = open(WORKER_PACK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	git_indexer_progress stats = {0};
	char chunk[65536];
	ssize_t n = 1;
	int rc = 0;

	if (fd < 0)
		return err_errno(err, "open '%s'", WORKER_PACK);
	while (n != 0 && rc == 0) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR)
			return err_errno(err, "read '%s'", WORKER_PACK);
		if (n > 0)
			rc = git_indexer_append(indexer, chunk, (size_t)n, &stats);
	}
	if (rc == 0)
		rc = git_indexer_commit(indexer, &stats);
	if (*too_many)
		return err_set(err, ERR_LIMIT, "the server sends more than %u objects",
			       OBJECTS_MAX);
	return rc < 0 ? git_fail(err, "read the pack that the server sent") : 0;
}

/* Writes NAME.pack and NAME.idx into the current folder; a pack that leaves objects out which the
 * mirror has is completed. */
static int build_index(struct check *check, char ret_name[GIT_OID_HEX])
{
	CLEANUP(indexer_freep) git_indexer *indexer = NULL;
	git_indexer_options options;
	bool too_many = false;

	git_indexer_options_init(&options, GIT_INDEXER_OPTIONS_VERSION);
	options.progress_cb = on_progress;
	options.progress_cb_payload = &too_many;
	if (git_indexer_new(&indexer, ".", 0600, check->all, &options) < 0)
		return git_fail(check->err, "index the pack");
	if (feed(indexer, &too_many, check->err) < 0)
		return -1;
	git_oid_tostr(ret_name, GIT_OID_HEX, git_indexer_hash(indexer));
	return 0;
}

static int must_be_there(struct check *check, const git_oid *id, const char *what,
			 const git_oid *of)
{
	char oid[GIT_OID_HEX], of_oid[GIT_OID_HEX];

	if (git_odb_exists(check->all, id))
		return 0;
	git_oid_tostr(oid, sizeof(oid), id);
	git_oid_tostr(of_oid, sizeof(of_oid), of);
	return err_set(check->err, ERR_GIT, "the server left out %s, %s %s", oid, what, of_oid);
}

static int check_commit(struct check *check, const git_oid *id)
{
	CLEANUP(commit_freep) git_commit *commit = NULL;

	if (git_commit_lookup(&commit, check->repo, id) < 0)
		return git_fail(check->err, "read a commit that the server sent");
	if (must_be_there(check, git_commit_tree_id(commit), "the files of commit", id) < 0)
		return -1;
	for (unsigned i = 0; i < git_commit_parentcount(commit); i++) {
		if (must_be_there(check, git_commit_parent_id(commit, i), "a parent of commit",
				  id) < 0)
			return -1;
	}
	return 0;
}

static int check_tree(struct check *check, const git_oid *id)
{
	CLEANUP(tree_freep) git_tree *tree = NULL;

	if (git_tree_lookup(&tree, check->repo, id) < 0)
		return git_fail(check->err, "read a folder that the server sent");
	for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);

		/* A submodule's commit is in another repository. */
		if (git_tree_entry_filemode(entry) != GIT_FILEMODE_COMMIT &&
		    must_be_there(check, git_tree_entry_id(entry), "part of folder", id) < 0)
			return -1;
	}
	return 0;
}

static int check_tag(struct check *check, const git_oid *id)
{
	CLEANUP(tag_freep) git_tag *tag = NULL;

	if (git_tag_lookup(&tag, check->repo, id) < 0)
		return git_fail(check->err, "read a tag that the server sent");
	return must_be_there(check, git_tag_target_id(tag), "the target of tag", id);
}

static int check_object(const git_oid *id, void *arg)
{
	struct check *check = arg;
	git_object_t type;
	size_t size;

	if (git_odb_read_header(&size, &type, check->all, id) < 0)
		return git_fail(check->err, "read an object that the server sent");
	if (type != GIT_OBJECT_BLOB && size > OBJECT_BYTES_MAX)
		return err_set(check->err, ERR_LIMIT,
			       "the server sends a commit or folder of more than %zu MiB",
			       OBJECT_BYTES_MAX >> 20);
	switch (type) {
	case GIT_OBJECT_COMMIT:
		return check_commit(check, id);
	case GIT_OBJECT_TREE:
		return check_tree(check, id);
	case GIT_OBJECT_TAG:
		return check_tag(check, id);
	default:
		return 0;
	}
}

/* The mirror holds nothing whose parts are not there; so it is enough to look at the pack's. */
static int check_connected(struct check *check, const char *name)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	CLEANUP(odb_freep) git_odb *pack = NULL;
	git_odb_backend *one, *other;

	strbuf_addf(&path, "pack-%s.idx", name);
	if (git_odb_new(&pack) < 0 || git_odb_backend_one_pack(&one, path.buf) < 0 ||
	    git_odb_add_backend(pack, one, 1) < 0 ||
	    git_odb_backend_one_pack(&other, path.buf) < 0 ||
	    git_odb_add_backend(check->all, other, 10) < 0)
		return git_fail(check->err, "open the pack that the server sent");
	if (git_odb_foreach(pack, check_object, check) < 0)
		return check->err->code ? -1 : git_fail(check->err, "read the pack");
	return 0;
}

int operation_index(const json_t *request, struct strbuf *answer, struct err *err)
{
	CLEANUP(repository_freep) git_repository *repo = NULL;
	CLEANUP(odb_freep) git_odb *odb = NULL;
	struct check check = {.err = err};
	char name[GIT_OID_HEX];

	(void)request;
	if (gitsync_init(err) < 0 || job_open_objects(&repo, err) < 0)
		return -1;
	if (git_repository_odb(&odb, repo) < 0)
		return git_fail(err, "open the mirror's objects");
	check.repo = repo;
	check.all = odb;
	if (build_index(&check, name) < 0 || check_connected(&check, name) < 0)
		return -1;
	strbuf_addf(answer, "%s\n", name);
	return 0;
}
