#include "reconciler/credentials.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "bootstrap/deliver.h"
#include "spec/load.h"
#include "spec/words.h"

#define HOST_KEY_PUB "/etc/ssh/ssh_host_ed25519_key.pub"
#define HOST_KEY_MAX 4096
#define CONFIG_MAX (1 << 20)

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* --- what came ------------------------------------------------------------------------------ */

/* A name within the folder that is a file of secrets: not the agent's configuration. */
static bool is_good_name(const char *name)
{
	struct err ignored = {0};

	return check_file_name(name, &ignored) == 0 && name[0] != '.' && !strchr(name, '/') &&
	       strcmp(name, "agent.yaml") != 0;
}

static int check_message(const json_t *message, struct err *err)
{
	const json_t *files = json_object_get(message, "files"), *text;
	const char *name;

	if (json_integer_value(json_object_get(message, "version")) != 1)
		return err_set(err, ERR_CONFIG,
			       "these credentials are in a form that this dynia does not know: "
			       "upgrade it");
	if (!json_is_object(files) || json_object_size(files) == 0)
		return err_set(err, ERR_CONFIG, "there are no credentials in what came");
	json_object_foreach((json_t *)files, name, text)
	{
		if (!is_good_name(name))
			return err_set(err, ERR_CONFIG, "'%.64s' is no name of a credential", name);
		if (!json_is_string(text) || json_string_length(text) == 0)
			return err_set(err, ERR_CONFIG, "credential '%s' is no text", name);
	}
	return 0;
}

/* Addresses get mixed up: what is for another node does not come here. */
static int check_addressee(const struct root *root, const json_t *message, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *cluster = json_string_value(json_object_get(message, "cluster"));
	const char *node = json_string_value(json_object_get(message, "node"));
	const struct agent_config *config;

	if (file_read_in(root->fd, PATH_CONFIG, CONFIG_MAX, &text, err) < 0)
		return err_wrap(err, "which node this is");
	config = agent_config_load(PATH_CONFIG, text.buf, text.len, pool, &diags);
	if (diags.n || !config) {
		CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT;

		if (diags.n)
			diag_text(&diags.v[0], &first);
		return err_set(err, ERR_CONFIG, "%s", first.buf);
	}
	if (cluster && strcmp(cluster, config->cluster) == 0 && node &&
	    (!config->node || strcmp(node, config->node) == 0))
		return 0;
	return err_set(err, ERR_CONFIG,
		       "these credentials are for another node: this is '%s' of cluster '%s'",
		       config->node ? config->node : "a node", config->cluster);
}

/* --- writing -------------------------------------------------------------------------------- */

static bool is_there_already(const struct root *root, const char *path, const json_t *text)
{
	CLEANUP(strbuf_wipe) struct strbuf now = STRBUF_INIT;
	struct err ignored = {0};
	struct stat st;

	return file_stat_in(root->fd, path, &st, &ignored) > 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 07777) == 0600 && st.st_uid == geteuid() &&
	       file_read_in(root->fd, path, CREDENTIALS_MESSAGE_MAX, &now, &ignored) == 0 &&
	       now.len == json_string_length(text) &&
	       memcmp(now.buf, json_string_value(text), now.len) == 0;
}

static int write_files(const struct root *root, const json_t *files, json_t *changed,
		       struct err *err)
{
	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(root->fd);
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *name;
	const json_t *text;

	json_object_foreach((json_t *)files, name, text)
	{
		const char *path = pool_printf(pool, CREDENTIALS_FOLDER "%s", name);

		if (is_there_already(root, path, text))
			continue;
		if (file_batch_add(&batch, path, json_string_value(text), json_string_length(text),
				   0600, err) < 0)
			return -1;
		json_array_append_new(changed, json_string(name));
	}
	if (json_array_size(changed) == 0)
		return 0;
	return file_batch_sync(&batch, err) < 0 ? -1 : file_batch_publish(&batch, err);
}

/* Two at a time would write the same temporary files. */
static int lock(const struct root *root, struct err *err)
{
	int fd;

	if (file_mkdirs_in(root->fd, PATH_RUN, 0755, err) < 0)
		return -1;
	fd = file_open_in(root->fd, PATH_CREDENTIALS_LOCK, O_RDWR | O_CREAT, 0600, err);
	if (fd < 0 || flock(fd, LOCK_EX) == 0)
		return fd;
	err_errno(err, "lock '%s%s'", root->path, PATH_CREDENTIALS_LOCK);
	cleanup_close(&fd);
	return -1;
}

static void put_answer(const struct root *root, json_t *changed, struct strbuf *ret)
{
	CLEANUP(strbuf_release) struct strbuf key = STRBUF_INIT;
	CLEANUP(release_json) json_t *answer = NULL;
	struct err ignored = {0};
	char *text;

	if (file_read_in(root->fd, HOST_KEY_PUB, HOST_KEY_MAX, &key, &ignored) < 0)
		strbuf_clear(&key);
	strbuf_trim(&key);
	answer = json_pack("{si ss* sO}", "version", 1, "host_key", key.len ? key.buf : NULL,
			   "changed", changed);
	text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	strbuf_addf(ret, "%s\n", text ? text : "{}");
	free(text);
}

int credentials_install(const struct root *root, const char *message, size_t len,
			struct strbuf *ret_answer, struct err *err)
{
	CLEANUP(release_json) json_t *json = json_loadb(message, len, JSON_REJECT_DUPLICATES, NULL);
	CLEANUP(release_json) json_t *changed = json_array();
	AUTO_CLOSE int lock_fd = -1;

	if (!json)
		return err_set(err, ERR_CONFIG, "what came is not what dynia bootstrap sends");
	if (check_message(json, err) < 0 || check_addressee(root, json, err) < 0)
		return -1;
	lock_fd = lock(root, err);
	if (lock_fd < 0 || write_files(root, json_object_get(json, "files"), changed, err) < 0)
		return -1;
	if (json_array_size(changed))
		root_wake_agent(root);
	put_answer(root, changed, ret_answer);
	return 0;
}
