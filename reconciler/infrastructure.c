#include "reconciler/infrastructure.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"

#define MEMINFO_MAX (64 << 10)
#define DAY_S 86400
#define EXPIRY_WARNING_S (14 * DAY_S)
/* Per cent that have to be free, and so many more before an ill one is well again. */
#define INODES_LOW 5
#define MEMORY_LOW 8
#define MEMORY_OUT 2
#define RECOVERY 2
/* Space is judged by both, or a tenth of a large disk would be called nothing. */
#define SPACE_LOW 10
#define SPACE_LOW_BYTES (2LL << 30)
#define SPACE_OUT 2
#define SPACE_OUT_BYTES (100LL << 20)

/* Whatever is written goes to one of these. */
static const char *const written[] = {"/var/lib/dynia", "/opt/dynia", "/var/log",
				      "/run",           "/etc",       "/var/lib/docker"};

/* --- file systems -------------------------------------------------------------------- */

static int percent(uint64_t part, uint64_t whole)
{
	return whole ? (int)((double)part * 100 / (double)whole) : 100;
}

static void judge_space(const struct statvfs *fs, const char *path, int more, struct pool *pool,
			struct level_health *ret)
{
	uint64_t unit = fs->f_frsize ? fs->f_frsize : fs->f_bsize;
	uint64_t free_bytes = (uint64_t)fs->f_bavail * unit;
	int left = percent(fs->f_bavail, fs->f_blocks);

	if (left < SPACE_OUT + more && free_bytes < SPACE_OUT_BYTES)
		level_add(ret, pool, "failed", REASON_DISK_FULL, "%s is full", path);
	else if (left < SPACE_LOW + more && free_bytes < SPACE_LOW_BYTES)
		level_add(ret, pool, "degraded", REASON_DISK_NEARLY_FULL,
			  "less than %d %% of %s is free", SPACE_LOW, path);
}

/* Some file systems (btrfs) have no fixed number of them, and say 0. */
static void judge_inodes(const struct statvfs *fs, const char *path, int more, struct pool *pool,
			 struct level_health *ret)
{
	if (!fs->f_files)
		return;
	if (!fs->f_favail)
		level_add(ret, pool, "failed", REASON_DISK_FULL, "%s has no inodes left", path);
	else if (percent(fs->f_favail, fs->f_files) < INODES_LOW + more)
		level_add(ret, pool, "degraded", REASON_DISK_NEARLY_FULL,
			  "less than %d %% of the inodes of %s are free", INODES_LOW, path);
}

void file_system_judge(const struct statvfs *fs, const char *path, bool was_ill, struct pool *pool,
		       struct level_health *ret)
{
	int more = was_ill ? RECOVERY : 0;

	if (!fs->f_blocks)
		return;
	if (fs->f_flag & ST_RDONLY)
		level_add(ret, pool, "failed", REASON_DISK_READ_ONLY, "%s takes no writes", path);
	judge_space(fs, path, more, pool, ret);
	judge_inodes(fs, path, more, pool, ret);
}

static bool is_known(const dev_t *seen, size_t n, dev_t id)
{
	for (size_t i = 0; i < n; i++)
		if (seen[i] == id)
			return true;
	return false;
}

/* A folder that is not there is on no file system of its own. */
static void look_at_file_systems(const struct root *root, bool was_ill, struct pool *pool,
				 struct level_health *ret)
{
	dev_t seen[ARRAY_SIZE(written)] = {0};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(written); i++) {
		struct err ignored;
		AUTO_CLOSE int fd =
			file_open_in(root->fd, written[i], O_PATH | O_DIRECTORY, 0, &ignored);
		struct statvfs fs;
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0 ||
		    is_known(seen, n, st.st_dev))
			continue;
		seen[n++] = st.st_dev;
		file_system_judge(&fs, written[i], was_ill, pool, ret);
	}
}

/* --- memory -------------------------------------------------------------------------- */

/* The number behind a label at the beginning of a line, in KiB; -1 where there is none. */
static int64_t field(const char *text, const char *label)
{
	size_t len = strlen(label);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, label, len) == 0) {
			char *end;
			long long value = strtoll(line + len, &end, 10);

			return end != line + len && value >= 0 ? value : -1;
		}
	}
	return -1;
}

void memory_judge(const char *text, bool was_ill, struct pool *pool, struct level_health *ret)
{
	int64_t total = text ? field(text, "MemTotal:") : -1;
	int64_t available = text ? field(text, "MemAvailable:") : -1;
	int more = was_ill ? RECOVERY : 0;
	int left;

	if (total <= 0 || available < 0) {
		level_add(ret, pool, "unknown", REASON_NOT_OBSERVED,
			  "how much memory is free cannot be told");
		return;
	}
	left = percent((uint64_t)available, (uint64_t)total);
	if (left < MEMORY_OUT + more)
		level_add(ret, pool, "failed", REASON_MEMORY_EXHAUSTED,
			  "less than %d %% of the memory is free", MEMORY_OUT);
	else if (left < MEMORY_LOW + more)
		level_add(ret, pool, "degraded", REASON_MEMORY_LOW,
			  "less than %d %% of the memory is free", MEMORY_LOW);
}

/* --- certificates -------------------------------------------------------------------- */

void certificates_judge(const struct certificates *certificates, int64_t now_s, struct pool *pool,
			struct level_health *ret)
{
	for (size_t i = 0; i < certificates->n; i++) {
		const struct certificate *c = &certificates->v[i];
		char on[CLOCK_TEXT_SIZE];

		if (c->broken) {
			level_add(ret, pool, "degraded", REASON_CERTIFICATE_BROKEN,
				  "certificate %s is not used: %s", c->file, c->broken);
			continue;
		}
		if (!c->not_after_s || c->not_after_s - now_s >= EXPIRY_WARNING_S)
			continue;
		clock_format(c->not_after_s, on);
		if (c->not_after_s <= now_s)
			level_add(ret, pool, "failed", REASON_CERTIFICATE_EXPIRED,
				  "certificate %s ended on %.10s", c->file, on);
		else
			level_add(ret, pool, "degraded", REASON_CERTIFICATE_EXPIRES,
				  "certificate %s ends on %.10s", c->file, on);
	}
}

void infrastructure_look(const struct root *root, const struct certificates *certificates,
			 int64_t now_s, bool was_ill, struct pool *pool, struct level_health *ret)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err ignored;
	bool known = file_read("/proc/meminfo", MEMINFO_MAX, &text, &ignored) == 0;

	look_at_file_systems(root, was_ill, pool, ret);
	memory_judge(known ? text.buf : NULL, was_ill, pool, ret);
	if (certificates)
		certificates_judge(certificates, now_s, pool, ret);
}
