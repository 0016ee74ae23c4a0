#include "reconciler/apply.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "reconciler/certificate.h"

/* Folders below these are removed when they are empty, and these are not. */
static const char *const managed_folders[] = {"/opt/dynia/sites", "/opt/dynia/compose",
					      "/opt/dynia"};

static int write_certificate(struct file_batch *batch, const struct out_file *file, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf pem = STRBUF_INIT;
	int failed;

	if (certificate_self_signed(file->data, &pem, err) < 0)
		return -1;
	failed = file_batch_add(batch, file->path, pem.buf, pem.len, file->mode, err);
	explicit_bzero(pem.buf, pem.len);
	return failed;
}

/* One that is there stays, unless it is what was found amiss. */
static int keep_certificate(const struct apply *a, const struct action *action, struct err *err)
{
	struct stat st;
	int there = file_stat_in(a->root->fd, action->what, &st, err);

	if (there <= 0)
		return there;
	return action->kind != ACTION_RESTORE && S_ISREG(st.st_mode) &&
	       (st.st_mode & 07777) == action->file->mode;
}

static int write_file(const struct apply *a, struct file_batch *batch, const struct action *action,
		      struct err *err)
{
	const struct out_file *file = action->file;
	int keep = file->certificate ? keep_certificate(a, action, err) : 0;

	if (keep)
		return keep < 0 ? -1 : 0;
	if (file->certificate)
		return write_certificate(batch, file, err);
	return file_batch_add(batch, file->path, file->data, file->len, file->mode, err);
}

/* The managed folder that the path is below, or NULL. */
static const char *managed_folder(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(managed_folders); i++) {
		size_t len = strlen(managed_folders[i]);

		if (strncmp(path, managed_folders[i], len) == 0 && path[len] == '/')
			return managed_folders[i];
	}
	return NULL;
}

static void prune_folders(const struct root *root, const char *path)
{
	const char *stop = managed_folder(path);

	if (stop)
		file_prune_dirs_in(root->fd, path, stop);
}

/* A folder that somebody put in the file's place is not ours, and what cannot be reached is not
 * there. */
static int remove_file(const struct root *root, const char *path, struct err *err)
{
	struct stat st;
	int there = file_stat_in(root->fd, path, &st, err);

	if (there < 0)
		return errno == ELOOP ? 0 : -1;
	return there && !S_ISDIR(st.st_mode) ? file_remove_in(root->fd, path, err) : 0;
}

static int remove_files(const struct apply *a, struct err *err)
{
	for (size_t i = 0; i < a->plan->n; i++) {
		const struct action *action = &a->plan->v[i];

		if (action->kind != ACTION_REMOVE)
			continue;
		if (remove_file(a->root, action->what, err) < 0)
			return -1;
		prune_folders(a->root, action->what);
	}
	return 0;
}

/* Is it there, and no folder, nor a link to one? A link that leads nowhere may wait for a disk. */
static bool blocks_the_way(const struct root *root, const char *folder)
{
	struct err ignored;
	AUTO_CLOSE int fd = file_open_in(root->fd, folder, O_PATH | O_DIRECTORY, 0, &ignored);

	return fd < 0 && (errno == ENOTDIR || errno == ELOOP);
}

/* A managed file that the repository made a folder of, or what somebody put in a managed folder's
 * place, goes before anything can be put into the folder. */
static int clear_folders(const struct apply *a, const struct action *action, struct err *err)
{
	AUTO_FREE char *path = xstrdup(action->what);

	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if ((index_find(a->now, path) ||
		     (action->kind != ACTION_CREATE && managed_folder(path))) &&
		    blocks_the_way(a->root, path) && file_remove_in(a->root->fd, path, err) < 0)
			return -1;
		*slash = '/';
	}
	return 0;
}

/* The same where a folder stands in the place of a file that was there before. */
static int clear_the_way(const struct root *root, const struct action *action, struct err *err)
{
	struct stat st;
	int there;

	if (action->kind != ACTION_RESTORE && action->kind != ACTION_UPDATE)
		return 0;
	there = file_stat_in(root->fd, action->what, &st, err);
	if (there <= 0 || !S_ISDIR(st.st_mode))
		return there < 0 ? -1 : 0;
	return file_remove_tree_in(root->fd, action->what, err);
}

static int stage_files(const struct apply *a, struct file_batch *batch, struct err *err)
{
	for (size_t i = 0; i < a->plan->n; i++) {
		const struct action *action = &a->plan->v[i];

		if (action->file &&
		    (clear_folders(a, action, err) < 0 || write_file(a, batch, action, err) < 0))
			return -1;
	}
	return file_batch_sync(batch, err);
}

/* A folder of somebody else's is left alone: the commit that wants its place cannot have it. */
static int check_the_way(const struct root *root, const struct action *action, struct err *err)
{
	struct stat st;
	int there = action->file ? file_stat_in(root->fd, action->what, &st, err) : 0;

	if (there <= 0 || !S_ISDIR(st.st_mode))
		return there < 0 ? -1 : 0;
	return err_set(err, ERR_APPLY, "'%s' is a folder that dynia did not make: move it away",
		       action->what);
}

/* What goes makes room first: where it was a folder, there may be a file now. */
static int change_files(const struct apply *a, struct file_batch *batch, struct err *err)
{
	if (remove_files(a, err) < 0)
		return -1;
	for (size_t i = 0; i < a->plan->n; i++)
		if (clear_the_way(a->root, &a->plan->v[i], err) < 0 ||
		    check_the_way(a->root, &a->plan->v[i], err) < 0)
			return -1;
	return file_batch_publish(batch, err);
}

static int act(const struct apply *a, struct pool *pool, const struct action *action,
	       struct err *err)
{
	const struct runtime_context rt = {.root = a->root, .pool = pool, .at = action->at};
	const char *config = watch_config(a->watch, action->program);

	switch (action->kind) {
	case ACTION_START:
		return action->ops->start(&rt, action->program, config, err);
	case ACTION_RELOAD:
		return action->ops->reload(&rt, action->program, config, err);
	case ACTION_STOP:
		return action->ops->stop(&rt, action->program, err);
	default:
		return 0;
	}
}

static int change_programs(const struct apply *a, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	for (size_t i = 0; i < a->plan->n; i++) {
		if (a->plan->v[i].kind >= ACTION_RUN)
			continue;
		a->progress(&a->plan->v[i]);
		if (act(a, pool, &a->plan->v[i], err) < 0)
			return -1;
	}
	return 0;
}

/* A file that did not change keeps what stat said of it; the others are looked at. */
static int record_files(const struct apply *a, struct err *err)
{
	if (index_carry_over(a->want, a->now))
		return 0;
	for (size_t i = 0; i < a->want->n; i++)
		if (!a->want->v[i].inode && index_stat(a->root, &a->want->v[i], err) < 0)
			return -1;
	return 0;
}

static int change_what_runs(const struct apply *a, struct err *err)
{
	if ((a->services && services_apply(a->services, err) < 0) || change_programs(a, err) < 0)
		return -1;
	return a->services ? services_remove(a->services, err) : 0;
}

static bool changes_files(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].kind <= ACTION_REMOVE)
			return true;
	return false;
}

/* The journal comes after the staging: a disk that is full stops an apply before anything has
 * changed. */
int apply_plan(const struct apply *a, struct err *err)
{
	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(a->root->fd);
	struct err journal = {0};

	/* What programs and containers run is asked of them, so nothing has to be written down: a program that
	 * died comes back although the disk is full. */
	if (!a->unfinished && !changes_files(a->plan) && index_carry_over(a->want, a->now))
		return change_what_runs(a, err);
	if (stage_files(a, &batch, err) < 0)
		return -1;
	if (index_write(a->root, PATH_JOURNAL, a->want, err) < 0)
		return err_wrap(err, "write the journal");
	if (change_files(a, &batch, err) < 0 || change_what_runs(a, err) < 0 ||
	    record_files(a, err) < 0)
		return -1;
	if (index_write(a->root, PATH_INDEX, a->want, err) < 0)
		return err_wrap(err, "write the index");
	/* The new generation is there, whatever becomes of its journal: where that stays, the next
	 * pass looks once more. */
	if (file_remove_in(a->root->fd, PATH_JOURNAL, &journal) < 0)
		log_warn("%s", journal.msg);
	return 0;
}

/* --- generations --------------------------------------------------------------------- */

static json_t *generation_to_json(int64_t generation, const char *revision, int64_t at_s,
				  const struct plan *plan)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	json_t *changes = json_array();
	char at[CLOCK_TEXT_SIZE];

	clock_format(at_s, at);
	for (size_t i = 0; i < plan->n; i++) {
		const struct action *action = &plan->v[i];

		json_array_append_new(changes,
				      json_pack("{ss ss ss}", "action", action_verb(action->kind),
						"what", action->what, "because",
						action_because(pool, action)));
	}
	return json_pack("{si sI ss ss so}", "version", 1, "generation", (json_int_t)generation,
			 "revision", revision, "at", at, "changes", changes);
}

/* A kill in the middle of file_replace_in(). */
static bool is_leftover(const char *name)
{
	size_t len = strlen(name), suffix = strlen(FILE_TMP_SUFFIX);

	return len > suffix && strcmp(name + len - suffix, FILE_TMP_SUFFIX) == 0;
}

static int prune_generations(const struct root *root, int64_t newest, int64_t good, struct err *err)
{
	AUTO_CLOSE int fd =
		file_open_in(root->fd, PATH_GENERATIONS, O_RDONLY | O_DIRECTORY, 0, err);
	DIR *dir;
	const struct dirent *entry;

	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir)
		return err_errno(err, "list '%s'", PATH_GENERATIONS);
	STEAL_FD(fd); /* closedir(3) closes it */
	while ((entry = readdir(dir))) {
		char *end;
		int64_t n = strtoll(entry->d_name, &end, 10);

		if (is_leftover(entry->d_name) || (n > 0 && n <= newest - GENERATIONS_KEEP &&
						   n != good && strcmp(end, ".json") == 0))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return 0;
}

int generation_record(const struct root *root, int64_t generation, const char *revision,
		      int64_t at_s, const struct plan *plan, int64_t good, struct err *err)
{
	json_t *object = generation_to_json(generation, revision, at_s, plan);
	char *text = json_dumps(object, JSON_INDENT(1));
	AUTO_FREE char *path = xasprintf("%s/%" PRId64 ".json", PATH_GENERATIONS, generation);
	int failed = file_replace_in(root->fd, path, text, strlen(text), 0600, err);

	free(text);
	json_decref(object);
	return failed < 0 ? -1 : prune_generations(root, generation, good, err);
}
