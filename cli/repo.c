#include "cli/repo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "cli/command.h"

void repo_release(struct repo *repo)
{
	source_freep(&repo->src);
	mirror_freep(&repo->mirror);
}

/* "PATH@REV" where there is no file of that whole name; the last '@' counts. */
static void split_revision(char *path, const char **rev)
{
	char *at = strrchr(path, '@');

	if (*rev || !at || access(path, F_OK) == 0)
		return;
	*at = '\0';
	*rev = at + 1;
}

/* Where the folder is in its work tree; "" for the root of it, and for a bare repository. */
static char *folder_in_worktree(const struct repo *repo, const char *path)
{
	const char *workdir = mirror_workdir(repo->mirror);
	AUTO_FREE char *top = workdir ? realpath(workdir, NULL) : NULL;
	AUTO_FREE char *here = realpath(path, NULL);
	size_t len = top ? strlen(top) : 0;

	if (!top || !here || strncmp(here, top, len) != 0 || here[len] != '/')
		return xstrdup("");
	return xstrdup(here + len + 1);
}

static int open_revision(struct repo *repo, const char *path, const char *rev, struct err *err)
{
	AUTO_FREE char *folder = folder_in_worktree(repo, path);
	char oid[GIT_OID_HEX];

	if (mirror_resolve(repo->mirror, rev, oid, err) < 0 ||
	    snapshot_open(repo->mirror, oid, &repo->src, err) < 0)
		return -1;
	if (*folder)
		repo->src = source_below(repo->src, folder);
	return 0;
}

int repo_open(const char *argument, const char *rev, struct repo *ret, struct err *err)
{
	AUTO_FREE char *whole = xstrdup(argument ? argument : ".");
	const char *path;
	struct err no_git = {0};

	split_revision(whole, &rev);
	path = *whole ? whole : ".";
	if (mirror_open(path, &ret->mirror, &no_git) < 0 && rev) {
		*err = no_git;
		return -1;
	}
	if (!rev && ret->mirror && !mirror_workdir(ret->mirror))
		rev = "HEAD";
	if (rev)
		return open_revision(ret, path, rev, err);
	ret->src = source_from_dir(path, err);
	return ret->src ? 0 : -1;
}

int repo_load(struct repo *repo, struct spec **ret_spec)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	struct err err = {0};

	if (spec_load(repo->src, NULL, ret_spec, &diags, &err) < 0)
		return cli_fail(&err);
	if (!diags.n)
		return -1;
	diags_sort(&diags);
	diags_print(&diags, stderr);
	return EXIT_REPOSITORY;
}
