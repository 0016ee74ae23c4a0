#include "reconciler/index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "reconciler/certificate.h"
#include "render/layout.h"

#define INDEX_HEADER "dynia-index 1\n"
#define INDEX_SIZE_MAX (64 << 20)
#define MANAGED_SIZE_MAX (64 << 20)

void index_init(struct index *index)
{
	memset(index, 0, sizeof(*index));
	index->pool = pool_new();
}

void index_release(struct index *index)
{
	free(index->v);
	pool_free(index->pool);
	memset(index, 0, sizeof(*index));
}

struct index_entry *index_add(struct index *index, const struct index_entry *entry)
{
	struct index_entry *e;

	GROW(index->v, index->n, index->alloc);
	e = &index->v[index->n++];
	*e = *entry;
	e->path = pool_strdup(index->pool, entry->path);
	e->service = entry->service ? pool_strdup(index->pool, entry->service) : NULL;
	return e;
}

static int compare_paths(const void *a, const void *b)
{
	const struct index_entry *x = a;
	const struct index_entry *y = b;

	return strcmp(x->path, y->path);
}

void index_sort(struct index *index)
{
	if (index->n)
		qsort(index->v, index->n, sizeof(*index->v), compare_paths);
}

void index_from_fileset(struct index *index, const struct fileset *set)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct out_file *f = &set->v[i];
		struct index_entry entry = {
			.path = f->path,
			.mode = f->mode,
			.program = f->program,
			.service = f->service,
		};

		if (!f->certificate)
			sha256_hex(f->data, f->len, entry.sha256);
		index_add(index, &entry);
	}
	index_sort(index);
}

struct index_entry *index_find(const struct index *index, const char *path)
{
	struct index_entry key = {.path = path};

	if (!index->n)
		return NULL;
	return bsearch(&key, index->v, index->n, sizeof(*index->v), compare_paths);
}

bool index_has_program(const struct index *index, enum program program)
{
	for (size_t i = 0; i < index->n; i++)
		if (index->v[i].program == program)
			return true;
	return false;
}

/* --- on disk: one line a file, the path last ----------------------------------------- */

static void write_entry(struct strbuf *out, const struct index_entry *e)
{
	strbuf_addf(out, "file %04o %s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %d %s %s\n",
		    (unsigned)e->mode, e->sha256[0] ? e->sha256 : "-", e->size, e->inode,
		    e->mtime_ns, e->ctime_ns, (int)e->program, e->service ? e->service : "-",
		    e->path);
}

int index_write(const struct root *root, const char *path, const struct index *index,
		struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	strbuf_addstr(&out, INDEX_HEADER);
	strbuf_addf(&out, "revision %s\ngeneration %" PRId64 "\n",
		    index->revision[0] ? index->revision : "-", index->generation);
	for (size_t i = 0; i < index->n; i++)
		write_entry(&out, &index->v[i]);
	strbuf_addstr(&out, "end\n");
	return file_replace_in(root->fd, path, out.buf, out.len, 0600, err);
}

/* The next word of a line that is cut up in place; NULL where the line has ended. */
static char *next_word(char **line)
{
	char *word = *line;
	char *space;

	if (!word || !*word)
		return NULL;
	space = strchr(word, ' ');
	if (space)
		*space = '\0';
	*line = space ? space + 1 : NULL;
	return word;
}

static bool read_number(char **line, int base, int64_t *ret)
{
	const char *word = next_word(line);
	char *end = NULL;

	if (!word)
		return false;
	errno = 0;
	*ret = (int64_t)strtoll(word, &end, base);
	return errno == 0 && end != word && *end == '\0';
}

static bool read_entry(struct index *index, char *line)
{
	struct index_entry e = {0};
	int64_t mode, size, inode, program;
	const char *sha, *service;

	if (!read_number(&line, 8, &mode))
		return false;
	sha = next_word(&line);
	if (!sha || (strcmp(sha, "-") != 0 && strlen(sha) != SHA256_HEX_SIZE - 1))
		return false;
	if (!read_number(&line, 10, &size) || !read_number(&line, 10, &inode) ||
	    !read_number(&line, 10, &e.mtime_ns) || !read_number(&line, 10, &e.ctime_ns) ||
	    !read_number(&line, 10, &program))
		return false;
	service = next_word(&line);
	if (!service || !line || line[0] != '/' || program < 0 || program >= PROGRAM_COUNT)
		return false;
	e.mode = (mode_t)mode;
	e.size = (uint64_t)size;
	e.inode = (uint64_t)inode;
	e.program = (enum program)program;
	if (strcmp(sha, "-") != 0)
		memcpy(e.sha256, sha, SHA256_HEX_SIZE);
	e.service = strcmp(service, "-") != 0 ? service : NULL;
	e.path = line;
	index_add(index, &e);
	return true;
}

/* Takes one line; false where it is none of an index. `*done` at the line that ends it. */
static bool read_line(struct index *index, char *line, bool *done)
{
	char *rest = line;
	const char *word = next_word(&rest);

	if (!word)
		return false;
	if (strcmp(word, "end") == 0) {
		*done = true;
		return true;
	}
	if (strcmp(word, "file") == 0)
		return read_entry(index, rest);
	if (strcmp(word, "generation") == 0)
		return read_number(&rest, 10, &index->generation);
	if (strcmp(word, "revision") == 0 && rest) {
		if (strlen(rest) == GIT_OID_HEX - 1)
			memcpy(index->revision, rest, GIT_OID_HEX);
		return true;
	}
	return false;
}

int index_read(const struct root *root, const char *path, struct index *ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	int there = file_stat_in(root->fd, path, NULL, err);
	bool done = false;
	char *line;

	if (there <= 0)
		return there;
	if (file_read_in(root->fd, path, INDEX_SIZE_MAX, &text, err) < 0)
		return -1;
	if (strncmp(text.buf, INDEX_HEADER, strlen(INDEX_HEADER)) != 0)
		return err_set(err, ERR_SYSTEM, "'%s' is no index of this version", path);
	line = text.buf + strlen(INDEX_HEADER);
	while (!done) {
		char *end = strchr(line, '\n');

		if (!end)
			return err_set(err, ERR_SYSTEM, "'%s' ends too early", path);
		*end = '\0';
		if (!read_line(ret, line, &done))
			return err_set(err, ERR_SYSTEM, "'%s' is damaged", path);
		line = end + 1;
	}
	index_sort(ret);
	return 1;
}

/* --- against the disk ---------------------------------------------------------------- */

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void take_stat(struct index_entry *entry, const struct stat *st)
{
	entry->size = (uint64_t)st->st_size;
	entry->inode = (uint64_t)st->st_ino;
	entry->mtime_ns = nanoseconds(&st->st_mtim);
	entry->ctime_ns = nanoseconds(&st->st_ctim);
}

static bool same_stat(const struct index_entry *entry, const struct stat *st)
{
	return entry->inode == (uint64_t)st->st_ino && entry->size == (uint64_t)st->st_size &&
	       entry->mtime_ns == nanoseconds(&st->st_mtim) &&
	       entry->ctime_ns == nanoseconds(&st->st_ctim);
}

int index_stat(const struct root *root, struct index_entry *entry, struct err *err)
{
	struct stat st;
	int there = file_stat_in(root->fd, entry->path, &st, err);

	if (there < 0)
		return -1;
	if (!there)
		return err_set(err, ERR_SYSTEM, "'%s' has gone while it was put there",
			       entry->path);
	take_stat(entry, &st);
	return 0;
}

static bool carry_over(struct index_entry *e, const struct index_entry *was)
{
	if (!was || was->drift != DRIFT_NONE || !was->inode || was->mode != e->mode ||
	    strcmp(was->sha256, e->sha256) != 0)
		return false;
	e->size = was->size;
	e->inode = was->inode;
	e->mtime_ns = was->mtime_ns;
	e->ctime_ns = was->ctime_ns;
	return true;
}

bool index_carry_over(struct index *index, const struct index *from)
{
	bool all = true;

	for (size_t i = 0; i < index->n; i++)
		all &= carry_over(&index->v[i], index_find(from, index->v[i].path));
	return all;
}

/* Of the placeholder only that HAProxy can load it counts: its key is the node's own. */
static bool has_content(const struct index_entry *entry, const struct strbuf *text)
{
	const char *name = strrchr(entry->path, '/');
	char sha[SHA256_HEX_SIZE];

	if (entry->sha256[0]) {
		sha256_hex(text->buf, text->len, sha);
		return strcmp(sha, entry->sha256) == 0;
	}
	return strcmp(name + 1, PLACEHOLDER_PEM) != 0 || certificate_is_whole(text);
}

/* stat differs: is the content another one, too? */
static int compare_content(const struct root *root, struct index_entry *entry,
			   const struct stat *st, bool *ret_refreshed, struct err *err)
{
	CLEANUP(strbuf_wipe) struct strbuf text = STRBUF_INIT;

	entry->drift = DRIFT_EDITED;
	if (!S_ISREG(st->st_mode) || (st->st_mode & 07777) != entry->mode ||
	    st->st_size > MANAGED_SIZE_MAX)
		return 0;
	if (file_read_in(root->fd, entry->path, MANAGED_SIZE_MAX, &text, err) < 0)
		return -1;
	if (!has_content(entry, &text))
		return 0;
	entry->drift = DRIFT_NONE;
	take_stat(entry, st);
	*ret_refreshed = true;
	return 0;
}

/* The common case is a plain fstatat(): a symlink planted in the way shows as another inode, and
 * what then looks closer resolves in the root. */
static int verify_entry(const struct root *root, struct index_entry *entry, bool *ret_refreshed,
			struct err *err)
{
	struct stat st;
	int there;

	entry->drift = DRIFT_NONE;
	if (entry->inode && fstatat(root->fd, entry->path + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    same_stat(entry, &st))
		return 0;
	there = file_stat_in(root->fd, entry->path, &st, err);
	if (there > 0)
		return compare_content(root, entry, &st, ret_refreshed, err);
	/* A link in the way that leads round in a circle is drift, too. */
	if (there < 0 && errno != ELOOP)
		return -1;
	entry->drift = DRIFT_MISSING;
	return 0;
}

int index_verify(const struct root *root, struct index *index, bool *ret_refreshed, struct err *err)
{
	for (size_t i = 0; i < index->n; i++)
		if (verify_entry(root, &index->v[i], ret_refreshed, err) < 0)
			return -1;
	return 0;
}
