#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cleanup_free(void *p)
{
	void *mem;

	/* Copied, because what p points to is a `char *`, a `struct x *`, ..., and not a `void *`.
	 */
	memcpy(&mem, p, sizeof(mem));
	free(mem);
}

void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}
