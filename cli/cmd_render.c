#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "cli/command.h"
#include "cli/repo.h"
#include "reconciler/certificate.h"
#include "render/render.h"

struct render_options {
	const char *path;
	const char *cluster;
	const char *node;
	const char *out;
	const char *root;
};

/* A certificate that is there stays; a new one is made, so that the result can be checked as it is.
 */
static int add_certificate(struct file_batch *batch, const struct out_file *file, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf pem = STRBUF_INIT;
	int there = file_stat_in(batch->dirfd, file->path, NULL, err);

	if (there)
		return there < 0 ? -1 : 0;
	if (certificate_self_signed(file->data, &pem, err) < 0)
		return -1;
	return file_batch_add(batch, file->path, pem.buf, pem.len, file->mode, err);
}

static int write_files(const struct fileset *set, const char *out, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (mkdir(out, 0755) < 0 && errno != EEXIST)
		return err_errno(err, "make '%s'", out);
	fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open '%s'", out);
	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(fd);
	for (size_t i = 0; i < set->n; i++) {
		const struct out_file *f = &set->v[i];

		if ((f->certificate
			     ? add_certificate(&batch, f, err)
			     : file_batch_add(&batch, f->path, f->data, f->len, f->mode, err)) < 0)
			return -1;
	}
	return file_batch_sync(&batch, err) < 0 ? -1 : file_batch_publish(&batch, err);
}

static int not_there(const char *kind, const char *name, const char *const *names)
{
	const char *near = nearest_word(name, names);

	if (near)
		fprintf(stderr, "dynia: there is no %s '%s', did you mean '%s'?\n", kind, name,
			near);
	else
		fprintf(stderr, "dynia: there is no %s '%s'\n", kind, name);
	return EXIT_USAGE;
}

static int no_cluster(const struct spec *spec, const char *name)
{
	const char **names = pool_calloc(spec->pool, spec->n_clusters + 1, sizeof(*names));

	for (size_t i = 0; i < spec->n_clusters; i++)
		names[i] = spec->clusters[i].name;
	return not_there("cluster", name, names);
}

static int no_node(const struct spec *spec, const struct cluster *cluster, const char *name)
{
	const char **names = pool_calloc(spec->pool, cluster->node_map.n + 1, sizeof(*names));

	for (size_t i = 0; i < cluster->node_map.n; i++)
		names[i] = cluster_node(cluster, i)->name;
	return not_there("node", name, names);
}

static int render(const struct cluster *cluster, const struct node *node,
		  const struct render_options *o)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(fileset_release) struct fileset set;
	const struct facts facts = facts_elsewhere(o->root);
	struct err err = {0};

	fileset_init(&set, pool);
	if (render_node(cluster, node, &facts, &set, &err) < 0 ||
	    write_files(&set, o->out, &err) < 0)
		return cli_fail(&err);
	printf("%s/%s: %zu files in %s\n", cluster->name, node->name, set.n, o->out);
	return EXIT_DONE;
}

static int render_command(const struct render_options *o)
{
	CLEANUP(repo_release) struct repo repo = REPO_INIT;
	CLEANUP(spec_freep) struct spec *spec = NULL;
	const struct cluster *cluster;
	const struct node *node;
	struct err err = {0};
	int status;

	if (repo_open(o->path, NULL, &repo, &err) < 0)
		return cli_fail(&err);
	status = repo_load(&repo, &spec);
	if (status >= 0)
		return status;
	cluster = spec_cluster(spec, o->cluster);
	if (!cluster)
		return no_cluster(spec, o->cluster);
	node = cluster_find_node(cluster, o->node);
	if (!node)
		return no_node(spec, cluster, o->node);
	return render(cluster, node, o);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct render_options o = {.root = ""};
	const struct cli_option options[] = {
		{"cluster", "NAME", "the cluster", .text = &o.cluster},
		{"node", "NAME", "the node", .text = &o.node},
		{"out", "DIR", "the folder to write to; made where it is missing", .text = &o.out},
		{"root", "DIR", "put DIR before each path inside the files", .text = &o.root},
		CLI_OPTION_END,
	};
	struct cli_args args = {.most = 1};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	if (!o.cluster || !o.node || !o.out)
		return cli_usage_error(self, "--cluster, --node and --out are needed");
	if (o.root[0] && o.root[0] != '/')
		return cli_usage_error(self, "--root wants an absolute path");
	o.path = args.n ? args.v[0] : NULL;
	return render_command(&o);
}

const struct command cmd_render = {
	.name = "render",
	.arguments = "--cluster NAME --node NAME --out DIR [PATH | PATH@REV]",
	.summary = "write the files of one node to a folder",
	.help = "The same files that the agent puts on the node, below DIR. No secret is known "
		"here: its\n"
		"place holds \"(secret NAME)\". With --out D --root D the programs' own checkers "
		"can be run\n"
		"on the result.",
	.example =
		"  dynia render --cluster demo --node brave-panda --out /tmp/panda examples/repo",
	.changes = true,
	.run = run,
};
