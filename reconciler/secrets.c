#include "reconciler/secrets.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "base/file.h"
#include "spec/load.h"

#define SECRETS_SIZE_MAX (1 << 20)

static int check_private(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat '%s'", path);
	if (st.st_mode & 077)
		return err_set(err, ERR_CONFIG, "'%s' has mode %04o: run chmod 600 on it", path,
			       (unsigned)(st.st_mode & 07777));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, ERR_CONFIG,
			       "'%s' belongs to another user: run chown root on it", path);
	return 0;
}

int secret_file_read(const struct root *root, const char *path, size_t limit, struct strbuf *ret,
		     struct err *err)
{
	AUTO_CLOSE int fd = file_open_in(root->fd, path, O_RDONLY | O_NONBLOCK, 0, err);

	if (fd < 0 || check_private(fd, path, err) < 0 ||
	    file_read_fd(fd, path, limit, ret, err) < 0)
		return -1;
	strbuf_trim(ret);
	return 0;
}

int secrets_read(const struct root *root, struct pool *pool, struct secrets *ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT;
	AUTO_CLOSE int fd = -1;
	int there = file_stat_in(root->fd, PATH_SECRETS, NULL, err);

	memset(ret, 0, sizeof(*ret));
	if (there <= 0)
		return there;
	fd = file_open_in(root->fd, PATH_SECRETS, O_RDONLY | O_NONBLOCK, 0, err);
	if (fd < 0 || check_private(fd, PATH_SECRETS, err) < 0)
		return -1;
	if (file_read_fd(fd, PATH_SECRETS, SECRETS_SIZE_MAX, &text, err) < 0)
		return -1;
	/* The parser borrows from nothing: what it keeps is in the pool. */
	ret->pairs = secrets_load(PATH_SECRETS, text.buf, text.len, pool, &diags);
	if (diags.n) {
		diag_text(&diags.v[0], &first);
		return err_set(err, ERR_CONFIG, "%s", first.buf);
	}
	sha256_hex(text.buf, text.len, ret->digest);
	explicit_bzero(text.buf, text.len);
	return 0;
}

const char *secrets_lookup(void *arg, const char *name)
{
	const struct secrets *secrets = arg;

	for (size_t i = 0; secrets->pairs && i < secrets->pairs->n; i++)
		if (strcmp(secrets->pairs->v[i].name, name) == 0)
			return secrets->pairs->v[i].value;
	return NULL;
}

/* Shorter ones would be found everywhere, and hide nothing that could not be guessed. */
#define MASKED_MIN 4

static void mask_value(struct err *err, const char *name, const char *value)
{
	CLEANUP(strbuf_release) struct strbuf masked = STRBUF_LIMITED(sizeof(err->msg) - 1);
	const char *rest = err->msg;
	const char *found;

	while ((found = strstr(rest, value))) {
		strbuf_add(&masked, rest, (size_t)(found - rest));
		strbuf_addf(&masked, "(secret %s)", name);
		rest = found + strlen(value);
	}
	strbuf_addstr(&masked, rest);
	memcpy(err->msg, masked.buf, masked.len + 1);
}

void secrets_mask(const struct secrets *secrets, struct err *err)
{
	for (size_t i = 0; secrets->pairs && i < secrets->pairs->n; i++) {
		const struct spec_pair *pair = &secrets->pairs->v[i];

		if (strlen(pair->value) >= MASKED_MIN && strstr(err->msg, pair->value))
			mask_value(err, pair->name, pair->value);
	}
}
