#include "gitsync/upkeep.h"

#include <fcntl.h>
#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strvec.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"

#define PACKS_MAX 40
/* Of 256 folders this is one: objects are spread evenly over them. */
#define SAMPLE "objects/17"
#define SAMPLE_MAX 4
/* To write a large pack again costs more than to have it. */
#define LARGE_BYTES ((off_t)64 << 20)
#define IDX ".idx"

/* Of the packbuilder: it would keep 256 MiB of deltas, and compare files of half a gigabyte. */
static const struct {
	const char *key;
	int64_t value;
} memory[] = {
	{"pack.deltaCacheSize", 8 << 20},
	{"pack.windowMemory", 32 << 20},
	{"core.bigFileThreshold", 8 << 20},
};

static void packbuilder_freep(git_packbuilder **p)
{
	git_packbuilder_free(*p);
}

static void config_freep(git_config **p)
{
	git_config_free(*p);
}

static char *in_packs(const struct mirror *m, const char *stem, const char *ending)
{
	return xasprintf("%s/objects/pack/%s%s", m->path, stem, ending);
}

/* "pack-1234" of every pack that has its index and is not large. */
static int list_packs(const struct mirror *m, struct strvec *ret, struct err *err)
{
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;
	AUTO_CLOSE int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "open '%s'", m->path);
	if (file_list_in(fd, "objects/pack", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		size_t len = strlen(names.v[i]);
		struct stat st;

		if (len <= strlen(IDX) || strcmp(names.v[i] + len - strlen(IDX), IDX) != 0)
			continue;
		names.v[i][len - strlen(IDX)] = '\0';
		AUTO_FREE char *pack = in_packs(m, names.v[i], ".pack");

		if (stat(pack, &st) == 0 && st.st_size < LARGE_BYTES)
			strvec_push(ret, names.v[i]);
	}
	return 0;
}

bool mirror_is_cluttered(const struct mirror *m)
{
	CLEANUP(strvec_release) struct strvec packs = STRVEC_INIT, loose = STRVEC_INIT;
	AUTO_CLOSE int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err ignored;

	if (fd < 0 || list_packs(m, &packs, &ignored) < 0 ||
	    file_list_in(fd, SAMPLE, &loose, &ignored) < 0)
		return false;
	return packs.n > PACKS_MAX || loose.n > SAMPLE_MAX;
}

/* What is in one pack, or in the loose objects where stem is NULL, and nothing else. */
static int open_part(const struct mirror *m, const char *stem, git_odb **ret, struct err *err)
{
	AUTO_FREE char *index = in_packs(m, stem ? stem : "", IDX);
	AUTO_FREE char *objects = xasprintf("%s/objects", m->path);
	git_odb_backend *backend;
	int rc = stem ? git_odb_backend_one_pack(&backend, index)
		      : git_odb_backend_loose(&backend, objects, -1, 1, 0, 0);

	if (rc < 0 || git_odb_new(ret) < 0)
		return git_fail(err, "open %s of '%s'", stem ? stem : "the loose objects", m->path);
	/* The database has it then. */
	if (git_odb_add_backend(*ret, backend, 1) < 0) {
		backend->free(backend);
		git_odb_free(STEAL(*ret));
		return git_fail(err, "open %s of '%s'", stem ? stem : "the loose objects", m->path);
	}
	return 0;
}

/* --- packing ------------------------------------------------------------------------- */

static int insert(const git_oid *id, void *builder)
{
	return git_packbuilder_insert(builder, id, NULL);
}

static int insert_part(const struct mirror *m, const char *stem, git_packbuilder *builder,
		       struct err *err)
{
	CLEANUP(odb_freep) git_odb *part = NULL;

	if (open_part(m, stem, &part, err) < 0)
		return -1;
	return git_odb_foreach(part, insert, builder) < 0
		       ? git_fail(err, "read %s of '%s'", stem ? stem : "the loose objects",
				  m->path)
		       : 0;
}

static int limit_memory(struct mirror *m, struct err *err)
{
	CLEANUP(config_freep) git_config *config = NULL;

	if (git_repository_config(&config, m->repo) < 0)
		return git_fail(err, "read the configuration of '%s'", m->path);
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++) {
		int64_t there;

		if (git_config_get_int64(&there, config, memory[i].key) == 0 &&
		    there == memory[i].value)
			continue;
		if (git_config_set_int64(config, memory[i].key, memory[i].value) < 0)
			return git_fail(err, "write the configuration of '%s'", m->path);
	}
	return 0;
}

static void name_of(git_packbuilder *builder, char ret[GIT_OID_HEX])
{
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 5
	AUTO_FREE char *name = xstrndup(git_packbuilder_name(builder), GIT_OID_HEX - 1);

	memcpy(ret, name, strlen(name) + 1);
#else
	git_oid_tostr(ret, GIT_OID_HEX, git_packbuilder_hash(builder));
#endif
}

int mirror_pack(struct mirror *m, char ret_name[GIT_OID_HEX], struct err *err)
{
	CLEANUP(packbuilder_freep) git_packbuilder *builder = NULL;
	CLEANUP(strvec_release) struct strvec packs = STRVEC_INIT;
	AUTO_FREE char *folder = in_packs(m, "", "");

	if (list_packs(m, &packs, err) < 0 || limit_memory(m, err) < 0)
		return -1;
	if (git_packbuilder_new(&builder, m->repo) < 0)
		return git_fail(err, "pack '%s'", m->path);
	git_packbuilder_set_threads(builder, 1);
	if (insert_part(m, NULL, builder, err) < 0)
		return -1;
	for (size_t i = 0; i < packs.n; i++)
		if (insert_part(m, packs.v[i], builder, err) < 0)
			return -1;
	if (git_packbuilder_write(builder, folder, 0444, NULL, NULL) < 0)
		return git_fail(err, "write a pack of '%s'", m->path);
	name_of(builder, ret_name);
	return 0;
}

/* --- pruning ------------------------------------------------------------------------- */

struct covered {
	const struct mirror *m;
	git_odb *by;
};

static int is_outside(const git_oid *id, void *arg)
{
	const struct covered *covered = arg;

	return git_odb_exists(covered->by, id) ? 0 : 1;
}

static int sync_file(const char *path, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_errno(err, "sync '%s'", path) : 0;
}

static int make_durable(const struct mirror *m, const char *stem, struct err *err)
{
	AUTO_FREE char *pack = in_packs(m, stem, ".pack");
	AUTO_FREE char *index = in_packs(m, stem, IDX);
	AUTO_FREE char *folder = in_packs(m, "", "");

	return sync_file(pack, err) < 0 || sync_file(index, err) < 0 || sync_file(folder, err) < 0
		       ? -1
		       : 0;
}

/* Without its index a pack is none: first that goes. */
static int prune_pack(const struct covered *covered, const char *stem, struct err *err)
{
	AUTO_FREE char *pack = in_packs(covered->m, stem, ".pack");
	AUTO_FREE char *index = in_packs(covered->m, stem, IDX);
	CLEANUP(odb_freep) git_odb *part = NULL;
	int outside;

	if (open_part(covered->m, stem, &part, err) < 0)
		return -1;
	outside = git_odb_foreach(part, is_outside, (void *)covered);
	if (outside < 0)
		return git_fail(err, "read %s of '%s'", stem, covered->m->path);
	if (outside)
		return 0;
	if (unlink(index) < 0 || unlink(pack) < 0)
		return err_errno(err, "remove '%s'", pack);
	return 0;
}

static int prune_loose(const git_oid *id, void *arg)
{
	const struct covered *covered = arg;
	char hex[GIT_OID_HEX];
	AUTO_FREE char *path = NULL;

	if (!git_odb_exists(covered->by, id))
		return 0;
	git_oid_tostr(hex, sizeof(hex), id);
	path = xasprintf("%s/objects/%.2s/%s", covered->m->path, hex, hex + 2);
	/* What stays is in the way of nothing, and goes the next time. */
	unlink(path);
	return 0;
}

static int reopen(struct mirror *m, struct err *err)
{
	git_repository *fresh;

	if (git_repository_open_bare(&fresh, m->path) < 0)
		return git_fail(err, "open '%s'", m->path);
	git_repository_free(m->repo);
	m->repo = fresh;
	return 0;
}

static int prune(struct mirror *m, const char *stem, struct err *err)
{
	CLEANUP(odb_freep) git_odb *by = NULL, *loose = NULL;
	CLEANUP(strvec_release) struct strvec packs = STRVEC_INIT;
	struct covered covered = {.m = m};

	if (make_durable(m, stem, err) < 0 || list_packs(m, &packs, err) < 0 ||
	    open_part(m, stem, &by, err) < 0 || open_part(m, NULL, &loose, err) < 0)
		return -1;
	covered.by = by;
	for (size_t i = 0; i < packs.n; i++)
		if (strcmp(packs.v[i], stem) != 0 && prune_pack(&covered, packs.v[i], err) < 0)
			return -1;
	return git_odb_foreach(loose, prune_loose, &covered) < 0
		       ? git_fail(err, "read the loose objects of '%s'", m->path)
		       : 0;
}

int mirror_prune(struct mirror *m, const char *name, struct err *err)
{
	AUTO_FREE char *stem = xasprintf("pack-%s", name);
	struct err ignored;

	if (m->snapshots)
		return err_set(err, ERR_GIT, "the mirror '%s' is in use", m->path);
	if (prune(m, stem, err) < 0) {
		/* Some may be gone already. */
		reopen(m, &ignored);
		return -1;
	}
	return reopen(m, err);
}
