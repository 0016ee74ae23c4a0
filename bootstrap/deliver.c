#include "bootstrap/deliver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "spec/load.h"

#define FILE_MAX ((size_t)1 << 20)

static void release_json(json_t **json)
{
	json_decref(*json);
}

static void close_folder(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* --- which files -------------------------------------------------------------------------- */

enum kind { KIND_LINE, KIND_KEY, KIND_SECRETS };

/* What a node reads, by the key that names it. */
struct wanted {
	const char *key;
	const char *path; /* NULL: not asked for */
	enum kind kind;
	bool optional;
};

#define WANTED_MAX 7

static void list_wanted(const struct cluster *cluster, struct wanted ret[WANTED_MAX])
{
	static const struct agent_config nothing;
	const struct digitalocean *cloud = cluster->provider.digitalocean;
	const struct agent_config *agent = cloud && cloud->agent ? &cloud->agent->config : &nothing;
	const struct credentials *who = agent->credentials;
	const struct credentials *second = agent->status.credentials;
	const struct wanted all[WANTED_MAX] = {
		{"agent.credentials.password_file", who ? who->password_file : NULL, KIND_LINE,
		 false},
		{"agent.credentials.ssh_key", who ? who->ssh_key : NULL, KIND_KEY, false},
		{"agent.status.credentials.password_file", second ? second->password_file : NULL,
		 KIND_LINE, false},
		{"agent.status.credentials.ssh_key", second ? second->ssh_key : NULL, KIND_KEY,
		 false},
		{"agent.status.signing_key", agent->status.signing_key, KIND_KEY, false},
		{"agent.webhook.secret_file", agent->webhook ? agent->webhook->secret_file : NULL,
		 KIND_LINE, false},
		{"secrets", CREDENTIALS_FOLDER "secrets.yaml", KIND_SECRETS, true},
	};

	memcpy(ret, all, sizeof(all));
}

bool deliver_is_needed(const struct cluster *cluster)
{
	struct wanted wanted[WANTED_MAX];

	list_wanted(cluster, wanted);
	for (size_t i = 0; i < WANTED_MAX; i++)
		if (wanted[i].path && !wanted[i].optional)
			return true;
	return false;
}

/* The name within the one folder, or NULL. */
static const char *name_of(const char *path)
{
	size_t len = strlen(CREDENTIALS_FOLDER);

	return strncmp(path, CREDENTIALS_FOLDER, len) == 0 && !strchr(path + len, '/') ? path + len
										       : NULL;
}

static bool is_asked_for(const struct cluster *cluster, const struct wanted wanted[WANTED_MAX],
			 const char *name)
{
	for (size_t i = 0; i < WANTED_MAX; i++)
		if (wanted[i].path && name_of(wanted[i].path) &&
		    strcmp(name_of(wanted[i].path), name) == 0)
			return true;
	return cluster_find_node(cluster, name) != NULL;
}

/* A misspelt name would be a file that is left behind. */
static int check_names(const struct cluster *cluster, const char *folder,
		       const struct wanted wanted[WANTED_MAX], struct err *err)
{
	CLEANUP(close_folder) DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (!dir)
		return err_errno(err, "--credentials '%s'", folder);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !is_asked_for(cluster, wanted, entry->d_name))
			return err_set(err, ERR_CONFIG,
				       "--credentials: nobody asks for '%s/%s': "
				       "provider.digitalocean.agent names the files, and "
				       "secrets.yaml is one",
				       folder, entry->d_name);
	return 0;
}

/* --- what is in them ----------------------------------------------------------------------- */

static int check_text(const char *path, enum kind kind, const struct strbuf *text, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	size_t line = strcspn(text->buf, "\r\n");

	if (kind == KIND_SECRETS) {
		CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT;

		secrets_load(path, text->buf, text->len, pool, &diags);
		if (diags.n)
			diag_text(&diags.v[0], &first);
		return diags.n ? err_set(err, ERR_CONFIG, "%s", first.buf) : 0;
	}
	if (kind == KIND_KEY && strncmp(text->buf, "-----BEGIN ", 11) != 0)
		return err_set(err, ERR_CONFIG, "'%s' is no private key of ssh's", path);
	if (kind == KIND_LINE && (line == 0 || line + 1 < text->len))
		return err_set(err, ERR_CONFIG, "'%s' must hold one line of text", path);
	return 0;
}

/* 1: read; 0: it is not there. */
static int read_one(const char *path, struct strbuf *ret, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "open '%s'", path);
	if (st.st_mode & 077)
		return err_set(err, ERR_CONFIG,
			       "'%s' can be read by others (mode %03o): chmod 600 it", path,
			       (unsigned)st.st_mode & 0777);
	strbuf_grow(ret,
		    st.st_size > 0 && st.st_size <= (off_t)FILE_MAX ? (size_t)st.st_size + 1 : 1);
	return file_read_fd(fd, path, FILE_MAX, ret, err) < 0 ? -1 : 1;
}

static int add_file(const char *folder, const char *node, const struct wanted *wanted,
		    json_t *files, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_wipe) struct strbuf text = STRBUF_INIT;
	const char *name = name_of(wanted->path);
	const char *path;
	json_t *value;
	int there;

	if (!name)
		return err_set(err, ERR_CONFIG,
			       "provider.digitalocean.%s is '%s': only files of %s can be "
			       "delivered",
			       wanted->key, wanted->path, CREDENTIALS_FOLDER);
	path = pool_printf(pool, "%s/%s/%s", folder, node, name);
	there = read_one(path, &text, err);
	if (there == 0) {
		path = pool_printf(pool, "%s/%s", folder, name);
		there = read_one(path, &text, err);
	}
	if (there == 0 && !wanted->optional)
		return err_set(err, ERR_CONFIG,
			       "--credentials: '%s' is not there, which provider.digitalocean.%s "
			       "names for node '%s'",
			       path, wanted->key, node);
	if (there <= 0)
		return there;
	if (check_text(path, wanted->kind, &text, err) < 0)
		return -1;
	value = strlen(text.buf) == text.len ? json_stringn(text.buf, text.len) : NULL;
	if (!value)
		return err_set(err, ERR_CONFIG, "'%s' is no text", path);
	json_object_set_new(files, name, value);
	return 0;
}

int deliver_message(const struct cluster *cluster, const char *folder, const char *node,
		    struct strbuf *ret, struct err *err)
{
	struct wanted wanted[WANTED_MAX];
	CLEANUP(release_json) json_t *files = json_object();
	CLEANUP(release_json) json_t *message = NULL;
	size_t len;

	list_wanted(cluster, wanted);
	if (check_names(cluster, folder, wanted, err) < 0)
		return -1;
	for (size_t i = 0; i < WANTED_MAX; i++)
		if (wanted[i].path && add_file(folder, node, &wanted[i], files, err) < 0)
			return -1;
	if (json_object_size(files) == 0)
		return err_set(err, ERR_CONFIG, "--credentials: '%s' holds nothing for node '%s'",
			       folder, node);
	message = json_pack("{si ss ss sO}", "version", 1, "cluster", cluster->name, "node", node,
			    "files", files);
	len = json_dumpb(message, NULL, 0, JSON_COMPACT);
	if (len > CREDENTIALS_MESSAGE_MAX)
		return err_set(err, ERR_LIMIT, "--credentials: more than %zu bytes for node '%s'",
			       CREDENTIALS_MESSAGE_MAX, node);
	strbuf_grow(ret, len);
	json_dumpb(message, ret->buf, len, JSON_COMPACT);
	strbuf_setlen(ret, len);
	return 0;
}

int deliver_check(const struct cluster *cluster, const char *folder, const char *node,
		  struct err *err)
{
	CLEANUP(strbuf_wipe) struct strbuf message = STRBUF_INIT;

	return deliver_message(cluster, folder, node, &message, err);
}
