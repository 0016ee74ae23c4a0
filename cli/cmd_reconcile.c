#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "cli/command.h"
#include "cli/plan_print.h"
#include "reconciler/agent.h"
#include "reconciler/high_water.h"
#include "reconciler/pass.h"

/* Between two looks at a revision that has to show that it works. */
#define TRIAL_WAIT_MS 500

struct reconcile_options {
	struct agent_options agent;
	bool once;
	const char *accept_history;
};

struct shown {
	const struct agent *agent;
	struct plan_printer printer;
};

static void show_plan(const struct plan *plan, const char *revision, void *arg)
{
	struct shown *shown = arg;

	printf("%s at %.7s\n", shown->agent->node, revision);
	plan_print_node(&shown->printer, shown->agent->cluster, shown->agent->node, plan);
}

static int failed(const struct err *err)
{
	int status = cli_fail(err);

	return err->code == ERR_CONFIG || err->code == ERR_UNNAMED ? EXIT_REPOSITORY : status;
}

static int dry_run(struct agent *agent)
{
	struct shown shown = {.agent = agent};
	struct outcome outcome = {.show = show_plan, .show_arg = &shown};
	struct err err = {0};
	int rc;

	plan_print_begin(&shown.printer, PLAN_TEXT, cli_colour());
	rc = reconcile_once(agent, &outcome, &err);
	if (outcome.planned)
		plan_print_end(&shown.printer);
	if (rc < 0)
		return failed(&err);
	return outcome.changed ? EXIT_TO_DO : EXIT_DONE;
}

static int once(struct agent *agent)
{
	struct outcome outcome = {0};
	struct err err = {0}, late = {0};
	int rc;

	agent->push.apart = true;
	agent->look.wait = true;
	do {
		if (outcome.on_trial)
			clock_sleep_ms(TRIAL_WAIT_MS);
		rc = reconcile_once(agent, &outcome, &err);
	} while (rc == 0 && outcome.on_trial);
	if (push_settle(agent, &late) == 0)
		upkeep_settle(agent);
	else if (rc == 0)
		return failed(&late);
	return rc < 0 ? failed(&err) : EXIT_DONE;
}

static int loop(struct agent *agent)
{
	struct err err = {0};

	return agent_run(agent, &err) < 0 ? cli_fail(&err) : EXIT_DONE;
}

/* An order for the next pass, of this agent or of one that runs. */
static int accept_history(const struct reconcile_options *o, struct err *err)
{
	CLEANUP(root_release) struct root root = ROOT_INIT;
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(mirror_freep) struct mirror *mirror = NULL;
	char oid[GIT_OID_HEX];

	if (root_open(o->agent.root, &root, err) < 0 ||
	    mirror_open(root_outside(&root, pool, PATH_MIRROR), &mirror, err) < 0 ||
	    mirror_resolve(mirror, o->accept_history, oid, err) < 0 ||
	    accept_history_order(&root, oid, err) < 0)
		return -1;
	printf("the next pass takes the history of %s for the right one\n", oid);
	return fflush(stdout) == 0 ? 0 : err_errno(err, "write to standard output");
}

static int reconcile(const struct reconcile_options *o)
{
	CLEANUP(agent_release) struct agent agent = AGENT_INIT;
	struct err err = {0};

	log_setup(LOG_LEVEL_INFO);
	if (o->accept_history && accept_history(o, &err) < 0)
		return cli_fail(&err);
	if (o->accept_history && !o->once)
		return EXIT_DONE;
	if (notify_setup(&err) < 0)
		return cli_fail(&err);
	if (agent_open(&agent, &o->agent, &err) < 0) {
		notify_status("%s", err.msg);
		return cli_fail(&err);
	}
	if (o->agent.dry_run)
		return dry_run(&agent);
	return o->once ? once(&agent) : loop(&agent);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct reconcile_options o = {0};
	const struct cli_option options[] = {
		{"once", NULL, "to the branch's tip, and until it is healthy or taken back",
		 .flag = &o.once},
		{"dry-run", NULL, "show what a pass would do; exit 4 where that is something",
		 .flag = &o.agent.dry_run},
		{"accept-history", "REV",
		 "history begins at REV, although what was applied is not behind it",
		 .text = &o.accept_history},
		{"root", "DIR", "the node lives in DIR; nothing outside it is touched",
		 .text = &o.agent.root},
		{"config", "FILE", "agent.yaml (default: /etc/dynia/agent.yaml in the root)",
		 .text = &o.agent.config},
		CLI_OPTION_END,
	};
	struct cli_args args = {0};
	int status = cli_parse(self, options, argc, argv, &args);

	if (status >= 0)
		return status;
	if (o.accept_history && o.agent.dry_run)
		return cli_usage_error(self, "--accept-history and --dry-run exclude each other");
	return reconcile(&o);
}

const struct command cmd_reconcile = {
	.name = "reconcile",
	.arguments = "",
	.summary = "bring this node to what the repository says, and keep it there",
	.help = "Pulls the repository that agent.yaml names, renders this node's files, checks "
		"them with\n"
		"the programs' own checkers, applies them, looks whether they work, and commits "
		"the status\n"
		"to the node's own ref. Without --once it goes on until TERM or INT; HUP makes a "
		"pass at\n"
		"once. HAProxy and Caddy go on running when the agent ends.\n"
		"A dry run that reaches no repository plans against the mirror, says so, and "
		"exits 1.\n"
		"History only moves forward: a branch that does not contain what was applied here "
		"is "
		"refused,\n"
		"until --accept-history REV says on this node that REV is right.",
	.example = "  dynia reconcile --once --root /tmp/panda\n"
		   "  dynia reconcile --dry-run\n"
		   "  dynia reconcile --accept-history 1a2b3c4",
	.changes = true,
	.run = run,
};
