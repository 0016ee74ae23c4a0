/*
 * The floor of a convergence: the same bytes written, synced and renamed by a bare loop.
 *
 *	floor FROM TO
 *
 * Reads every file below FROM first; then, timed, for each: a temporary file in TO, write, fsync,
 * rename, and at the end an fsync of each folder. Prints the number of files, of bytes, and the
 * seconds.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"

struct item {
	char *path; /* relative to both folders */
	char *data;
	size_t len;
	bool folder;
};

static struct {
	const char *from;
	struct item *v;
	size_t n;
	size_t alloc;
} items;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int collect(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	CLEANUP(strbuf_release) struct strbuf data = STRBUF_INIT;
	const char *name = path + strlen(items.from);
	struct err err = {0};

	(void)st;
	(void)walk;
	if (type == FTW_F && file_read(path, 64 << 20, &data, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	if (type != FTW_F && type != FTW_D)
		return 0;
	GROW(items.v, items.n, items.alloc);
	items.v[items.n++] = (struct item) {.path = xstrdup(*name ? name + 1 : "."),
					    .len = data.len,
					    .data = strbuf_steal(&data),
					    .folder = type == FTW_D};
	return 0;
}

static void write_item(int to, const struct item *item)
{
	AUTO_FREE char *tmp = xasprintf("%s.tmp", item->path);
	int fd = openat(to, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		fail(tmp);
	if (write(fd, item->data, item->len) != (ssize_t)item->len || fsync(fd) < 0 ||
	    close(fd) < 0)
		fail(tmp);
	if (renameat(to, tmp, to, item->path) < 0)
		fail(item->path);
}

static void sync_folder(int to, const struct item *item)
{
	int fd = openat(to, item->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0 || close(fd) < 0)
		fail(item->path);
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	size_t files = 0, bytes = 0;
	int to;

	if (argc != 3)
		return 2;
	items.from = argv[1];
	if (nftw(argv[1], collect, 32, FTW_PHYS) != 0)
		return 1;
	to = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		fail(argv[2]);
	for (size_t i = 0; i < items.n; i++)
		if (items.v[i].folder && strcmp(items.v[i].path, ".") != 0 &&
		    mkdirat(to, items.v[i].path, 0755) < 0)
			fail(items.v[i].path);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (size_t i = 0; i < items.n; i++) {
		if (items.v[i].folder)
			continue;
		write_item(to, &items.v[i]);
		files++;
		bytes += items.v[i].len;
	}
	for (size_t i = 0; i < items.n; i++)
		if (items.v[i].folder)
			sync_folder(to, &items.v[i]);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%zu %zu %.6f\n", files, bytes,
	       (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	return 0;
}
