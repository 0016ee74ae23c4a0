/*
 * The worker: everything that reads what a server says runs in a process of its own, the same
 * program executed anew as `dynia worker`. It is another user where the agent is root (README of
 * the choice: worker_user()), has no capabilities and no way to get any, limits on memory, files,
 * processor time and processes, an empty folder as its home and current folder, and a deadline,
 * after which its process group is killed. Where the kernel lets us it is also PID 1 of a pid
 * namespace, so that nothing that it started outlives it.
 *
 * The request goes to its standard input as JSON (secrets among it: never in argv or the
 * environment), its answer comes from its standard output and is a stranger's word. The mirror is
 * not in its reach but for reading objects, through descriptor 3. What it writes, it writes to its
 * folder, and the caller checks and takes it over.
 *
 *	CLEANUP(worker_folder_close) struct worker_folder folder = WORKER_FOLDER_INIT;
 *	json_t *request = json_pack("{s:s}", "url", url);
 *	struct worker_call call = {.operation = "list", .request = request, .folder = &folder, …};
 *	worker_folder_open(path, &folder, err);
 *	worker_run(&call, &answer, err);
 *
 * What a worker can do is one row of a table in worker_serve.c.
 */
#ifndef GITSYNC_WORKER_H
#define GITSYNC_WORKER_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Stated limits of one worker. The largest file is the largest pack that is taken from a server. */
#define WORKER_MEMORY_BYTES ((size_t)512 << 20)
#define WORKER_FILE_BYTES ((size_t)512 << 20)
#define WORKER_ANSWER_BYTES ((size_t)1 << 20)

/* --- the agent's side ------------------------------------------------------------------ */

/* The program to execute, for worker_run(); "/proc/self/exe" in main(). Without it there are no
 * workers: a library that executed whatever program it is in would start tests anew. */
void worker_set_program(const char *path);

/* A worker's folder, and whom the worker runs as. */
struct worker_folder {
	int parent_fd;
	char *name;
	int fd; /* -1: there is none, and nothing that the worker may write */
	uid_t uid;
	gid_t gid;
};

#define WORKER_FOLDER_INIT                                                                         \
	{                                                                                          \
		.parent_fd = -1, .fd = -1                                                          \
	}

/* Whom a worker that talks to the network runs as, where the agent is root: the user `dynia`, or
 * `nobody` where there is none. Who is not root stays who he is. */
void worker_user(uid_t *ret_uid, gid_t *ret_gid);
/* Makes the folder anew and empty, mode 0700, of this user. Its parent must be there. */
int worker_folder_open(const char *path, uid_t uid, gid_t gid, struct worker_folder *ret,
		       struct err *err);
/* Removes it with all that is in it. */
void worker_folder_close(struct worker_folder *folder);
/* A file for the worker to read: mode 0600, the worker's. */
int worker_folder_add(struct worker_folder *folder, const char *name, const void *data, size_t len,
		      struct err *err);

struct worker_call {
	const char *operation;
	json_t *request;              /* borrowed */
	struct worker_folder *folder; /* its home, and its user */
	int objects_fd;               /* the mirror's objects; -1: none */
	int deadline_ms;
};

/* Runs one to its end. 0 and what it answered; -1 with its own error, or ERR_NETWORK where the
 * deadline passed, ERR_LIMIT where it went beyond its limits, ERR_SYSTEM where it did not run. */
int worker_run(const struct worker_call *call, struct strbuf *ret_answer, struct err *err);

/* --- in the worker --------------------------------------------------------------------- */

/* Serves the one request on standard input; returns the exit status. */
int worker_serve(void);

#endif
