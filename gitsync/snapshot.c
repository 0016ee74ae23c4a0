/* One commit's files as a struct source. */
#include <git2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/mirror.h"
#include "spec/source.h"

static void tree_entry_freep(git_tree_entry **p)
{
	git_tree_entry_free(*p);
}

struct snapshot {
	struct source base;
	struct mirror *mirror;
	git_tree *root;
	/* The folder that was last looked into, so that reading its files one by one does not walk
	 * from the root. */
	char *dir;
	git_tree *tree;
};

static int by_name(const void *a, const void *b)
{
	const struct source_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static enum source_type type_of(git_filemode_t mode)
{
	switch (mode) {
	case GIT_FILEMODE_BLOB:
	case GIT_FILEMODE_BLOB_EXECUTABLE:
		return SOURCE_FILE;
	case GIT_FILEMODE_TREE:
		return SOURCE_DIR;
	case GIT_FILEMODE_LINK:
		return SOURCE_SYMLINK;
	default:
		return SOURCE_OTHER;
	}
}

static int fail_to_read(struct snapshot *self, const char *path, struct err *err)
{
	self->mirror->damaged = true;
	return git_fail(err, "read '%s'", path);
}

/* 1 and the folder's tree, owned by the snapshot until the next call; 0 where there is no such
 * folder. */
static int open_dir(struct snapshot *self, const char *dir, git_tree **ret, struct err *err)
{
	CLEANUP(tree_entry_freep) git_tree_entry *entry = NULL;
	git_tree *tree;
	int rc;

	if (dir[0] == '\0' || (self->dir && strcmp(self->dir, dir) == 0)) {
		*ret = dir[0] == '\0' ? self->root : self->tree;
		return 1;
	}
	rc = git_tree_entry_bypath(&entry, self->root, dir);
	if (rc == GIT_ENOTFOUND)
		return 0;
	if (rc < 0)
		return fail_to_read(self, dir, err);
	if (git_tree_entry_filemode(entry) != GIT_FILEMODE_TREE)
		return 0;
	if (git_tree_lookup(&tree, self->mirror->repo, git_tree_entry_id(entry)) < 0)
		return fail_to_read(self, dir, err);
	free(self->dir);
	git_tree_free(self->tree);
	self->dir = xstrdup(dir);
	self->tree = tree;
	*ret = tree;
	return 1;
}

/* Git itself writes no such names, but a tree object can be made by hand. */
static bool is_entry_name(const char *name)
{
	return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && strcmp(name, ".git") != 0;
}

static int check_entries(const struct source_list *list, const char *dir, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *name = list->v[i].name;

		if (!is_entry_name(name))
			return err_set(err, ERR_CONFIG, "folder '%s' holds an entry named '%s'",
				       dir, name);
		if (i > 0 && strcmp(list->v[i - 1].name, name) == 0)
			return err_set(err, ERR_CONFIG, "folder '%s' holds '%s' twice", dir, name);
	}
	return 0;
}

static int snapshot_list(struct source *src, const char *dir, struct pool *pool,
			 struct source_list *ret, struct err *err)
{
	struct snapshot *self = (struct snapshot *)src;
	git_tree *tree;
	size_t n;
	int rc = open_dir(self, dir, &tree, err);

	if (rc <= 0)
		return rc;
	n = git_tree_entrycount(tree);
	if (n > SOURCE_DIR_MAX)
		return err_set(err, ERR_LIMIT, "'%s' has more than %d entries", dir,
			       SOURCE_DIR_MAX);
	ret->v = pool_calloc(pool, n, sizeof(*ret->v));
	ret->n = n;
	for (size_t i = 0; i < n; i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
		git_filemode_t mode = git_tree_entry_filemode(entry);

		ret->v[i] = (struct source_entry) {
			.name = pool_strdup(pool, git_tree_entry_name(entry)),
			.type = type_of(mode),
			.executable = mode == GIT_FILEMODE_BLOB_EXECUTABLE,
		};
	}
	/* Git sorts a folder as if its name ended in '/'. */
	qsort(ret->v, n, sizeof(*ret->v), by_name);
	return check_entries(ret, dir, err) < 0 ? -1 : 1;
}

static int snapshot_read(struct source *src, const char *path, size_t limit, struct pool *pool,
			 const char **ret_data, size_t *ret_len, struct err *err)
{
	struct snapshot *self = (struct snapshot *)src;
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
	const git_tree_entry *entry;
	git_tree *tree;
	int rc = open_dir(self, dir, &tree, err);

	if (rc <= 0)
		return rc;
	entry = git_tree_entry_byname(tree, slash ? slash + 1 : path);
	if (!entry)
		return 0;
	return blob_read(self->mirror, entry, path, limit, pool, ret_data, ret_len, err);
}

static void snapshot_free(struct source *src)
{
	struct snapshot *self = (struct snapshot *)src;

	self->mirror->snapshots--;
	git_tree_free(self->tree);
	git_tree_free(self->root);
	free(self->dir);
	free(self);
}

static const struct source_ops snapshot_ops = {
	.list = snapshot_list,
	.read = snapshot_read,
	.free = snapshot_free,
};

int snapshot_open(struct mirror *m, const char *oid, struct source **ret, struct err *err)
{
	CLEANUP(commit_freep) git_commit *commit = NULL;
	struct snapshot *self;
	git_tree *root;

	if (commit_lookup(m, oid, &commit, err) < 0)
		return -1;
	if (git_commit_tree(&root, commit) < 0) {
		m->damaged = true;
		return git_fail(err, "read the files of commit %s", oid);
	}
	self = xcalloc(1, sizeof(*self));
	self->base.ops = &snapshot_ops;
	self->mirror = m;
	self->root = root;
	m->snapshots++;
	*ret = &self->base;
	return 0;
}
