/*
 * The repository that a command is pointed at: a work tree as it is, or PATH@REV, one revision of
 * it. A bare repository stands for its HEAD.
 */
#ifndef CLI_REPO_H
#define CLI_REPO_H

#include "base/diag.h"
#include "base/err.h"
#include "gitsync/mirror.h"
#include "spec/load.h"
#include "spec/source.h"

struct repo {
	struct mirror *mirror; /* NULL: not a git repository */
	struct source *src;
};

#define REPO_INIT                                                                                  \
	{                                                                                          \
		0                                                                                  \
	}

/* argument NULL: the current folder. rev NULL: what the argument says, else the work tree. */
int repo_open(const char *argument, const char *rev, struct repo *ret, struct err *err);
void repo_release(struct repo *repo);
/* Loads all of it. Returns -1, or the exit status: a failure (1), or diagnostics, which are printed
 * (3). */
int repo_load(struct repo *repo, struct spec **ret_spec);

#endif
