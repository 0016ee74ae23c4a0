#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/plan_print.h"
#include "cli/repo.h"
#include "reconciler/plan.h"
#include "reconciler/services.h"
#include "render/render.h"

struct plan_options {
	const char *path;
	const char *from;
	const char *to;
	const char *cluster;
	bool exit_code;
};

/* One side of a plan for one node. The cluster or the node may not be there: then there are no
 * files. */
struct side {
	struct fileset files;
	struct index index;
};

static void side_init(struct side *side, struct pool *pool)
{
	fileset_init(&side->files, pool);
	index_init(&side->index);
}

static void side_release(struct side *side)
{
	fileset_release(&side->files);
	index_release(&side->index);
}

static int render_side(const struct cluster *cluster, const char *node_name, struct side *side,
		       struct err *err)
{
	const struct facts facts = facts_elsewhere("");
	const struct node *node = cluster ? cluster_find_node(cluster, node_name) : NULL;

	if (!node)
		return 0;
	if (render_node(cluster, node, &facts, &side->files, err) < 0)
		return err_wrap(err, "%s/%s", cluster->name, node_name);
	index_from_fileset(&side->index, &side->files);
	return 0;
}

/* What the programs will be told follows from the files that change. */
static void plan_programs(struct plan *plan, const struct side *from, const struct side *to)
{
	static const enum program programs[] = {PROGRAM_CADDY, PROGRAM_HAPROXY, PROGRAM_KEEPALIVED};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		const struct action *file = plan_touches(plan, programs[i]);
		bool was = index_has_program(&from->index, programs[i]);
		bool will = index_has_program(&to->index, programs[i]);
		struct action action = {
			.kind = !was    ? ACTION_START
				: !will ? ACTION_STOP
					: ACTION_RELOAD,
			.program = programs[i],
			.what = program_name(programs[i]),
		};

		if (!file)
			continue;
		action.because = file->because;
		action.n_because = file->n_because;
		plan_add(plan, &action);
	}
}

/* Containers are made before the programs hear of them, and go after. */
static void plan_containers(struct plan *plan, const struct side *from, const struct side *to,
			    const struct causes *causes, struct pool *pool)
{
	struct service_records before, want;
	const struct service_ground ground = {.before = &before, .want = &want, .causes = causes};

	records_from_fileset(&from->files, pool, &before);
	records_from_fileset(&to->files, pool, &want);
	services_plan(plan, &ground);
	plan_programs(plan, from, to);
	services_plan_removed(plan, &ground);
}

static int plan_node(const struct cluster *from, const struct cluster *to, const char *cluster,
		     const char *node, struct plan_printer *printer, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(causes_release) struct causes causes = CAUSES_INIT(pool);
	CLEANUP(plan_release) struct plan plan = PLAN_INIT(pool);
	CLEANUP(side_release) struct side was;
	CLEANUP(side_release) struct side will;

	side_init(&was, pool);
	side_init(&will, pool);
	if (render_side(from, node, &was, err) < 0 || render_side(to, node, &will, err) < 0)
		return -1;
	if (to)
		causes_between(from, to, &causes);
	else
		causes_add(&causes, NULL, false, "%s removed", from->path);
	plan_files(&plan, &was.index, &will.files, &will.index, &causes, NULL);
	plan_containers(&plan, &was, &will, &causes, pool);
	plan_print_node(printer, cluster, node, &plan);
	return 0;
}

/* The nodes of the newer side in their order, then those that only the older one has. */
static int plan_cluster(const struct cluster *from, const struct cluster *to,
			struct plan_printer *printer, struct err *err)
{
	const char *name = to ? to->name : from->name;

	for (size_t i = 0; to && i < to->node_map.n; i++)
		if (plan_node(from, to, name, cluster_node(to, i)->name, printer, err) < 0)
			return -1;
	for (size_t i = 0; from && i < from->node_map.n; i++) {
		const char *node = cluster_node(from, i)->name;

		if (!(to && cluster_find_node(to, node)) &&
		    plan_node(from, to, name, node, printer, err) < 0)
			return -1;
	}
	return 0;
}

static int plan_all(const struct spec *from, const struct spec *to, const struct plan_options *o,
		    struct plan_printer *printer, struct err *err)
{
	bool found = false;

	for (size_t i = 0; i < to->n_clusters; i++) {
		const struct cluster *c = &to->clusters[i];

		if (o->cluster && strcmp(o->cluster, c->name) != 0)
			continue;
		found = true;
		if (plan_cluster(from ? spec_cluster(from, c->name) : NULL, c, printer, err) < 0)
			return -1;
	}
	for (size_t i = 0; from && i < from->n_clusters; i++) {
		const struct cluster *c = &from->clusters[i];

		if ((o->cluster && strcmp(o->cluster, c->name) != 0) || spec_cluster(to, c->name))
			continue;
		found = true;
		if (plan_cluster(c, NULL, printer, err) < 0)
			return -1;
	}
	if (o->cluster && !found)
		return err_set(err, ERR_USAGE, "there is no cluster '%s'", o->cluster);
	return 0;
}

/* The older side may be what this merge repairs: then everything counts as new. */
static int load_older(const struct plan_options *o, struct spec **ret, struct err *err)
{
	CLEANUP(repo_release) struct repo repo = REPO_INIT;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;

	if (repo_open(o->path, o->from, &repo, err) < 0 ||
	    spec_load(repo.src, NULL, ret, &diags, err) < 0)
		return -1;
	if (diags.n) {
		fprintf(stderr, "dynia: '%s' has errors itself, so everything is shown as new\n",
			o->from);
		spec_freep(ret);
	}
	return 0;
}

static int plan_command(const struct plan_options *o, enum plan_format format)
{
	CLEANUP(repo_release) struct repo repo = REPO_INIT;
	CLEANUP(spec_freep) struct spec *from = NULL;
	CLEANUP(spec_freep) struct spec *to = NULL;
	struct plan_printer printer;
	struct err err = {0};
	int status;

	if (repo_open(o->path, o->to, &repo, &err) < 0)
		return cli_fail(&err);
	status = repo_load(&repo, &to);
	if (status >= 0)
		return status;
	if (load_older(o, &from, &err) < 0)
		return cli_fail(&err);
	plan_print_begin(&printer, format, cli_colour());
	if (plan_all(from, to, o, &printer, &err) < 0) {
		json_decref(printer.nodes);
		return cli_fail(&err);
	}
	plan_print_end(&printer);
	return o->exit_code && printer.n_changes ? EXIT_TO_DO : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct plan_options o = {.from = "HEAD"};
	const char *format = "text";
	const struct cli_option options[] = {
		{"from", "REV", "the revision that is there now (default HEAD)", .text = &o.from},
		{"to", "REV", "the revision to come (default: the work tree)", .text = &o.to},
		{"cluster", "NAME", "show this cluster only", .text = &o.cluster},
		{"format", "text|markdown|json", "text, markdown (for a pull request) or json",
		 .text = &format},
		{"exit-code", NULL, "exit 4 where there is something to do", .flag = &o.exit_code},
		CLI_OPTION_END,
	};
	struct cli_args args = {.most = 1};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	if (plan_format_find(format) < 0)
		return cli_usage_error(self, "--format is text, markdown or json, not '%s'",
				       format);
	o.path = args.n ? args.v[0] : NULL;
	return plan_command(&o, (enum plan_format)plan_format_find(format));
}

const struct command cmd_plan = {
	.name = "plan",
	.arguments = "[PATH]",
	.summary = "show what a merge would do, node by node, and why",
	.help = "Renders both revisions for every node and lists the files and programs that "
		"change, each\n"
		"with the field, line and file that is the cause. Always rendered from whole "
		"clusters; no\n"
		"secret is read or shown.",
	.example =
		"  dynia plan                                  what the work tree would change\n"
		"  dynia plan --from origin/main --to HEAD     what merging this branch would do",
	.run = run,
};
