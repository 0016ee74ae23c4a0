#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/repo.h"
#include "render/render.h"

static void print_json(const struct diags *diags)
{
	json_t *list = json_array();
	json_t *object;
	char *text;

	for (size_t i = 0; i < diags->n; i++)
		json_array_append_new(list, json_pack("{ss si si ss}", "path", diags->v[i].path,
						      "line", (int)diags->v[i].line, "column",
						      (int)diags->v[i].column, "message",
						      diags->v[i].msg));
	object = json_pack("{si so}", "version", 1, "errors", list);
	text = json_dumps(object, JSON_INDENT(1));
	puts(text);
	free(text);
	json_decref(object);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void print_summary(const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_clusters; i++) {
		const struct cluster *c = &spec->clusters[i];

		printf("%s: %zu node%s, %zu service%s, no errors\n", c->name, c->node_map.n,
		       plural(c->node_map.n), c->n_services, plural(c->n_services));
	}
}

/* What a language cannot hold shows only when it is written. One line a cluster is enough: its nodes share the words. */
static void render_cluster(const struct cluster *cluster, struct diags *diags)
{
	const struct facts facts = facts_elsewhere("");

	for (size_t i = 0; i < cluster->node_map.n; i++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		CLEANUP(fileset_release) struct fileset set;
		struct err err = {0};

		fileset_init(&set, pool);
		if (render_node(cluster, cluster_node(cluster, i), &facts, &set, &err) == 0)
			continue;
		diags_add(diags, cluster->path, 0, 0, "%s", err.msg);
		return;
	}
}

static int validate(const char *path, bool json)
{
	CLEANUP(repo_release) struct repo repo = REPO_INIT;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(spec_freep) struct spec *spec = NULL;
	struct err err = {0};

	if (repo_open(path, NULL, &repo, &err) < 0 ||
	    spec_load(repo.src, NULL, &spec, &diags, &err) < 0)
		return cli_fail(&err);
	for (size_t i = 0; !diags.n && i < spec->n_clusters; i++)
		render_cluster(&spec->clusters[i], &diags);
	diags_sort(&diags);
	if (json)
		print_json(&diags);
	else
		diags_print(&diags, stderr);
	if (diags.n) {
		fprintf(stderr, "dynia: %zu error%s\n", diags.n + diags.dropped,
			plural(diags.n + diags.dropped));
		return EXIT_REPOSITORY;
	}
	if (!json)
		print_summary(spec);
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct cli_option options[] = {
		{"json", NULL, "print the errors as JSON", .flag = &json},
		CLI_OPTION_END,
	};
	struct cli_args args = {.most = 1};
	int status = cli_parse(self, options, argc, argv, &args);

	return status >= 0 ? status : validate(args.n ? args.v[0] : NULL, json);
}

const struct command cmd_validate = {
	.name = "validate",
	.arguments = "[PATH | PATH@REV]",
	.summary = "check a repository, and list everything that is wrong with it",
	.help = "Reads the work tree at PATH (default: the current folder) or one revision of it,\n"
		"every cluster and every service, and prints each error as path:line:column: "
		"message.\n"
		"Exits 3 where there are any.",
	.example = "  dynia validate\n  dynia validate .@origin/main",
	.run = run,
};
