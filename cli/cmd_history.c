#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "cli/command.h"
#include "gitsync/status_ref.h"
#include "reconciler/status.h"

#define MOST_DEFAULT "20"
#define MOST_MAX 10000
#define CAUSES_SHOWN 6

struct history_options {
	const char *repository;
	const char *cluster;
	const char *node;
	int64_t most;
};

/* False where the commit holds no status that this version reads. */
static bool read_status(struct mirror *m, const char *oid, struct pool *pool,
			struct node_status *ret)
{
	struct err ignored;
	const char *json;
	size_t len;

	return status_ref_read(m, oid, pool, &json, &len, &ignored) == 0 &&
	       status_from_json(json, len, pool, ret, &ignored) == 0;
}

static void print_causes(const struct node_status *s)
{
	for (size_t i = 0; i < s->n_causes && i < CAUSES_SHOWN; i++)
		printf("    %s because %s\n", s->causes[i].action, s->causes[i].because);
	if (s->n_causes > CAUSES_SHOWN)
		printf("    and %zu more\n", s->n_causes - CAUSES_SHOWN);
}

/* Newest first. What was done stands where the older status knows nothing of it. */
static int show_node(struct mirror *m, const char *cluster, const char *node, int64_t most,
		     struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct status_entries log = {0};
	struct node_status status = {0}, older = {0};

	if (status_ref_log(m, cluster, node, (size_t)most + 1, pool, &log, err) < 0)
		return -1;
	printf("%s/%s\n", cluster, node);
	for (size_t i = 0; i < log.n && i < (size_t)most; i++) {
		char at[CLOCK_TEXT_SIZE];
		bool has_older;

		clock_format(log.v[i].time_s, at);
		printf("  %s  %s\n", at, log.v[i].subject);
		if (!read_status(m, log.v[i].oid, pool, &status))
			continue;
		has_older = i + 1 < log.n && read_status(m, log.v[i + 1].oid, pool, &older);
		if (!has_older || older.changed_at_s != status.changed_at_s ||
		    older.generation != status.generation)
			print_causes(&status);
	}
	return 0;
}

static int history(const struct history_options *o)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	struct status_entries nodes = {0};
	struct err err = {0};
	bool found = false;

	if (mirror_open(o->repository, &m, &err) < 0 ||
	    status_ref_list(m, o->cluster, pool, &nodes, &err) < 0)
		return cli_fail(&err);
	for (size_t i = 0; i < nodes.n; i++) {
		if (o->node && strcmp(o->node, nodes.v[i].node) != 0)
			continue;
		found = true;
		if (show_node(m, nodes.v[i].cluster, nodes.v[i].node, o->most, &err) < 0)
			return cli_fail(&err);
	}
	if (found)
		return EXIT_DONE;
	if (o->node)
		err_set(&err, ERR_GIT,
			"no node '%s' has reported yet (in a clone: git fetch first)", o->node);
	else
		err_set(&err, ERR_GIT, "no node has reported yet (in a clone: git fetch first)");
	return cli_fail(&err);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct history_options o = {.repository = "."};
	const char *most = MOST_DEFAULT;
	const struct cli_option options[] = {
		{"node", "NAME", "this node only", .text = &o.node},
		{"cluster", "NAME", "this cluster only", .text = &o.cluster},
		{"most", "N", "the newest N entries of each node (default " MOST_DEFAULT ")",
		 .text = &most},
		CLI_OPTION_END,
	};
	struct cli_args args = {.most = 1};
	int status = cli_parse(self, options, argc, argv, &args);
	struct err err = {0};

	if (status >= 0)
		return status;
	if (parse_int(most, 1, MOST_MAX, &o.most, &err) < 0)
		return cli_usage_error(self, "--most: %s", err.msg);
	if (args.n)
		o.repository = args.v[0];
	return history(&o);
}

const struct command cmd_history = {
	.name = "history",
	.arguments = "[REPO]",
	.summary = "show what each node applied, when, why, and what came of it",
	.help = "Read from the nodes' status refs in REPO, a clone or a bare repository (default: "
		"the\n"
		"current folder). Nothing is fetched: in a clone, git fetch first.",
	.example = "  git fetch && dynia history --node brave-panda",
	.run = run,
};
