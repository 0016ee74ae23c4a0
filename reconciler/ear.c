#include "reconciler/ear.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "reconciler/secrets.h"

/* The whole file, so that one that is too long is not cut to one that fits. */
#define SECRET_FILE_MAX (64 << 10)

static int read_secret(struct agent *agent, struct strbuf *ret, struct err *err)
{
	const struct webhook_config *config = agent->config->webhook;
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct secrets secrets;
	const char *value;

	if (config->secret_file) {
		int there = file_stat_in(agent->root.fd, config->secret_file, NULL, err);

		if (there == 0)
			return err_set(err, ERR_WAITS, "'%s' is not there yet",
				       config->secret_file);
		return there < 0 ? -1
				 : secret_file_read(&agent->root, config->secret_file,
						    SECRET_FILE_MAX, ret, err);
	}
	if (secrets_read(&agent->root, pool, &secrets, err) < 0)
		return -1;
	value = secrets_lookup(&secrets, config->secret);
	if (!value)
		return err_set(err, ERR_WAITS, "secret '%s' is not on this node: add it to %s",
			       config->secret, PATH_SECRETS);
	strbuf_addstr(ret, value);
	return 0;
}

static void free_key(struct webhook_key **key)
{
	if (*key)
		explicit_bzero(*key, sizeof(**key));
	free(*key);
	*key = NULL;
}

static int read_key(struct agent *agent, struct webhook_key **ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf secret = STRBUF_INIT;
	CLEANUP(free_key) struct webhook_key *key = NULL;

	*ret = NULL;
	if (!agent->config->webhook)
		return 0;
	if (read_secret(agent, &secret, err) < 0)
		return err_wrap(err, "webhook");
	key = xcalloc(1, sizeof(*key));
	if (webhook_key_init(key, secret.buf, secret.len, agent->cluster, err) < 0)
		return -1;
	*ret = STEAL(key);
	return 0;
}

/* The same trouble is said once. */
static void log_trouble(struct agent *agent, const struct err *err)
{
	if (strcmp(agent->listen_error, err->msg) == 0)
		return;
	if (err->code)
		log_warn("%s: it is tried again; the agent goes on without", err->msg);
	memcpy(agent->listen_error, err->msg, sizeof(agent->listen_error));
}

int ear_open(struct agent *agent, struct err *err)
{
	const char *jail = root_outside(&agent->root, agent->pool, PATH_JAIL);
	struct err trouble = {0};

	if (read_key(agent, &agent->webhook_key, err) < 0) {
		/* One that has not come yet is taken up when it does (ear_learn()). */
		if (err->code != ERR_WAITS)
			return -1;
		log_warn("%s: the agent goes on without", err->msg);
		err_clear(err);
	}
	if (file_mkdirs_in(agent->root.fd, PATH_JAIL, 0555, err) < 0)
		return -1;
	listener_open(&agent->listener,
		      &(struct listener_config) {
			      .listen = agent->config->listen,
			      .cluster = agent->cluster,
			      .jail = jail,
			      .key = agent->webhook_key,
		      },
		      &trouble);
	log_trouble(agent, &trouble);
	return 0;
}

/* The rest of it comes from the secret. */
static bool is_same(const struct webhook_key *a, const struct webhook_key *b)
{
	return a->len == b->len && memcmp(a->secret, b->secret, a->len) == 0;
}

void ear_learn(struct agent *agent)
{
	struct webhook_key *key;
	struct err err = {0};

	if (!agent->config->webhook)
		return;
	if (read_key(agent, &key, &err) < 0) {
		if (err.code != ERR_WAITS)
			log_trouble(agent, &err);
		return;
	}
	if (agent->webhook_key && is_same(key, agent->webhook_key)) {
		free_key(&key);
		return;
	}
	free_key(&key);
	log_info("webhook: another secret counts from now on");
	ear_close(agent);
	if (ear_open(agent, &err) < 0)
		log_trouble(agent, &err);
}

void ear_keep(struct agent *agent)
{
	struct err trouble = {0};

	listener_keep(&agent->listener, &trouble);
	log_trouble(agent, &trouble);
}

void ear_show(struct agent *agent)
{
	CLEANUP(strbuf_release) struct strbuf health = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf metrics = STRBUF_INIT;
	struct board *board = agent->listener.board;
	const char *peers = agent->state.watch.peers;

	if (!board || !agent->state.status.node)
		return;
	metrics_health(&agent->state.status, &health);
	metrics_text(&agent->state.status, &agent->counts, &metrics);
	board_write(board, BOARD_HEALTH, health.buf, health.len);
	board_write(board, BOARD_METRICS, metrics.buf, metrics.len);
	if (peers)
		board_write(board, BOARD_PEERS, peers, strlen(peers));
}

void ear_close(struct agent *agent)
{
	listener_close(&agent->listener);
	free_key(&agent->webhook_key);
}
