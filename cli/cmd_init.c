#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "bootstrap/names.h"
#include "cli/command.h"
#include "gitsync/mirror.h"

struct init_options {
	const char *dir;
	const char *cluster;
	const char *node;
	const char *domain;
};

/* In the texts, @CLUSTER@, @NODE@ and @DOMAIN@ stand for what the user said. */
static const struct {
	const char *path;
	const char *text;
} templates[] = {
	{"clusters/@CLUSTER@/cluster.yaml",
	 "version: 1\n"
	 "domain: @DOMAIN@\n"
	 "\n"
	 "# One entry a machine. Its address is where the other nodes reach it.\n"
	 "nodes:\n"
	 "  @NODE@: {}\n"
	 "\n"
	 "ingress:\n"
	 "  runtime: system   # the distribution's HAProxy and Caddy; process: children of the "
	 "agent\n"
	 "  tls: {mode: files}   # put certificates with their keys into "
	 "/etc/haproxy/certs/NAME.pem\n"},
	{"clusters/@CLUSTER@/services/hello.yaml",
	 "version: 1\n"
	 "hosts: [hello.@DOMAIN@]\n"
	 "default: true   # it also answers for every other host\n"
	 "respond:\n"
	 "  status: 200\n"
	 "  body: \"Hello from @CLUSTER@\"\n"},
	{".github/workflows/dynia.yml",
	 "# Checks a pull request, and shows what merging it would do.\n"
	 "name: dynia\n"
	 "on: pull_request\n"
	 "jobs:\n"
	 "  plan:\n"
	 "    runs-on: ubuntu-24.04\n"
	 "    steps:\n"
	 "      - uses: actions/checkout@v4\n"
	 "        with: {fetch-depth: 0}\n"
	 "      - run: dynia validate\n"
	 "      - run: dynia plan --from \"origin/$GITHUB_BASE_REF\" --to HEAD --format markdown "
	 ">>\"$GITHUB_STEP_SUMMARY\"\n"},
};

static void fill_in(const struct init_options *o, const char *text, struct strbuf *out)
{
	const struct {
		const char *mark;
		const char *value;
	} marks[] = {{"@CLUSTER@", o->cluster}, {"@NODE@", o->node}, {"@DOMAIN@", o->domain}};

	while (*text) {
		size_t i = 0;

		while (i < ARRAY_SIZE(marks) && strncmp(text, marks[i].mark, strlen(marks[i].mark)))
			i++;
		if (i < ARRAY_SIZE(marks)) {
			strbuf_addstr(out, marks[i].value);
			text += strlen(marks[i].mark);
		} else {
			strbuf_addch(out, *text++);
		}
	}
}

static int check_nothing_there(const struct init_options *o, int fd, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
	int there;

	fill_in(o, templates[0].path, &path);
	there = file_stat_in(fd, path.buf, NULL, err);
	if (there > 0)
		return err_set(err, ERR_USAGE, "'%s/%s' is there already", o->dir, path.buf);
	return there;
}

static int write_templates(const struct init_options *o, int fd, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
		CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT;
		CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
		int there;

		fill_in(o, templates[i].path, &path);
		fill_in(o, templates[i].text, &text);
		there = file_stat_in(fd, path.buf, NULL, err);
		if (there < 0)
			return -1;
		if (there)
			continue;
		if (file_replace_in(fd, path.buf, text.buf, text.len, 0644, err) < 0)
			return -1;
		printf("%s/%s\n", o->dir, path.buf);
	}
	return 0;
}

static int init(const struct init_options *o)
{
	AUTO_CLOSE int fd = -1;
	struct err err = {0};

	if (mkdir(o->dir, 0755) < 0 && errno != EEXIST) {
		err_errno(&err, "make '%s'", o->dir);
		return cli_fail(&err);
	}
	fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err_errno(&err, "open '%s'", o->dir);
		return cli_fail(&err);
	}
	if (check_nothing_there(o, fd, &err) < 0 || write_templates(o, fd, &err) < 0 ||
	    mirror_init_worktree(o->dir, &err) < 0)
		return cli_fail(&err);
	fprintf(stderr,
		"next: look at the files, then\n  cd %s && dynia validate && git add -A && "
		"git commit -m 'first cluster'\n",
		o->dir);
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct init_options o = {.cluster = "main", .domain = "example.com"};
	const struct cli_option options[] = {
		{"cluster", "NAME", "the cluster's name (default main)", .text = &o.cluster},
		{"node", "NAME",
		 "the first node's name (default: two words, by the cluster's name)",
		 .text = &o.node},
		{"domain", "DOMAIN", "the domain of its services (default example.com)",
		 .text = &o.domain},
		CLI_OPTION_END,
	};
	struct cli_args args = {.least = 1, .most = 1};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	if (!is_name(o.cluster))
		return cli_usage_error(self, "--cluster: '%s' is no name: a-z, 0-9 and '-'",
				       o.cluster);
	if (!o.node)
		o.node = node_name_first(o.cluster, pool);
	if (!is_name(o.node))
		return cli_usage_error(self, "--node: '%s' is no name: a-z, 0-9 and '-'", o.node);
	if (!is_hostname(o.domain, false))
		return cli_usage_error(self, "--domain: '%s' is no domain", o.domain);
	o.dir = args.v[0];
	return init(&o);
}

const struct command cmd_init = {
	.name = "init",
	.arguments = "DIR",
	.summary = "make a new repository with one cluster, ready to commit",
	.help = "Writes a cluster with one node and one service, and a workflow that checks pull "
		"requests.\n"
		"DIR may be a repository already; nothing that is there is changed.",
	.example = "  dynia init infra --cluster shop --domain example.com",
	.changes = true,
	.run = run,
};
