#include "gitsync/take_over.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/ls_refs.h"
#include "gitsync/worker_internal.h"

/* mirror_sweep() removes what has that in its name. */
#define UNFINISHED "incoming_git2_"
/* An index of as many objects as are taken. */
#define INDEX_BYTES_MAX ((off_t)128 << 20)
#define CHUNK ((size_t)64 << 10)

int worker_folder_has_pack(const struct worker_folder *folder, struct err *err)
{
	struct stat st;

	if (fstatat(folder->fd, WORKER_PACK, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_errno(err, "look for a pack of the worker's");
}

static int copy(int from, int to, off_t size, struct err *err)
{
	AUTO_FREE char *chunk = xmalloc(CHUNK);
	off_t copied = 0;

	while (copied < size) {
		ssize_t n = read(from, chunk, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? err_set(err, ERR_SYSTEM, "the worker's pack is cut off")
				      : err_errno(err, "read the worker's pack");
		for (ssize_t done = 0; done < n;) {
			ssize_t wrote = write(to, chunk + done, (size_t)(n - done));

			if (wrote < 0 && errno != EINTR)
				return err_errno(err, "write a pack to the mirror");
			done += wrote > 0 ? wrote : 0;
		}
		copied += n;
	}
	return 0;
}

/* A copy and not a rename: nobody else has this file open. */
static int take_file(const struct worker_folder *folder, int pack_dir, const char *name,
		     const char *ending, off_t most, struct err *err)
{
	AUTO_FREE char *file = xasprintf("pack-%s.%s", name, ending);
	/* Two processes may be at it, each with a pack of its own. */
	AUTO_FREE char *unfinished = xasprintf(UNFINISHED "%d.%s", (int)getpid(), ending);
	AUTO_CLOSE int from =
		openat(folder->fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int to = -1;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0)
		return err_errno(err, "open the worker's '%s'", file);
	if (!S_ISREG(st.st_mode) || st.st_size > most)
		return err_set(err, ERR_LIMIT, "the worker's '%s' is none that is taken", file);
	to = openat(pack_dir, unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (to < 0)
		return err_errno(err, "make '%s' in the mirror", unfinished);
	if (copy(from, to, st.st_size, err) == 0) {
		if (fchmod(to, 0444) < 0 || fsync(to) < 0)
			err_errno(err, "write '%s' to the mirror", file);
		else if (renameat(pack_dir, unfinished, pack_dir, file) < 0)
			err_errno(err, "put '%s' into the mirror", file);
		else
			return 0;
	}
	/* On a full disk it would stand in the way of everything else. */
	unlinkat(pack_dir, unfinished, 0);
	return -1;
}

int take_over_pack(struct mirror *m, int objects_fd, const struct worker_folder *folder,
		   const char *name, struct err *err)
{
	AUTO_FREE char *pack = xasprintf("pack-%s.pack", name);
	AUTO_FREE char *index = xasprintf("pack-%s.idx", name);
	AUTO_CLOSE int pack_dir = -1;
	CLEANUP(odb_freep) git_odb *odb = NULL;

	if (strlen(name) != GIT_OID_HEX - 1 || !is_oid_text(name))
		return err_set(err, ERR_SYSTEM, "the worker's answer cannot be read");
	pack_dir = openat(objects_fd, "pack", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (pack_dir < 0)
		return err_errno(err, "open the packs of '%s'", m->path);
	/* A pack counts from the moment that its index is there. */
	if (take_file(folder, pack_dir, name, "pack", (off_t)WORKER_FILE_BYTES, err) < 0)
		return -1;
	if (take_file(folder, pack_dir, name, "idx", INDEX_BYTES_MAX, err) < 0) {
		/* Unless the very same pack was there already. */
		if (faccessat(pack_dir, index, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			unlinkat(pack_dir, pack, 0);
		return -1;
	}
	if (fsync(pack_dir) < 0)
		return err_errno(err, "sync the packs of '%s'", m->path);
	if (git_repository_odb(&odb, m->repo) < 0 || git_odb_refresh(odb) < 0)
		return git_fail(err, "read '%s'", m->path);
	return 0;
}
