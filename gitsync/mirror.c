#include "gitsync/mirror.h"

#include <git2.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/text.h"

#define SUBJECT_MAX 200
#define AUTHOR_MAX 100
/* libgit2 may keep 256 MiB of parsed objects by default. */
#define CACHE_BYTES (4 << 20)
/* Or it keeps no folder of more than a hundred entries, and reads that of the services anew for each service. */
#define CACHED_TREE_BYTES ((size_t)1 << 20)
#define MAP_BYTES ((size_t)16 << 20)
#define MAPS_BYTES ((size_t)128 << 20)
/* 9999-12-31T23:59:59Z: a later time, which only a stranger would write, fits no date of four
 * digits. */
#define TIME_MAX_S 253402300799

static int set_options(void)
{
	static const int levels[] = {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
				     GIT_CONFIG_LEVEL_GLOBAL};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "") < 0)
			return -1;
	}
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 5
	/* Git refuses a repository of another user's because its configuration can name programs to
	 * run. Nothing here runs one, and an agent that is root has to read what a git account
	 * owns. */
	/* Every object's digest was checked when it came in, as git does it; checking it at each
	 * read again is half the cost of loading a repository of 1,000 services. */
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
	if (git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) < 0)
		return -1;
#endif
	/* A power cut must not leave a ref to an object that never reached the disk. */
	if (git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1) < 0)
		return -1;
	/* With mbed TLS it has read all the machine's authorities by now, and keeps them: it talks to nobody here
	 * (gitsync/transport.h does), so it gets a folder without files instead. Other libraries may refuse that. */
	git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, NULL, "/proc/self/task");
	/* Or it maps packs a gigabyte at a time. */
	if (git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, MAP_BYTES) < 0 ||
	    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, MAPS_BYTES) < 0)
		return -1;
	if (git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_TREE, CACHED_TREE_BYTES) <
	    0)
		return -1;
	return git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)CACHE_BYTES);
}

int gitsync_init(struct err *err)
{
	static bool done;

	if (done)
		return 0;
	if (git_libgit2_init() < 0 || set_options() < 0)
		return git_fail(err, "start libgit2");
	done = true;
	return 0;
}

static char *without_end_slash(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return xstrndup(path, len);
}

int mirror_open(const char *path, struct mirror **ret, struct err *err)
{
	git_repository *repo;
	struct mirror *m;
	int rc;

	if (gitsync_init(err) < 0)
		return -1;
	rc = git_repository_open_ext(&repo, path, 0, NULL);
	if (rc == GIT_ENOTFOUND)
		return err_set(err, ERR_GIT, "'%s' is in no git repository", path);
	if (rc < 0)
		return git_fail(err, "open the repository '%s'", path);
	m = xcalloc(1, sizeof(*m));
	m->repo = repo;
	m->path = xstrdup(path);
	if (git_repository_workdir(repo))
		m->workdir = without_end_slash(git_repository_workdir(repo));
	*ret = m;
	return 0;
}

void mirror_free(struct mirror *m)
{
	if (!m)
		return;
	git_repository_free(m->repo);
	free(m->path);
	free(m->workdir);
	free(m);
}

void mirror_freep(struct mirror **m)
{
	mirror_free(*m);
	*m = NULL;
}

const char *mirror_workdir(const struct mirror *m)
{
	return m->workdir;
}

const char *mirror_git_dir(const struct mirror *m)
{
	return git_repository_path(m->repo);
}

int mirror_resolve(struct mirror *m, const char *rev, char ret_oid[GIT_OID_HEX], struct err *err)
{
	CLEANUP(object_freep) git_object *object = NULL;
	CLEANUP(object_freep) git_object *commit = NULL;
	int rc;

	if (rev[0] == '\0' || rev[0] == '-' || text_has_control(rev))
		return err_set(err, ERR_GIT, "'%s' is no revision", rev);
	rc = git_revparse_single(&object, m->repo, rev);
	if (rc == GIT_EAMBIGUOUS)
		return err_set(err, ERR_GIT,
			       "revision '%s' in '%s' could be several: write more of its id", rev,
			       m->path);
	if (rc == GIT_ENOTFOUND || rc == GIT_EINVALIDSPEC)
		return err_set(err, ERR_GIT, "no revision '%s' in '%s'", rev, m->path);
	if (rc < 0)
		return git_fail(err, "no revision '%s' in '%s'", rev, m->path);
	if (git_object_peel(&commit, object, GIT_OBJECT_COMMIT) < 0)
		return err_set(err, ERR_GIT, "revision '%s' in '%s' is no commit", rev, m->path);
	git_oid_tostr(ret_oid, GIT_OID_HEX, git_object_id(commit));
	return 0;
}

int commit_lookup(struct mirror *m, const char *oid, git_commit **ret, struct err *err)
{
	git_oid id;

	if (strlen(oid) != GIT_OID_HEX - 1 || git_oid_fromstr(&id, oid) < 0)
		return err_set(err, ERR_GIT, "'%s' is no commit's id", oid);
	if (git_commit_lookup(ret, m->repo, &id) < 0)
		return git_fail(err, "read commit %s in '%s'", oid, m->path);
	return 0;
}

int mirror_is_ancestor(struct mirror *m, const char *ancestor, const char *oid, struct err *err)
{
	CLEANUP(commit_freep) git_commit *commit = NULL;
	CLEANUP(odb_freep) git_odb *odb = NULL;
	git_oid old;
	int rc;

	if (git_oid_fromstr(&old, ancestor) < 0)
		return err_set(err, ERR_GIT, "'%s' is no commit's id", ancestor);
	if (commit_lookup(m, oid, &commit, err) < 0)
		return -1;
	if (git_oid_equal(&old, git_commit_id(commit)))
		return 1;
	if (git_repository_odb(&odb, m->repo) < 0)
		return git_fail(err, "read '%s'", m->path);
	if (!git_odb_exists(odb, &old))
		return 0;
	rc = git_graph_descendant_of(m->repo, git_commit_id(commit), &old);
	if (rc < 0)
		return git_fail(err, "compare %s with %s in '%s'", ancestor, oid, m->path);
	return rc;
}

static int64_t shown_time(int64_t time_s)
{
	if (time_s < 0)
		return 0;
	return time_s < TIME_MAX_S ? time_s : TIME_MAX_S;
}

void commit_info_fill(const git_commit *commit, struct pool *pool, struct commit_info *ret)
{
	const git_signature *author = git_commit_author(commit);
	const char *message = git_commit_message(commit);

	ret->subject = text_line(pool, message ? message : "", SUBJECT_MAX);
	ret->author = text_line(pool, author->name, AUTHOR_MAX);
	ret->time_s = shown_time(author->when.time);
}

int mirror_commit_info(struct mirror *m, const char *oid, struct pool *pool,
		       struct commit_info *ret, struct err *err)
{
	CLEANUP(commit_freep) git_commit *commit = NULL;

	if (commit_lookup(m, oid, &commit, err) < 0)
		return -1;
	commit_info_fill(commit, pool, ret);
	return 0;
}

int blob_read(struct mirror *m, const git_tree_entry *entry, const char *name, size_t limit,
	      struct pool *pool, const char **ret_data, size_t *ret_len, struct err *err)
{
	git_filemode_t mode = git_tree_entry_filemode(entry);
	CLEANUP(odb_freep) git_odb *odb = NULL;
	CLEANUP(blob_freep) git_blob *blob = NULL;
	git_object_t type;
	size_t size;

	if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE)
		return 0;
	if (git_repository_odb(&odb, m->repo) < 0 ||
	    git_odb_read_header(&size, &type, odb, git_tree_entry_id(entry)) < 0) {
		m->damaged = true;
		return git_fail(err, "read '%s'", name);
	}
	if (size > limit)
		return err_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", name, limit);
	if (git_blob_lookup(&blob, m->repo, git_tree_entry_id(entry)) < 0) {
		m->damaged = true;
		return git_fail(err, "read '%s'", name);
	}
	*ret_len = (size_t)git_blob_rawsize(blob);
	*ret_data = pool_memdup(pool, git_blob_rawcontent(blob), *ret_len);
	return 1;
}
