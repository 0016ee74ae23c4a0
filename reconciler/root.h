/*
 * The folder that a node lives in: "/" on a real machine, --root's folder otherwise. Everything
 * that the agent reads or writes goes through this folder's descriptor and cannot leave it
 * (base/file.h, the _in functions); paths are written as on a real machine, "/var/lib/dynia/index".
 */
#ifndef RECONCILER_ROOT_H
#define RECONCILER_ROOT_H

#include "base/err.h"
#include "base/pool.h"

#define PATH_CONFIG "/etc/dynia/agent.yaml"
#define PATH_SECRETS "/etc/dynia/secrets.yaml"
#define PATH_STATE_DIR "/var/lib/dynia"
#define PATH_MIRROR "/var/lib/dynia/repo.git"
#define PATH_STATE "/var/lib/dynia/state.json"
#define PATH_INDEX "/var/lib/dynia/index"
#define PATH_JOURNAL "/var/lib/dynia/journal"
#define PATH_HIGH_WATER "/var/lib/dynia/high-water"
#define PATH_ACCEPTED "/var/lib/dynia/accept-history"
#define PATH_SUSPENDED "/var/lib/dynia/suspended"
#define PATH_ROLLBACK "/var/lib/dynia/rollback"
#define PATH_GENERATIONS "/var/lib/dynia/generations"
#define PATH_RUN "/run/dynia"
#define PATH_LOCK "/run/dynia/lock"
#define PATH_CREDENTIALS_LOCK "/run/dynia/credentials.lock"
#define PATH_VRRP "/run/dynia/vrrp"
#define PATH_AGENT_PID "/run/dynia/agent.pid"
/* Empty: the root of processes that need no files. */
#define PATH_JAIL "/run/dynia/empty"
#define PATH_CHECK "/run/dynia/check"

struct root {
	int fd;
	const char *docker; /* Docker's socket, as agent.yaml says; borrowed; NULL: not asked for */
	char *path;         /* absolute, no slash at the end; "" for the machine's own */
};

#define ROOT_INIT                                                                                  \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* path NULL: the machine's own root. The folder must exist; its real path is what goes into
 * configurations. */
int root_open(const char *path, struct root *ret, struct err *err);
void root_release(struct root *root);
/* Has the agent that runs here make a pass at once. One that does not run, or only just, finds what is
 * new by itself. */
void root_wake_agent(const struct root *root);
/* The path as other programs see it: root and path, in the pool. */
const char *root_outside(const struct root *root, struct pool *pool, const char *path);

#endif
