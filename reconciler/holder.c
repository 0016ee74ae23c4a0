#include "reconciler/holder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "bootstrap/holder.h"
#include "reconciler/leave.h"
#include "reconciler/steps.h"

#define LOOK_MS 60000
#define LOOK_MOST_MS (10 * 60 * 1000)
#define DEADLINE_MS 40000
#define VRRP_MAX 63

struct errand {
	const struct cluster *cluster;
	const struct node *node;
	struct holder_tokens tokens;
};

/* In the child. */
static int run_errand(void *arg, int out_fd, struct err *err)
{
	const struct errand *errand = arg;
	struct holder_result result;

	if (holder_keep(errand->cluster, errand->node, &errand->tokens, &result, err) < 0)
		return -1;
	if (dprintf(out_fd, "%d %zu\n", result.moved, result.records) < 0)
		return err_errno(err, "tell what was done");
	return 0;
}

static void say_result(const char *text)
{
	char *end;
	bool moved = strtol(text, &end, 10) != 0;
	long records = strtol(end, NULL, 10);

	if (moved)
		log_info("the reserved IP was assigned to this node");
	if (records > 0)
		log_info("%ld records were brought to what the services say", records);
}

static void say_trouble(struct holder_memory *memory, const struct err *err)
{
	if (strcmp(memory->trouble.msg, err->msg) == 0)
		return;
	if (err->code)
		log_warn("keep the address and the records: %s", err->msg);
	else
		log_info("the address and the records are kept again");
	memory->trouble = *err;
}

/* The line that `dynia vrrp` wrote last; "" where there is none. */
static void read_vrrp(const struct root *root, char ret[VRRP_MAX + 1])
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	struct err none = {0};

	ret[0] = '\0';
	if (file_read_in(root->fd, PATH_VRRP, VRRP_MAX, &line, &none) == 0)
		memcpy(ret, line.buf, strlen(line.buf) + 1);
}

static const char *token(struct pass *p, const char *name)
{
	const char *value = secrets_lookup(&p->facts.secrets, name);

	return value && *value ? value : NULL;
}

static bool is_due(const struct pass *p, const char *vrrp)
{
	const struct holder_memory *memory = &p->agent->holder;

	return strcmp(memory->vrrp, vrrp) != 0 ||
	       strcmp(memory->revision, p->agent->state.revision) != 0 ||
	       strcmp(memory->secrets, p->facts.secrets.digest) != 0 ||
	       clock_ms() >= memory->due_ms;
}

static int keep(struct pass *p, const struct candidate *c, bool is_master, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_LIMITED(64);
	struct errand errand = {
		.cluster = c->cluster,
		.node = c->node,
		.tokens = {.digitalocean = token(p, HOLDER_DIGITALOCEAN_SECRET),
			   .cloudflare = token(p, HOLDER_CLOUDFLARE_SECRET)},
	};

	p->agent->holder.holds =
		holder_has_work(c->cluster) && holder_is(c->cluster, c->node, is_master);
	if (!p->agent->holder.holds)
		return 0;
	if (process_call(run_errand, &errand, DEADLINE_MS, &out, err) < 0) {
		secrets_mask(&p->facts.secrets, err);
		return -1;
	}
	say_result(out.buf);
	return 0;
}

static int64_t next_look_ms(const struct holder_memory *memory)
{
	int64_t ms = LOOK_MS;

	for (unsigned i = 0; i < memory->failed && ms < LOOK_MOST_MS; i++)
		ms *= 2;
	return ms < LOOK_MOST_MS ? ms : LOOK_MOST_MS;
}

void step_hold(struct pass *p)
{
	CLEANUP(candidate_release) struct candidate applied;
	struct agent *agent = p->agent;
	struct holder_memory *memory = &agent->holder;
	char vrrp[VRRP_MAX + 1];
	struct err err = {0};
	bool is_master;

	candidate_init(&applied);
	read_vrrp(&agent->root, vrrp);
	is_master = strncmp(vrrp, "master", strlen("master")) == 0;
	if (!p->has_facts || !agent->state.revision[0])
		return;
	/* Without a token or an address that is held here there is nothing to keep, and nothing to
	 * load. */
	if (node_is_unnamed(agent, p->tip) || (!is_master && !token(p, HOLDER_CLOUDFLARE_SECRET))) {
		*memory = (struct holder_memory) {0};
		return;
	}
	if (!is_due(p, vrrp))
		return;
	memcpy(memory->vrrp, vrrp, sizeof(vrrp));
	memcpy(memory->revision, agent->state.revision, GIT_OID_HEX);
	memcpy(memory->secrets, p->facts.secrets.digest, sizeof(memory->secrets));
	if (candidate_load(&applied, agent, agent->state.revision, &err) < 0 ||
	    keep(p, &applied, is_master, &err) < 0)
		memory->failed++;
	else
		memory->failed = 0;
	say_trouble(memory, &err);
	memory->due_ms = clock_ms() + next_look_ms(memory);
}
