/* The part of base/file.h that replaces many files at once. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file_internal.h"

struct file_batch_entry {
	char *path;
	size_t name_at; /* where in path the name begins; before it is the folder */
	char *tmp;      /* name of the temporary file; NULL once it has been renamed */
};

static bool same_folder(const struct file_batch_entry *a, const struct file_batch_entry *b)
{
	return a->name_at == b->name_at && memcmp(a->path, b->path, a->name_at) == 0;
}

/* From here on, one sync of the whole file system costs less than one of each file (make bench
 * prints both beside the floor). */
#define MANY_FILES 32
/* /etc, /opt and /var may be three; a batch over more file systems than this is refused. */
#define DEVICES_MAX 16

static bool is_large(const struct file_batch *batch)
{
	return batch->n > MANY_FILES;
}

/*
 * Makes batch->folder_fd the folder of entry i. Files mostly come sorted by folder, so keeping the
 * one of the file before spares nearly all of the opens.
 */
static int enter_folder(struct file_batch *batch, size_t i, bool make, struct err *err)
{
	const char *path = batch->v[i].path;
	const char *name;

	if (batch->folder_fd >= 0 && same_folder(&batch->v[batch->folder_of], &batch->v[i]))
		return 0;
	cleanup_close(&batch->folder_fd);
	/* In a large batch a new folder is synced with all the rest. */
	batch->folder_fd = make ? file_make_parent(batch->dirfd, path, !is_large(batch), &name, err)
				: file_open_parent(batch->dirfd, path, &name, err);
	batch->folder_of = i;
	return batch->folder_fd < 0 ? -1 : 0;
}

void file_batch_release(struct file_batch *batch)
{
	struct err ignored;

	for (size_t i = 0; i < batch->n; i++) {
		struct file_batch_entry *entry = &batch->v[i];

		if (entry->tmp && enter_folder(batch, i, false, &ignored) == 0)
			unlinkat(batch->folder_fd, entry->tmp, 0);
	}
	for (size_t i = 0; i < batch->n; i++) {
		free(batch->v[i].path);
		free(batch->v[i].tmp);
	}
	free(batch->v);
	cleanup_close(&batch->folder_fd);
	*batch = (struct file_batch)FILE_BATCH_INIT(batch->dirfd);
}

int file_batch_add(struct file_batch *batch, const char *path, const void *data, size_t len,
		   mode_t mode, struct err *err)
{
	const char *name = file_basename(path);
	struct file_batch_entry *entry;
	AUTO_CLOSE int fd = -1;

	if (!name)
		return err_set(err, ERR_SYSTEM, "'%s' does not name a file", path);
	GROW(batch->v, batch->n, batch->alloc);
	entry = &batch->v[batch->n++];
	*entry = (struct file_batch_entry) {
		.path = xstrdup(path),
		.name_at = (size_t)(name - path),
	};
	if (enter_folder(batch, batch->n - 1, true, err) < 0)
		return err_wrap(err, "replace '%s'", path);
	entry->tmp = file_tmp_name(name);
	fd = file_write_new(batch->folder_fd, entry->tmp, data, len, mode, err);
	return fd < 0 ? err_wrap(err, "replace '%s'", path) : 0;
}

static int sync_each_file(struct file_batch *batch, struct err *err)
{
	for (size_t i = 0; i < batch->n; i++) {
		struct file_batch_entry *entry = &batch->v[i];
		AUTO_CLOSE int fd = -1;

		if (!entry->tmp)
			continue;
		if (enter_folder(batch, i, false, err) < 0)
			return err_wrap(err, "sync '%s'", entry->path);
		fd = openat(batch->folder_fd, entry->tmp,
			    O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || fsync(fd) < 0)
			return err_errno(err, "sync '%s'", entry->path);
	}
	return 0;
}

static bool is_new_device(dev_t device, dev_t *seen, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (seen[i] == device)
			return false;
	if (*n < DEVICES_MAX)
		seen[*n] = device;
	(*n)++;
	return true;
}

/* Files, names and new folders alike; syncfs(2) reports errors of write-back since Linux 5.8. */
static int sync_file_systems(struct file_batch *batch, struct err *err)
{
	dev_t seen[DEVICES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < batch->n; i++) {
		struct stat st;

		if (enter_folder(batch, i, false, err) < 0)
			return err_wrap(err, "sync '%s'", batch->v[i].path);
		if (fstat(batch->folder_fd, &st) < 0)
			return err_errno(err, "sync '%s'", batch->v[i].path);
		if (!is_new_device(st.st_dev, seen, &n))
			continue;
		if (n > DEVICES_MAX)
			return err_set(err, ERR_LIMIT, "the files are on more than %d file systems",
				       DEVICES_MAX);
		if (syncfs(batch->folder_fd) < 0)
			return err_errno(err, "sync the file system of '%s'", batch->v[i].path);
	}
	return 0;
}

int file_batch_sync(struct file_batch *batch, struct err *err)
{
	return is_large(batch) ? sync_file_systems(batch, err) : sync_each_file(batch, err);
}

static int compare_folder(const void *pa, const void *pb)
{
	const struct file_batch_entry *a = *(const struct file_batch_entry *const *)pa;
	const struct file_batch_entry *b = *(const struct file_batch_entry *const *)pb;

	if (a->name_at != b->name_at)
		return a->name_at < b->name_at ? -1 : 1;
	return memcmp(a->path, b->path, a->name_at);
}

static int sync_folders(struct file_batch *batch, struct err *err)
{
	AUTO_FREE struct file_batch_entry **order =
		xcalloc(batch->n, sizeof(struct file_batch_entry *));

	for (size_t i = 0; i < batch->n; i++)
		order[i] = &batch->v[i];
	qsort(order, batch->n, sizeof(struct file_batch_entry *), compare_folder);
	for (size_t i = 0; i < batch->n; i++) {
		if (i > 0 && same_folder(order[i - 1], order[i]))
			continue;
		if (enter_folder(batch, (size_t)(order[i] - batch->v), false, err) < 0)
			return -1;
		if (fsync(batch->folder_fd) < 0)
			return err_errno(err, "sync the folder of '%s'", order[i]->path);
	}
	return 0;
}

int file_batch_publish(struct file_batch *batch, struct err *err)
{
	for (size_t i = 0; i < batch->n; i++) {
		struct file_batch_entry *entry = &batch->v[i];
		const char *name = entry->path + entry->name_at;

		if (enter_folder(batch, i, false, err) < 0)
			return err_wrap(err, "replace '%s'", entry->path);
		if (renameat(batch->folder_fd, entry->tmp, batch->folder_fd, name) < 0)
			return err_errno(err, "replace '%s'", entry->path);
		free(STEAL(entry->tmp));
	}
	return is_large(batch) ? sync_file_systems(batch, err) : sync_folders(batch, err);
}
