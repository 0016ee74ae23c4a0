#include "gitsync/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "gitsync/worker_internal.h"

#define SECRET_MAX ((size_t)64 << 10)
#define TEXT_MAX ((size_t)2 << 20)

static const char *place(const struct remote *remote)
{
	return remote->credentials_at ? remote->credentials_at : "credentials";
}

static int read_text(const struct remote *remote, const char *what, const char *path,
		     struct strbuf *ret, struct err *err)
{
	int failed = remote->root_fd > 0 ? file_read_in(remote->root_fd, path, TEXT_MAX, ret, err)
					 : file_read(path, TEXT_MAX, ret, err);

	return failed ? err_wrap(err, "%s", what) : 0;
}

static int open_file(const struct remote *remote, const char *path, struct err *err)
{
	int fd;

	if (remote->root_fd > 0)
		return file_open_in(remote->root_fd, path, O_RDONLY | O_NONBLOCK, 0, err);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? err_errno(err, "open '%s'", path) : fd;
}

/* `what` is a key of the credentials. */
static int read_secret(const struct remote *remote, const char *what, const char *path,
		       struct strbuf *ret, struct err *err)
{
	AUTO_CLOSE int fd = open_file(remote, path, err);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_WAITS,
			       "waits for its credentials: %s.%s '%s' is not there yet",
			       place(remote), what, path);
	if (fd < 0)
		return err_wrap(err, "%s.%s", place(remote), what);
	if (fstat(fd, &st) < 0)
		return err_errno(err, "%s.%s: read '%s'", place(remote), what, path);
	if (st.st_mode & 077)
		return err_set(err, ERR_CONFIG,
			       "%s.%s: '%s' can be read by others (mode %03o): chmod 600 it",
			       place(remote), what, path, (unsigned)st.st_mode & 0777);
	if (file_read_fd(fd, path, SECRET_MAX, ret, err) < 0)
		return err_wrap(err, "%s.%s", place(remote), what);
	return 0;
}

static int add_password(const struct remote *remote, json_t *request, struct err *err)
{
	const struct credentials *who = remote->credentials;
	CLEANUP(strbuf_wipe) struct strbuf password = STRBUF_INIT;
	json_t *text;

	if (!who || !who->password_file)
		return 0;
	if (read_secret(remote, "password_file", who->password_file, &password, err) < 0)
		return -1;
	strbuf_trim(&password);
	text = json_stringn(password.buf, password.len);
	if (password.len == 0 || strpbrk(password.buf, "\r\n") || !text ||
	    strlen(password.buf) != password.len) {
		json_decref(text);
		return err_set(err, ERR_CONFIG, "%s.password_file: '%s' must hold one line of text",
			       place(remote), who->password_file);
	}
	json_object_set_new(request, "username", json_string(who->username));
	json_object_set_new(request, "password", text);
	return 0;
}

static int add_https(const struct remote *remote, json_t *request, struct worker_folder *folder,
		     struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf ca = STRBUF_INIT;

	(void)folder;
	if (remote->ca_file) {
		if (read_text(remote, "ca_file", remote->ca_file, &ca, err) < 0)
			return -1;
		if (!strstr(ca.buf, "-----BEGIN CERTIFICATE-----") ||
		    json_object_set_new(request, "ca", json_stringn(ca.buf, ca.len)) < 0)
			return err_set(err, ERR_CONFIG, "ca_file: '%s' holds no PEM certificate",
				       remote->ca_file);
	}
	if (remote->proxy)
		json_object_set_new(request, "proxy", json_string(remote->proxy));
	return add_password(remote, request, err);
}

static int add_ssh(const struct remote *remote, json_t *request, struct worker_folder *folder,
		   struct err *err)
{
	const struct credentials *who = remote->credentials;
	CLEANUP(strbuf_wipe) struct strbuf key = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf known = STRBUF_INIT;
	AUTO_FREE char *known_hosts = xasprintf("%s.known_hosts", place(remote));

	if (!who || !who->ssh_key || !who->known_hosts)
		return err_set(err, ERR_CONFIG,
			       "a repository over ssh needs %s.ssh_key and %s.known_hosts",
			       place(remote), place(remote));
	if (read_secret(remote, "ssh_key", who->ssh_key, &key, err) < 0 ||
	    read_text(remote, known_hosts, who->known_hosts, &known, err) < 0 ||
	    worker_folder_add(folder, WORKER_SSH_KEY, key.buf, key.len, err) < 0 ||
	    worker_folder_add(folder, WORKER_KNOWN_HOSTS, known.buf, known.len, err) < 0)
		return -1;
	json_object_set_new(request, "known_hosts", json_string(who->known_hosts));
	return 0;
}

static const struct {
	enum url_scheme scheme;
	int (*add)(const struct remote *remote, json_t *request, struct worker_folder *folder,
		   struct err *err);
} rows[] = {
	{URL_HTTPS, add_https},
	{URL_SSH, add_ssh},
};

int credentials_add(const struct remote *remote, enum url_scheme scheme, json_t *request,
		    struct worker_folder *folder, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].scheme == scheme)
			return rows[i].add(remote, request, folder, err);
	}
	return 0;
}
