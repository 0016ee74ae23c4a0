#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "bootstrap/bootstrap.h"
#include "bootstrap/holder.h"
#include "bootstrap/names.h"
#include "bootstrap/user_data.h"
#include "cli/boot_print.h"
#include "cli/command.h"
#include "cli/repo.h"
#include "cli/senders.h"

#define DRAIN_DEFAULT "30s"
#define MACHINE_DEFAULT "10m"
#define ADD_MAX 100

struct bootstrap_options {
	const char *verb;
	const char *path;
	const char *cluster;
	const char *node;
	const char *drain;
	const char *machine;
	const char *add;
	int64_t n_add;
	bool json;
	bool yes;
	bool exit_code;
	struct boot_options boot;
};

/* --- questions ------------------------------------------------------------------------------ */

/* 1: yes; 0: no; -1: nobody to ask. */
static int ask(const char *question, const char *want)
{
	char answer[128];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return -1;
	fprintf(stderr, "%s ", question);
	fflush(stderr);
	if (!fgets(answer, sizeof(answer), stdin))
		return 0;
	answer[strcspn(answer, "\n")] = '\0';
	return strcmp(answer, want) == 0;
}

/* -1: go on; else an exit status. What takes away is asked for, each time. */
static int confirm(const struct bootstrap_options *o, const struct boot *boot, bool destroy)
{
	const char *want = destroy ? boot->cluster->name : "yes";
	AUTO_FREE char *question = NULL;
	struct err err = {0};
	int answer;

	if (o->yes || !boot_interrupts(boot))
		return -1;
	boot_print_plan(boot, stderr, false);
	question = xasprintf("this takes away what may be in use. Type '%s' to go on:", want);
	answer = ask(question, want);
	if (answer > 0)
		return -1;
	if (answer < 0)
		err_set(&err, ERR_USAGE,
			"this takes away what may be in use, and there is no terminal to ask: add "
			"--yes");
	else
		err_set(&err, ERR_APPLY, "nothing was changed");
	return cli_fail(&err);
}

/* --- plan, apply, destroy --------------------------------------------------------------------- */

static int make_plan(struct boot *boot, bool destroy, struct err *err)
{
	return destroy ? boot_plan_destroy(boot, err) : boot_plan(boot, err);
}

static void propose(const struct cluster *cluster, unsigned add)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	if (add)
		printf("# for nodes: in %s\n", cluster->path);
	for (unsigned i = 0; i < add; i++)
		printf("  %s: {}\n", node_name_propose(cluster, i, pool));
}

static int plan(const struct bootstrap_options *o, const struct cluster *cluster)
{
	CLEANUP(boot_release) struct boot boot = BOOT_INIT;
	struct boot_progress progress = BOOT_PROGRESS_INIT;
	struct err err = {0};

	if (boot_open(&boot, cluster, &o->boot, &err) < 0)
		return cli_fail(&err);
	boot_progress_watch(&progress, &boot);
	if (make_plan(&boot, false, &err) < 0)
		return cli_fail(&err);
	if (o->json) {
		boot_print_json(&boot, (unsigned)o->n_add, stdout);
	} else {
		boot_print_plan(&boot, stdout, cli_colour());
		propose(cluster, (unsigned)o->n_add);
	}
	return o->exit_code && boot.n_steps ? EXIT_TO_DO : EXIT_DONE;
}

static int carry_out(const struct bootstrap_options *o, const struct cluster *cluster, bool destroy)
{
	CLEANUP(boot_release) struct boot boot = BOOT_INIT;
	struct boot_progress progress = BOOT_PROGRESS_INIT;
	struct boot_options options = o->boot;
	struct err err = {0};
	int status, failed;

	options.progress = boot_progress_step;
	options.progress_arg = &progress;
	if (boot_open(&boot, cluster, &options, &err) < 0)
		return cli_fail(&err);
	boot_progress_watch(&progress, &boot);
	if (make_plan(&boot, destroy, &err) < 0)
		return cli_fail(&err);
	status = confirm(o, &boot, destroy);
	if (status >= 0)
		return status;
	boot_progress_begin(&progress);
	failed = boot_apply(&boot, &err);
	boot_progress_end(&progress);
	if (o->json)
		boot_print_json(&boot, 0, stdout);
	else
		boot_print_result(&boot, stdout);
	return failed ? cli_fail(&err) : EXIT_DONE;
}

static int apply(const struct bootstrap_options *o, const struct cluster *cluster)
{
	return carry_out(o, cluster, false);
}

static int destroy(const struct bootstrap_options *o, const struct cluster *cluster)
{
	return carry_out(o, cluster, true);
}

/* New ones, or those that were not brought yet, to nodes that are there. */
static int credentials(const struct bootstrap_options *o, const struct cluster *cluster)
{
	struct bootstrap_options deliver = *o;
	struct err err = {0};

	deliver.boot.deliver_only = true;
	deliver.boot.only_node = o->node;
	if (o->boot.credentials)
		return carry_out(&deliver, cluster, false);
	err_set(&err, ERR_USAGE, "bootstrap credentials: which? Add --credentials DIR");
	return cli_fail(&err);
}

/* What the node that holds the address does by itself, for a person: it moves here. */
static int hold(const struct bootstrap_options *o, const struct cluster *cluster)
{
	const struct holder_tokens tokens = {
		.digitalocean = getenv(digitalocean_api.token_variable),
		.cloudflare = getenv(cloudflare_api.token_variable),
	};
	const struct node *node;
	struct holder_result result;
	struct err err = {0};

	if (!o->node) {
		err_set(&err, ERR_USAGE, "bootstrap hold: which node? Add --node NAME");
		return cli_fail(&err);
	}
	node = boot_need_node(cluster, o->node, &err);
	if (!node)
		return cli_fail(&err);
	if (holder_keep(cluster, node, &tokens, &result, &err) < 0)
		return cli_fail(&err);
	printf("%s, %zu records changed\n",
	       result.moved ? "the reserved IP has moved" : "the reserved IP stays",
	       result.records);
	return EXIT_DONE;
}

static int user_data(const struct bootstrap_options *o, const struct cluster *cluster)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const struct node *node;
	struct err err = {0};
	const char *text;

	if (!o->node) {
		err_set(&err, ERR_USAGE, "bootstrap user-data: which node? Add --node NAME");
		return cli_fail(&err);
	}
	node = boot_need_node(cluster, o->node, &err);
	if (!node || user_data_text(cluster, node, NULL, pool, &text, &err) < 0)
		return cli_fail(&err);
	fputs(text, stdout);
	return EXIT_DONE;
}

/* --- the command -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(const struct bootstrap_options *o, const struct cluster *cluster);
} verbs[] = {
	{"plan", plan}, {"apply", apply},         {"destroy", destroy},
	{"hold", hold}, {"user-data", user_data}, {"credentials", credentials},
};

/* --cluster, or the one that there is. */
static const struct cluster *choose(const struct bootstrap_options *o, const struct spec *spec,
				    struct err *err)
{
	const struct cluster *cluster;

	if (!o->cluster && spec->n_clusters == 1)
		return &spec->clusters[0];
	if (!o->cluster) {
		err_set(err, ERR_USAGE,
			"the repository has %zu clusters: choose one with --cluster NAME",
			spec->n_clusters);
		return NULL;
	}
	cluster = spec_cluster(spec, o->cluster);
	if (!cluster)
		err_set(err, ERR_USAGE, "there is no cluster '%s' in the repository", o->cluster);
	return cluster;
}

static int run_verb(const struct bootstrap_options *o, size_t verb)
{
	struct bootstrap_options with_senders = *o;
	struct senders senders;
	CLEANUP(repo_release) struct repo repo = REPO_INIT;
	CLEANUP(spec_freep) struct spec *spec = NULL;
	const struct cluster *cluster;
	struct err err = {0};
	int status;

	if (repo_open(o->path, NULL, &repo, &err) < 0)
		return cli_fail(&err);
	status = repo_load(&repo, &spec);
	if (status >= 0)
		return status;
	cluster = choose(o, spec, &err);
	senders = (struct senders) {.mirror = repo.mirror, .cluster = cluster};
	with_senders.boot.senders = senders_ask;
	with_senders.boot.senders_arg = &senders;
	return cluster ? verbs[verb].run(&with_senders, cluster) : cli_fail(&err);
}

static int take_duration(const struct command *self, const char *name, const char *word,
			 int64_t *ret_ms)
{
	struct err err = {0};

	if (strcmp(word, "0") == 0)
		*ret_ms = 0;
	else if (parse_duration_ms(word, ret_ms, &err) < 0)
		return cli_usage_error(self, "--%s: %s", name, err.msg);
	return -1;
}

/* An option that would be passed over is refused: who writes destroy --node NAME does not mean the whole cluster. */
static int check_options(const struct command *self, struct bootstrap_options *o, const char *verb)
{
	/* No verb's name is in another's. */
	const struct {
		const char *name;
		bool given;
		const char *verbs;
	} rows[] = {
		{"node", o->node, "hold, user-data and credentials"},
		{"credentials", o->boot.credentials, "plan, apply and credentials"},
		{"identity", o->boot.identity, "plan, apply and credentials"},
		{"replace", o->boot.replace, "plan and apply"},
		{"add", o->add, "plan"},
		{"release-address", o->boot.release_address, "destroy"},
		{"json", o->json, "plan, apply, destroy and credentials"},
		{"exit-code", o->exit_code, "plan"},
	};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].given && !strstr(rows[i].verbs, verb))
			return cli_usage_error(self, "%s takes no --%s, which is for %s", verb,
					       rows[i].name, rows[i].verbs);
	if (o->boot.identity && !o->boot.credentials)
		return cli_usage_error(
			self, "--identity is for ssh, which brings what --credentials DIR names");
	if (o->boot.identity && access(o->boot.identity, R_OK) < 0)
		return cli_usage_error(self, "--identity: '%s' cannot be read", o->boot.identity);
	if (o->add && parse_int(o->add, 1, ADD_MAX, &o->n_add, &err) < 0)
		return cli_usage_error(self, "--add: %s", err.msg);
	return -1;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct bootstrap_options o = {.drain = DRAIN_DEFAULT, .machine = MACHINE_DEFAULT};
	const struct cli_option options[] = {
		{"cluster", "NAME", "the cluster; may be left out where there is only one",
		 .text = &o.cluster},
		{"node", "NAME", "hold, user-data, credentials: for this node", .text = &o.node},
		{"credentials", "DIR",
		 "apply, credentials: the folder with the files that go to /etc/dynia on the nodes",
		 .text = &o.boot.credentials},
		{"identity", "FILE",
		 "apply, credentials: the private key that ssh uses (default: as ssh finds it)",
		 .text = &o.boot.identity},
		{"replace", "NODE", "plan, apply: another droplet for this node",
		 .text = &o.boot.replace},
		{"add", "N", "plan: propose names for so many more nodes", .text = &o.add},
		{"drain", "TIME",
		 "how long a droplet that goes may finish (default " DRAIN_DEFAULT ")",
		 .text = &o.drain},
		{"timeout", "TIME",
		 "how long a droplet may take to come up, and again to take credentials "
		 "(default " MACHINE_DEFAULT ")",
		 .text = &o.machine},
		{"release-address", NULL, "destroy: give the reserved IP back, too",
		 .flag = &o.boot.release_address},
		{"yes", NULL, "take away what must go without asking", .flag = &o.yes},
		{"json", NULL, "the steps as JSON", .flag = &o.json},
		{"exit-code", NULL, "plan: exit with 4 where there is something to do",
		 .flag = &o.exit_code},
		CLI_OPTION_END,
	};
	struct cli_args args = {.least = 1, .most = 2};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status < 0)
		status = take_duration(self, "drain", o.drain, &o.boot.drain_ms);
	if (status < 0)
		status = take_duration(self, "timeout", o.machine, &o.boot.machine_ms);
	if (status < 0 && o.boot.machine_ms <= 0)
		status = cli_usage_error(self, "--timeout: no droplet comes up in no time: "
					       "write " MACHINE_DEFAULT);
	if (status >= 0)
		return status;
	o.path = args.n > 1 ? args.v[1] : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, args.v[0]) != 0)
			continue;
		status = check_options(self, &o, verbs[i].name);
		return status >= 0 ? status : run_verb(&o, i);
	}
	return cli_usage_error(
		self, "'%s' is none of plan, apply, credentials, destroy, hold and user-data",
		args.v[0]);
}

const struct command cmd_bootstrap = {
	.name = "bootstrap",
	.arguments = "plan|apply|credentials|destroy|hold|user-data [PATH]",
	.summary =
		"make the machines of a cluster, its address, firewall and records, or take them "
		"away",
	.help = "Droplets, VPC, cloud firewall and reserved IP at DigitalOcean, records at "
		"Cloudflare: what\n"
		"cluster.yaml says. There is no state file: what is there is found by the tag\n"
		"dynia-cluster:NAME, and apply can be interrupted and run again, from anywhere. "
		"Nothing\n"
		"without that mark is touched. hold moves the reserved IP to a node by hand.\n\n"
		"With --credentials, apply brings new nodes what their user-data does not: the "
		"files of DIR, over ssh as root.\n"
		"credentials brings them again, after a change, to every node or to one.\n\n"
		"Tokens are read from DIGITALOCEAN_TOKEN and CLOUDFLARE_API_TOKEN. Also in the "
		"environment:\n"
		"DIGITALOCEAN_API_URL, CLOUDFLARE_API_URL, DYNIA_API_TIMEOUT (30s, for one "
		"request),\n"
		"DYNIA_API_WAIT (1s, between two looks, and before a second try).",
	.example = "  dynia bootstrap plan --cluster shop\n"
		   "  dynia bootstrap apply --cluster shop\n"
		   "  dynia bootstrap apply --cluster shop --credentials ./secret\n"
		   "  dynia bootstrap apply --replace misty-owl --yes\n"
		   "  dynia bootstrap user-data --node brave-panda | cloud-init schema "
		   "--config-file /dev/stdin",
	.changes = true,
	.run = run,
};
