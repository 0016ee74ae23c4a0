/*
 * A folder of its own for a test, removed with all that is in it.
 *
 *	CLEANUP(scratch_release) struct scratch dir = scratch_make();
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

#define SCRATCH_TEMPLATE "/tmp/dynia-unit-XXXXXX"

struct scratch {
	char path[sizeof(SCRATCH_TEMPLATE)];
	int fd;
};

static inline struct scratch scratch_make(void)
{
	struct scratch scratch = {.path = SCRATCH_TEMPLATE};

	if (!mkdtemp(scratch.path))
		abort();
	scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scratch.fd < 0)
		abort();
	return scratch;
}

static inline void scratch_release(struct scratch *scratch)
{
	int tmp_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err;

	close(scratch->fd);
	if (file_remove_tree_in(tmp_fd, strrchr(scratch->path, '/') + 1, &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
	close(tmp_fd);
}

#endif
