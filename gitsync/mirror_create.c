/* The agent's own mirror: made where it is missing, swept of what a crash left, replaced where it
 * is damaged. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <git2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/mirror.h"

#define SWEEP_OPEN_FDS 16
/* More than libgit2 needs at once to look at a repository. */
#define SPARE_FDS 32

/* The folder that holds the mirror, open, and the mirror's name in it. */
struct place {
	int fd;
	char *name;
};

static void place_release(struct place *place)
{
	cleanup_close(&place->fd);
	free(place->name);
}

static int place_open(const char *path, struct place *place, struct err *err)
{
	AUTO_FREE char *parent = xstrdup(path);
	char *slash;

	while (strlen(parent) > 1 && parent[strlen(parent) - 1] == '/')
		parent[strlen(parent) - 1] = '\0';
	slash = strrchr(parent, '/');
	place->name = xstrdup(slash ? slash + 1 : parent);
	if (slash)
		slash[slash == parent ? 1 : 0] = '\0';
	place->fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->fd < 0)
		return err_errno(err, "open the folder of '%s'", path);
	return 0;
}

static void config_freep(git_config **p)
{
	git_config_free(*p);
}

static int sweep_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	const char *name = path + where->base;
	size_t len = strlen(name);

	(void)st;
	/* Names that libgit2 gives to what it has not finished writing. */
	if (type == FTW_F &&
	    (strstr(name, "_git2_") != NULL || (len > 5 && strcmp(name + len - 5, ".lock") == 0)))
		unlink(path);
	return 0;
}

void mirror_sweep(const char *path)
{
	/* What cannot be removed shows itself as an error of the next write. */
	nftw(path, sweep_one, SWEEP_OPEN_FDS, FTW_PHYS);
}

static bool is_ref_sound(struct mirror *m, const char *name)
{
	CLEANUP(ref_freep) git_reference *ref = NULL;
	CLEANUP(commit_freep) git_commit *commit = NULL;
	CLEANUP(tree_freep) git_tree *tree = NULL;

	if (git_reference_lookup(&ref, m->repo, name) < 0)
		return false;
	return git_reference_type(ref) == GIT_REFERENCE_DIRECT &&
	       git_commit_lookup(&commit, m->repo, git_reference_target(ref)) == 0 &&
	       git_commit_tree(&tree, commit) == 0;
}

bool mirror_is_sound(struct mirror *m)
{
	CLEANUP(config_freep) git_config *config = NULL;
	CLEANUP(ref_freep) git_reference *head = NULL;
	CLEANUP(ref_iterator_freep) git_reference_iterator *iter = NULL;
	const char *name;
	int rc;

	if (git_repository_config(&config, m->repo) < 0 ||
	    git_reference_lookup(&head, m->repo, "HEAD") < 0 ||
	    git_reference_iterator_new(&iter, m->repo) < 0)
		return false;
	while ((rc = git_reference_next_name(&name, iter)) == 0) {
		if (!is_ref_sound(m, name))
			return false;
	}
	return rc == GIT_ITEROVER;
}

/* 1 with something in it (or no folder), 0 missing or empty, -1 where we may not look. */
static int is_occupied(const struct place *place, struct err *err)
{
	AUTO_CLOSE int fd =
		openat(place->fd, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *item;
	int n = 0, rc = 0;
	DIR *dir;

	if (fd < 0) {
		if (errno == ENOENT)
			return 0;
		if (errno == ENOTDIR || errno == ELOOP)
			return 1;
		return err_errno(err, "open '%s'", place->name);
	}
	dir = fdopendir(fd);
	if (!dir)
		return err_errno(err, "open '%s'", place->name);
	STEAL_FD(fd);
	errno = 0;
	while (n <= 2 && (item = readdir(dir)) != NULL)
		n++;
	if (n <= 2 && errno)
		rc = err_errno(err, "read the folder '%s'", place->name);
	closedir(dir);
	return rc < 0 ? rc : n > 2;
}

/* A lack of rights or of descriptors, which would look like damage to libgit2, is none. */
static int check_may_read(const struct place *place, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/HEAD", place->name);
	AUTO_CLOSE int fd = openat(place->fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int spare[SPARE_FDS], rc = 0;
	size_t n = 0;

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return err_errno(err, "open '%s'", path);
	while (n < SPARE_FDS && (spare[n] = fcntl(place->fd, F_DUPFD_CLOEXEC, 0)) >= 0)
		n++;
	if (n < SPARE_FDS)
		rc = err_errno(err, "open '%s'", place->name);
	while (n > 0)
		close(spare[--n]);
	return rc;
}

static int move_aside(const struct place *place, struct err *err)
{
	AUTO_FREE char *broken = xasprintf("%s.broken", place->name);

	if (file_remove_tree_in(place->fd, broken, err) < 0)
		return -1;
	if (renameat(place->fd, place->name, place->fd, broken) < 0)
		return err_errno(err, "move '%s' to '%s'", place->name, broken);
	if (fsync(place->fd) < 0)
		return err_errno(err, "sync the folder of '%s'", place->name);
	return 0;
}

static int make_new(const struct place *place, const char *path, git_repository **ret,
		    struct err *err)
{
	git_repository_init_options opts;

	if (mkdirat(place->fd, place->name, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make the folder '%s'", path);
	git_repository_init_options_init(&opts, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	opts.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_NO_REINIT;
	if (git_repository_init_ext(ret, path, &opts) < 0)
		return git_fail(err, "make the repository '%s'", path);
	if (fsync(place->fd) < 0)
		return err_errno(err, "sync the folder of '%s'", path);
	return 0;
}

/* Opens m->repo, which is NULL. */
static int open_or_make(struct mirror *m, const struct place *place, bool *ret_replaced,
			struct err *err)
{
	int occupied = is_occupied(place, err);

	*ret_replaced = false;
	if (occupied < 0 || check_may_read(place, err) < 0)
		return -1;
	if (occupied) {
		mirror_sweep(m->path);
		if (!m->damaged && git_repository_open_bare(&m->repo, m->path) == 0 &&
		    mirror_is_sound(m))
			return 0;
		git_repository_free(STEAL(m->repo));
		if (move_aside(place, err) < 0)
			return -1;
		*ret_replaced = true;
	}
	if (make_new(place, m->path, &m->repo, err) < 0)
		return -1;
	m->damaged = false;
	return 0;
}

int mirror_create(const char *path, struct mirror **ret, bool *ret_replaced, struct err *err)
{
	CLEANUP(place_release) struct place place = {.fd = -1};
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	bool replaced;

	if (gitsync_init(err) < 0 || place_open(path, &place, err) < 0)
		return -1;
	m = xcalloc(1, sizeof(*m));
	m->path = xstrdup(path);
	m->own = true;
	if (open_or_make(m, &place, &replaced, err) < 0)
		return -1;
	if (ret_replaced)
		*ret_replaced = replaced;
	*ret = STEAL(m);
	return 0;
}

int mirror_heal(struct mirror *m, struct err *err)
{
	CLEANUP(place_release) struct place place = {.fd = -1};
	struct mirror fresh = {.path = m->path, .own = true, .damaged = true};
	bool replaced;

	if (!m->damaged)
		return 0;
	if (!m->own)
		return err_set(err, ERR_GIT, "the repository '%s' is damaged: look with git fsck",
			       m->path);
	if (m->snapshots)
		return err_set(err, ERR_GIT, "the mirror '%s' is damaged and in use", m->path);
	if (place_open(m->path, &place, err) < 0)
		return -1;
	/* Until there is a new one the old stays open, so that every call finds one. */
	if (open_or_make(&fresh, &place, &replaced, err) < 0) {
		git_repository_free(fresh.repo);
		return -1;
	}
	git_repository_free(m->repo);
	m->repo = fresh.repo;
	m->damaged = false;
	return 0;
}

int mirror_init_worktree(const char *path, struct err *err)
{
	git_repository_init_options options;
	CLEANUP(mirror_freep) struct mirror *there = NULL;
	git_repository *repo;
	struct err ignored;

	if (mirror_open(path, &there, &ignored) == 0)
		return 0;
	if (gitsync_init(err) < 0)
		return -1;
	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_MKDIR;
	options.initial_head = "main";
	if (git_repository_init_ext(&repo, path, &options) < 0)
		return git_fail(err, "make a repository of '%s'", path);
	git_repository_free(repo);
	return 0;
}
