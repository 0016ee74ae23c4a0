/* agent.yaml and secrets.yaml, the two files that are not in the repository. */
#include <string.h>

#include "base/cleanup.h"
#include "spec/load.h"
#include "spec/place.h"
#include "spec/tables.h"
#include "spec/words.h"

/* Keys that make no sense without another. */
static const struct {
	const char *key;
	const char *needs;
} credential_rows[] = {
	{"credentials.password_file", "credentials.username"},
	{"credentials.username", "credentials.password_file"},
	{"credentials.ssh_key", "credentials.known_hosts"},
	{"credentials.known_hosts", "credentials.ssh_key"},
	{"status.credentials.password_file", "status.credentials.username"},
	{"status.credentials.username", "status.credentials.password_file"},
	{"status.credentials.ssh_key", "status.credentials.known_hosts"},
	{"status.credentials.known_hosts", "status.credentials.ssh_key"},
	{"status.credentials", "status.repository"},
};

static bool is_ssh(const char *repository)
{
	return strncmp(repository, "ssh://", strlen("ssh://")) == 0 ||
	       (!strstr(repository, "://") && strchr(repository, '@') && repository[0] != '/');
}

static void check_status_repository(const struct agent_config *config, const char *path,
				    const struct yaml_node *root, struct diags *diags)
{
	struct spec_pos pos = yaml_place(root, "status.repository");

	/* Without status.credentials it may be on the repository's own host: the agent looks. */
	if (config->status.repository && is_ssh(config->status.repository) &&
	    !yaml_has(root, "status.credentials.ssh_key") && !yaml_has(root, "credentials.ssh_key"))
		diags_add(diags, path, pos.line, pos.column,
			  "a status repository over ssh needs 'status.credentials.ssh_key' and "
			  "'status.credentials.known_hosts'");
}

void agent_config_check(const struct agent_config *config, const char *path,
			const struct yaml_node *root, struct diags *diags)
{
	for (size_t i = 0; i < ARRAY_SIZE(credential_rows); i++) {
		struct spec_pos pos = yaml_place(root, credential_rows[i].key);

		if (yaml_has(root, credential_rows[i].key) &&
		    !yaml_has(root, credential_rows[i].needs))
			diags_add(diags, path, pos.line, pos.column, "'%s' needs '%s'",
				  credential_rows[i].key, credential_rows[i].needs);
	}
	if (config->verify && !config->verify->signers && !config->verify->keyring)
		diags_add(diags, path, config->verify->pos.line, config->verify->pos.column,
			  "'verify' needs 'signers' or 'keyring'");
	if (config->webhook && !config->webhook->secret_file == !config->webhook->secret)
		diags_add(diags, path, config->webhook->pos.line, config->webhook->pos.column,
			  "'webhook' needs 'secret_file' or 'secret', one of the two");
	for (size_t i = 0; i < config->repository.n; i++)
		if (is_ssh(config->repository.v[i]) && !yaml_has(root, "credentials.ssh_key"))
			diags_add(diags, path, config->repository.pos[i].line,
				  config->repository.pos[i].column,
				  "a repository over ssh needs 'credentials.ssh_key' and "
				  "'credentials.known_hosts'");
	check_status_repository(config, path, root, diags);
}

struct agent_config *agent_config_load(const char *path, const char *data, size_t len,
				       struct pool *pool, struct diags *diags)
{
	struct yaml_node *root = yaml_parse(path, data, len, true, pool, diags);
	struct agent_config *config;

	if (!root)
		return NULL;
	config = pool_alloc(pool, sizeof(*config));
	table_load(agent_table, path, root, config, pool, diags);
	agent_config_check(config, path, root, diags);
	return config;
}

/* The reason never holds the value. */
static const char *what_is_wrong_with_secret(const struct yaml_node *value)
{
	if (value->kind != YAML_NODE_SCALAR)
		return "must be a text";
	if (value->text[0] == '\0' || yaml_is_null(value))
		return "is empty";
	if (strpbrk(value->text, "\n\t"))
		return "must be one line with no tab in it";
	return NULL;
}

struct spec_pairs *secrets_load(const char *path, const char *data, size_t len, struct pool *pool,
				struct diags *diags)
{
	struct yaml_node *root = yaml_parse(path, data, len, true, pool, diags);
	struct spec_pairs *secrets;

	if (!root)
		return NULL;
	if (root->kind != YAML_NODE_MAP) {
		diags_add(diags, path, root->line, root->column,
			  "must be a map of names and texts");
		return NULL;
	}
	secrets = pool_alloc(pool, sizeof(*secrets));
	secrets->v = pool_calloc(pool, root->n, sizeof(*secrets->v));
	for (size_t i = 0; i < root->n; i++) {
		const struct yaml_node *key = root->keys[i], *value = root->items[i];
		const char *wrong = what_is_wrong_with_secret(value);
		struct err err = {0};

		if (check_secret_name(key->text, &err) < 0)
			diags_add(diags, path, key->line, key->column, "%s", err.msg);
		else if (wrong)
			diags_add(diags, path, value->line, value->column, "secret '%s' %s",
				  key->text, wrong);
		else
			secrets->v[secrets->n++] = (struct spec_pair) {
				.name = key->text,
				.value = value->text,
				.pos = {value->line, value->column},
			};
	}
	return secrets;
}
