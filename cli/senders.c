#include "cli/senders.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/strvec.h"
#include "bootstrap/cloudflare.h"
#include "bootstrap/digitalocean.h"
#include "gitsync/status_ref.h"
#include "reconciler/status.h"

#define FETCH_MS 60000
#define SAID_MAX ((size_t)64 << 10)
#define NOT_SET 1

/* All that this process has but the clouds' tokens. It cannot ask for a password. */
static void git_environment(struct strvec *env)
{
	const char *const secret[] = {digitalocean_api.token_variable,
				      cloudflare_api.token_variable};

	for (char **entry = environ; *entry; entry++) {
		size_t len = strcspn(*entry, "=");
		bool is_secret = false;

		for (size_t i = 0; i < ARRAY_SIZE(secret); i++)
			is_secret |=
				strlen(secret[i]) == len && strncmp(*entry, secret[i], len) == 0;
		if (!is_secret)
			strvec_push(env, *entry);
	}
	strvec_push(env, "GIT_TERMINAL_PROMPT=0");
}

/* What it says first is why; what follows is advice. */
static int git_failed(const struct process_result *res, struct err *err)
{
	static const char mark[] = "fatal: ";
	const char *said = res->errout.buf;

	if (strncmp(said, mark, strlen(mark)) == 0)
		said += strlen(mark);
	return err_set(err, ERR_GIT, "git: %.*s", (int)strcspn(said, "\n"), said);
}

static int git(const char *const *args, int *ret_status, struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	struct process_spec spec = {.timeout_ms = FETCH_MS, .capture_limit = SAID_MAX};

	strvec_push(&argv, "git");
	for (; *args; args++)
		strvec_push(&argv, *args);
	git_environment(&env);
	spec.argv = argv.v;
	spec.env = env.v;
	if (process_run(&spec, &res, err) < 0)
		return -1;
	*ret_status = res.status;
	if (res.status != 0)
		git_failed(&res, err);
	return 0;
}

/* Where the nodes write their status, for a clone: NULL where the repository is no clone. */
static int status_remote(const struct senders *s, struct pool *pool, const char **ret,
			 struct err *err)
{
	const struct digitalocean *cloud = s->cluster->provider.digitalocean;
	const char *dir = pool_printf(pool, "--git-dir=%s", mirror_git_dir(s->mirror));
	const char *const argv[] = {dir, "config", "--get", "remote.origin.url", NULL};
	int status;

	*ret = cloud && cloud->agent ? cloud->agent->config.status.repository : NULL;
	if (*ret)
		return 0;
	if (git(argv, &status, err) < 0)
		return -1;
	*ret = status == 0 ? "origin" : NULL;
	if (status > NOT_SET)
		return -1;
	err_clear(err);
	return 0;
}

static int fetch(const struct senders *s, struct pool *pool, struct err *err)
{
	const char *from, *name = s->cluster->name;
	int status;

	if (status_remote(s, pool, &from, err) < 0)
		return -1;
	if (!from)
		return 0;
	const char *const argv[] = {
		pool_printf(pool, "--git-dir=%s", mirror_git_dir(s->mirror)),
		"fetch",
		"--quiet",
		"--no-tags",
		"--no-auto-gc",
		"--no-recurse-submodules",
		"--no-write-fetch-head",
		"--",
		from,
		pool_printf(pool, "+refs/heads/status/%s/*:refs/remotes/origin/status/%s/*", name,
			    name),
		NULL,
	};

	return git(argv, &status, err) < 0 || status != 0 ? -1 : 0;
}

/* The first of the nodes that this one sends to; NULL: none. */
static const char *sends_to(const struct node_status *status, const char *const *nodes, size_t n)
{
	for (size_t i = 0; i < status->n_server_nodes; i++)
		for (size_t k = 0; k < n; k++)
			if (strcmp(status->server_nodes[i], nodes[k]) == 0)
				return nodes[k];
	return NULL;
}

/* What is not known counts as sending: a machine that goes by mistake does not come back. */
static const char *what_it_says(const struct senders *s, const struct status_entry *entry,
				const char *const *nodes, size_t n, struct pool *pool)
{
	struct node_status status;
	struct err err = {0};
	const char *json, *to;
	size_t len;

	if (!cluster_find_node(s->cluster, entry->node))
		return NULL;
	if (status_ref_read(s->mirror, entry->oid, pool, &json, &len, &err) < 0 ||
	    status_from_json(json, len, pool, &status, &err) < 0)
		return pool_printf(pool, "the status of %s cannot be read: %s", entry->node,
				   err.msg);
	if (status_is_silent(&status, clock_wall_s()))
		return NULL;
	if (status.servers && !status.n_server_nodes)
		return pool_printf(pool, "%s does not say to whom it sends", entry->node);
	to = sends_to(&status, nodes, n);
	return to ? pool_printf(pool, "%s, at %.7s, still sends to %s", entry->node,
				status.applied ? status.applied : "nothing", to)
		  : NULL;
}

int senders_ask(void *arg, const char *const *nodes, size_t n, struct pool *pool, const char **ret,
		struct err *err)
{
	const struct senders *s = arg;
	struct status_entries entries;

	*ret = NULL;
	if (!s->mirror)
		return err_set(err, ERR_USAGE,
			       "the status refs are not here: this is no git repository");
	if (fetch(s, pool, err) < 0 ||
	    status_ref_list(s->mirror, s->cluster->name, pool, &entries, err) < 0)
		return -1;
	for (size_t i = 0; i < entries.n && !*ret; i++)
		*ret = what_it_says(s, &entries.v[i], nodes, n, pool);
	return 0;
}
