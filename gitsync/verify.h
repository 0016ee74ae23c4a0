/*
 * Who may say what is wanted: every commit between the last verified one and the new one must carry a good signature, on
 * all sides of every merge.
 *
 * A signature is SSH's, judged by `ssh-keygen -Y` with a list of allowed signers (their principals, namespaces and times of
 * validity, at the commit's own time, in UTC), or OpenPGP's, judged by `gpgv` with a keyring.
 *
 * The list of signers is a file on the node; where the repository carries one (SIGNERS_FILE), that one is in force, and so
 * a change of it counts only if a signer from before it signed it: a commit is judged by the lists of its parents. All
 * parents that are newer than the last verified commit must know the signer, or somebody who was removed could merge his
 * own list back in; for an older parent the list of the last verified commit stands. With no commit verified before, the
 * tip alone is judged, by the node's own file.
 *
 * This reads a stranger's objects, and runs in a worker (gitsync/worker.h) whose current folder holds what it needs.
 */
#ifndef GITSYNC_VERIFY_H
#define GITSYNC_VERIFY_H

#include <git2.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SIGNERS_FILE ".dynia/allowed_signers"
#define SIGNERS_SIZE_MAX (256 << 10)
#define VERIFY_COMMITS_MAX 2000

/* Files in the current folder of the process that verifies. */
#define VERIFY_SIGNERS "allowed_signers"
#define VERIFY_KEYRING "keyring.gpg"

struct verify_job {
	git_repository *repo; /* to read objects from */
	const char *tip;
	const char *base; /* newest commit that was verified before, behind tip; NULL: none */
	const char *
		signers; /* the node's list; NULL: none, and no SSH signature counts without one in the repository */
	bool has_keyring; /* VERIFY_KEYRING is in the current folder */
};

struct verify_verdict {
	size_t commits; /* how many signatures were found good */
	const char *
		reason; /* NULL: all; or of the condition: "UnsignedCommit", "UnknownSigner", "BadCommit", "TooManyCommits" */
	struct err why; /* names the commit and the rule */
};

/* 0 with a verdict; -1 where none can be had (an object is missing, ssh-keygen is not there). */
int verify_commits(const struct verify_job *job, struct verify_verdict *ret, struct err *err);

#endif
