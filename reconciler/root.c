#include "reconciler/root.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/process.h"

int root_open(const char *path, struct root *ret, struct err *err)
{
	AUTO_FREE char *real = NULL;
	AUTO_CLOSE int fd = -1;

	real = realpath(path ? path : "/", NULL);
	if (!real)
		return err_errno(err, "root '%s'", path ? path : "/");
	fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "root '%s'", real);
	ret->path = xstrdup(strcmp(real, "/") == 0 ? "" : real);
	ret->fd = STEAL_FD(fd);
	return 0;
}

void root_release(struct root *root)
{
	cleanup_close(&root->fd);
	root->fd = -1;
	cleanup_free(&root->path);
	root->path = NULL;
}

void root_wake_agent(const struct root *root)
{
	pid_t pid = process_find_daemon(root->fd, PATH_AGENT_PID);

	if (pid > 0)
		kill(pid, SIGHUP);
}

const char *root_outside(const struct root *root, struct pool *pool, const char *path)
{
	return pool_printf(pool, "%s%s", root->path, path);
}
