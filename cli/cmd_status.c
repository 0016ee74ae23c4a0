#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/repo.h"
#include "gitsync/status_ref.h"
#include "reconciler/status.h"

#define WATCH_MS 2000
#define MESSAGE_WIDTH 100

struct status_options {
	const char *repository;
	const char *cluster;
	bool json;
	bool watch;
};

struct row {
	const struct status_entry *entry;
	struct node_status status;
	const char *json;
	size_t len;
	struct err unreadable;
};

static const struct {
	const char *health;
	const char *colour;
} colours[] = {
	{"healthy", "\033[32m"}, {"degraded", "\033[33m"}, {"failed", "\033[31m"},
	{"silent", "\033[31m"},  {"unknown", "\033[33m"},
};

static const char *colour_of(const char *health)
{
	for (size_t i = 0; i < ARRAY_SIZE(colours); i++)
		if (strcmp(colours[i].health, health) == 0)
			return colours[i].colour;
	return "";
}

/* "12s", "5m", "3h", "9d" */
static const char *age(struct pool *pool, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (seconds >= units[i].seconds)
			return pool_printf(pool, "%" PRId64 "%c", seconds / units[i].seconds,
					   units[i].letter);
	return pool_printf(pool, "%" PRId64 "s", seconds < 0 ? 0 : seconds);
}

/* As wide as its column. */
static const char *coloured(const char *health, struct pool *pool)
{
	bool colour = cli_colour();

	return pool_printf(pool, "%s%-8s%s", colour ? colour_of(health) : "", health,
			   colour ? "\033[0m" : "");
}

static const char *row_health(const struct row *row, int64_t now_s)
{
	const struct node_status *s = &row->status;

	if (row->unreadable.code)
		return "unknown";
	if (status_is_silent(s, now_s))
		return "silent";
	return status_health(s);
}

static const char *row_message(const struct row *row, const char *health, int64_t now_s,
			       struct pool *pool)
{
	const struct condition *synced = status_condition(&row->status, "Synced");

	if (row->unreadable.code)
		return pool_strdup(pool, row->unreadable.msg);
	if (strcmp(health, "silent") == 0)
		return pool_printf(pool, "last heard %s ago",
				   age(pool, now_s - row->status.observed_at_s));
	if (*status_trouble(&row->status))
		return status_trouble(&row->status);
	if (synced && strcmp(synced->status, "True") != 0)
		return synced->message;
	return "";
}

static size_t healthy_services(const struct node_status *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_services; i++)
		n += strcmp(s->services[i].health, "healthy") == 0;
	return n;
}

static void print_row(const struct row *row, int64_t now_s, int name_width, struct pool *pool)
{
	const struct node_status *s = &row->status;
	const char *health = row_health(row, now_s);
	const char *name = pool_printf(pool, "%s/%s", row->entry->cluster, row->entry->node);
	const char *services = pool_printf(pool, "%zu/%zu", healthy_services(s), s->n_services);

	printf("%-*s  %s  %-7.7s  %-8s  %-7s  %-5s  %.*s\n", name_width, name,
	       coloured(health, pool), s->applied ? s->applied : "-", services,
	       s->changed_at_s ? age(pool, now_s - s->changed_at_s) : "-",
	       s->observed_at_s ? age(pool, now_s - s->observed_at_s) : "-", MESSAGE_WIDTH,
	       row_message(row, health, now_s, pool));
}

/* Which of the four levels are ill, and of what. */
static void print_levels(const struct node_status *s, struct pool *pool)
{
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		const struct level_health *level = &s->levels[i];

		if (level->health && !health_is_good(level->health))
			printf("  %-14s  %s  %s%s%.*s\n", level_name((enum level)i),
			       coloured(level->health, pool), level->reason,
			       *level->message ? ": " : "", MESSAGE_WIDTH, level->message);
	}
}

static void print_table(const struct row *rows, size_t n, struct pool *pool)
{
	int64_t now_s = clock_wall_s();
	size_t width = strlen("NODE");

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(rows[i].entry->cluster) + 1 + strlen(rows[i].entry->node);

		width = len > width ? len : width;
	}
	printf("%-*s  %-8s  %-7s  %-8s  %-7s  %-5s  %s\n", (int)width, "NODE", "HEALTH", "COMMIT",
	       "SERVICES", "CHANGED", "SEEN", "MESSAGE");
	for (size_t i = 0; i < n; i++) {
		print_row(&rows[i], now_s, (int)width, pool);
		print_levels(&rows[i].status, pool);
	}
}

/* What the nodes wrote, as it is, with what could not be read named. */
static void print_json(const struct row *rows, size_t n)
{
	json_t *list = json_array();
	json_t *object;
	char *text;

	for (size_t i = 0; i < n; i++) {
		json_t *status =
			rows[i].unreadable.code
				? json_pack("{ss ss ss}", "cluster", rows[i].entry->cluster, "node",
					    rows[i].entry->node, "error", rows[i].unreadable.msg)
				: status_to_json(&rows[i].status);

		json_array_append_new(list, status);
	}
	object = json_pack("{si so}", "version", 1, "nodes", list);
	text = json_dumps(object, JSON_INDENT(1));
	puts(text);
	free(text);
	json_decref(object);
}

static void read_row(struct mirror *m, const struct status_entry *entry, struct pool *pool,
		     struct row *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->entry = entry;
	if (status_ref_read(m, entry->oid, pool, &ret->json, &ret->len, &ret->unreadable) < 0 ||
	    status_from_json(ret->json, ret->len, pool, &ret->status, &ret->unreadable) < 0)
		memset(&ret->status, 0, sizeof(ret->status));
}

static int show(const struct status_options *o)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(mirror_freep) struct mirror *m = NULL;
	struct status_entries entries = {0};
	struct err err = {0};
	struct row *rows;

	if (mirror_open(o->repository, &m, &err) < 0 ||
	    status_ref_list(m, o->cluster, pool, &entries, &err) < 0)
		return cli_fail(&err);
	rows = pool_calloc(pool, entries.n + 1, sizeof(*rows));
	for (size_t i = 0; i < entries.n; i++)
		read_row(m, &entries.v[i], pool, &rows[i]);
	if (o->json)
		print_json(rows, entries.n);
	else if (entries.n)
		print_table(rows, entries.n, pool);
	else
		printf("no node has reported yet (in a clone: git fetch origin, then look "
		       "again)\n");
	return EXIT_DONE;
}

static int watch(const struct status_options *o)
{
	int status;

	for (;;) {
		if (isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		status = show(o);
		fflush(stdout);
		if (status != EXIT_DONE || ferror(stdout))
			return status;
		clock_sleep_ms(WATCH_MS);
	}
}

static int run(const struct command *self, int argc, char **argv)
{
	struct status_options o = {0};
	const struct cli_option options[] = {
		{"cluster", "NAME", "this cluster only", .text = &o.cluster},
		{"json", NULL, "everything that the nodes say, as JSON", .flag = &o.json},
		{"watch", NULL, "look again every 2 s, until interrupted", .flag = &o.watch},
		CLI_OPTION_END,
	};
	struct cli_args args = {.most = 1};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	o.repository = args.n ? args.v[0] : ".";
	return o.watch ? watch(&o) : show(&o);
}

const struct command cmd_status = {
	.name = "status",
	.arguments = "[REPO]",
	.summary = "show what the nodes say of themselves, from their status refs",
	.help = "REPO is a clone or a bare repository (default: the current folder). Nothing is "
		"fetched: in\n"
		"a clone, git fetch first.",
	.example = "  git fetch && dynia status\n"
		   "  dynia status --cluster shop --json | jq '.nodes[].revision.applied'",
	.run = run,
};
