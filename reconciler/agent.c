#include "reconciler/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/notify.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/unixsock.h"
#include "gitsync/poll.h"
#include "reconciler/ear.h"
#include "reconciler/pass.h"
#include "spec/load.h"

#define CONFIG_SIZE_MAX (1 << 20)
#define HOST_NAME_SIZE 256
/* Between two looks at a revision that has to show that it works. A look at its services counts for `retries`; one at a
 * container that starts beside the old one does not, and comes sooner at first. */
#define TRIAL_WAIT_MS 1000
#define START_WAIT_MS 100
/* With nobody answering, the distance between two passes doubles up to this many intervals. */
#define BACKOFF_MAX 10

/* --- open ---------------------------------------------------------------------------- */

static int read_config(struct agent *agent, const char *path, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT;
	const char *name = path ? path : root_outside(&agent->root, agent->pool, PATH_CONFIG);
	int failed = path ? file_read(path, CONFIG_SIZE_MAX, &text, err)
			  : file_read_in(agent->root.fd, PATH_CONFIG, CONFIG_SIZE_MAX, &text, err);

	if (failed)
		return err_wrap(err, "how this node finds its repository");
	agent->config = agent_config_load(name, text.buf, text.len, agent->pool, &diags);
	if (diags.n) {
		diag_text(&diags.v[0], &first);
		return err_set(err, ERR_CONFIG, "%s", first.buf);
	}
	return 0;
}

static int check_supported(const struct agent_config *config, struct err *err)
{
	for (size_t i = 0; i < config->repository.n; i++)
		if (remote_supported(config->repository.v[i], err) < 0)
			return -1;
	return config->status.repository ? remote_supported(config->status.repository, err) : 0;
}

/* The host name, less its domain and the cluster's name before it: "shop-brave-panda" is
 * brave-panda. */
static int name_node(struct agent *agent, struct err *err)
{
	char host[HOST_NAME_SIZE] = "";
	size_t len = strlen(agent->config->cluster);
	const char *name = host;

	agent->cluster = agent->config->cluster;
	agent->node = agent->config->node;
	if (agent->node)
		return 0;
	if (gethostname(host, sizeof(host) - 1) < 0)
		return err_errno(err, "this machine's host name");
	host[strcspn(host, ".")] = '\0';
	if (strncmp(host, agent->cluster, len) == 0 && host[len] == '-' && host[len + 1])
		name = host + len + 1;
	if (!is_name(name))
		return err_set(err, ERR_CONFIG,
			       "the host name '%s' is no node's name: set 'node:' in agent.yaml",
			       host);
	agent->node = pool_strdup(agent->pool, name);
	return 0;
}

/* The programs' sockets, HAProxy's temporary name for one, and their copies for the checkers must
 * fit a socket address. */
static int check_root_length(const struct root *root, struct err *err)
{
	size_t most = UNIXSOCK_PATH_MAX - strlen(PATH_CHECK PATH_RUN "/haproxy.sock.4194304.tmp");

	if (strlen(root->path) <= most)
		return 0;
	return err_set(err, ERR_USAGE,
		       "the path of --root is %zu bytes long: at most %zu, or the sockets below it "
		       "have no room",
		       strlen(root->path), most);
}

static int take_lock(struct agent *agent, struct err *err)
{
	if (file_mkdirs_in(agent->root.fd, PATH_RUN, 0755, err) < 0)
		return -1;
	agent->lock_fd = file_open_in(agent->root.fd, PATH_LOCK, O_RDWR | O_CREAT, 0600, err);
	if (agent->lock_fd < 0)
		return -1;
	if (flock(agent->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_errno(err, "lock '%s%s'", agent->root.path, PATH_LOCK);
	return err_set(err, ERR_SYSTEM, "another dynia is at work here: it holds '%s%s'",
		       agent->root.path, PATH_LOCK);
}

static int open_mirror(struct agent *agent, struct err *err)
{
	bool replaced = false;

	if (file_mkdirs_in(agent->root.fd, PATH_GENERATIONS, 0700, err) < 0)
		return -1;
	if (mirror_create(root_outside(&agent->root, agent->pool, PATH_MIRROR), &agent->mirror,
			  &replaced, err) < 0)
		return -1;
	if (replaced)
		log_warn("the local copy of the repository was damaged: it is fetched anew");
	return 0;
}

/* A time of the wall clock in clock_ms(); what seems to be yet to come is now. */
static int64_t monotonic(int64_t wall_s)
{
	int64_t ago_s = clock_wall_s() - wall_s;

	return clock_ms() - (ago_s > 0 ? ago_s : 0) * 1000;
}

/* What is lost or damaged here is found out again by the next pass. */
static void open_memory(struct agent *agent)
{
	struct err err = {0};
	int has_index;

	if (state_read(&agent->root, &agent->state, &err) < 0)
		log_warn("%s: everything is looked at again", err.msg);
	if (high_water_read(&agent->root, &agent->high_water, &err) < 0)
		log_warn("%s: the state and the status ref say how far this node had come",
			 err.msg);
	high_water_learn(&agent->high_water, agent->state.revision);
	has_index = index_read(&agent->root, PATH_INDEX, &agent->index, &err);
	if (has_index < 0) {
		log_warn("%s: everything is written again", err.msg);
		index_release(&agent->index);
		index_init(&agent->index);
	}
	agent->index_lost = has_index <= 0;
	if (has_index <= 0) {
		agent->index.generation = agent->state.status.generation;
		agent->state.has_watch = false;
	} else if (agent->index.generation > agent->state.status.generation) {
		/* The last agent was killed between the two: the index is the newer one. */
		memcpy(agent->state.revision, agent->index.revision, GIT_OID_HEX);
		agent->state.has_watch = false;
	}
	agent->probes = xcalloc(agent->state.watch.n_services + 1, sizeof(*agent->probes));
	agent->changed_ms = monotonic(agent->state.status.changed_at_s);
}

int agent_open(struct agent *agent, const struct agent_options *options, struct err *err)
{
	/* What is secret has a mode of its own; the worker, another user, reads the mirror's objects. */
	umask(022);
	agent->pool = pool_new();
	state_init(&agent->state);
	index_init(&agent->index);
	agent->dry_run = options->dry_run;
	agent->started_at_s = clock_wall_s();
	if (root_open(options->root, &agent->root, err) < 0 ||
	    check_root_length(&agent->root, err) < 0 ||
	    read_config(agent, options->config, err) < 0 ||
	    check_supported(agent->config, err) < 0 || name_node(agent, err) < 0 ||
	    take_lock(agent, err) < 0 || open_mirror(agent, err) < 0)
		return -1;
	agent->services = services_new(agent->config->docker);
	agent->poller = poller_new();
	agent->root.docker = agent->config->docker;
	open_memory(agent);
	return 0;
}

void agent_release(struct agent *agent)
{
	if (!agent->pool)
		return;
	push_end(agent);
	apart_end(&agent->look.job);
	apart_end(&agent->upkeep.job);
	ear_close(agent);
	free(agent->probes);
	services_free(agent->services);
	index_release(&agent->index);
	state_release(&agent->state);
	mirror_free(agent->mirror);
	poller_free(agent->poller);
	cleanup_close(&agent->lock_fd);
	root_release(&agent->root);
	pool_free(agent->pool);
	*agent = (struct agent)AGENT_INIT;
}

/* --- the loop ------------------------------------------------------------------------ */

/* The interval, grown with each pass that reached no remote, and ten per cent either way, so that
 * nodes that were started together do not ask together. */
static int64_t next_wait_ms(const struct agent *agent, unsigned unsynced)
{
	int64_t interval = agent->config->interval_ms;
	int64_t factor = 1;
	uint16_t dice = 0;

	while (unsynced-- && factor < BACKOFF_MAX)
		factor *= 2;
	interval *= factor < BACKOFF_MAX ? factor : BACKOFF_MAX;
	if (getrandom(&dice, sizeof(dice), 0) < 0)
		dice = UINT16_MAX / 2;
	return interval - interval / 10 + interval / 5 * dice / UINT16_MAX;
}

static int64_t trial_wait_ms(unsigned starting)
{
	int64_t wait = START_WAIT_MS;

	if (!starting)
		return TRIAL_WAIT_MS;
	while (--starting && wait < TRIAL_WAIT_MS)
		wait *= 2;
	return wait < TRIAL_WAIT_MS ? wait : TRIAL_WAIT_MS;
}

/* HAProxy and Caddy are our children where we started them; one that died is found missing by the
 * next pass. */
static void reap_children(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Reads what came; true where it means the end. */
static bool take_signals(struct agent *agent, int fd, bool *pass_now)
{
	struct signalfd_siginfo info;
	bool end = false;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap_children();
			continue;
		}
		if (info.ssi_signo == SIGHUP)
			*pass_now = agent->look_at_secrets = true;
		else
			end = true;
	}
	return end;
}

/* The listener's part of a wait: it is heard, and started again where it died. */
static bool listen_too(struct agent *agent, bool ready)
{
	bool heard = ready && listener_heard(&agent->listener);

	agent->counts.asked += heard;
	if (!heard)
		ear_keep(agent);
	return heard;
}

/* Waits until the next pass is due. 1: make it; 0: end; -1: error. */
static int wait_for_pass(struct agent *agent, int signals, int64_t wait_ms, struct err *err)
{
	int64_t due = clock_ms() + wait_ms;
	bool pass_now = false;

	while (!pass_now) {
		struct pollfd fds[] = {
			{.fd = signals, .events = POLLIN},
			{.fd = listener_poll_fd(&agent->listener), .events = POLLIN},
			{.fd = agent->push.job.fd, .events = POLLIN},
			{.fd = agent->look.job.fd, .events = POLLIN},
		};
		int64_t left = due - clock_ms();
		int n, until_heard = listener_wait_ms(&agent->listener);

		if (left <= 0)
			return 1;
		if (until_heard >= 0 && until_heard < left)
			left = until_heard;
		n = poll(fds, ARRAY_SIZE(fds), notify_wait_ms(left));
		if (n < 0 && errno != EINTR)
			return err_errno(err, "wait for the next pass");
		if (n > 0 && fds[0].revents && take_signals(agent, signals, &pass_now))
			return 0;
		if (listen_too(agent, n > 0 && fds[1].revents))
			pass_now = true;
		/* What was made while the last one was on its way does not wait for the next interval. */
		if (push_take(agent) && push_is_behind(agent))
			pass_now = true;
		if (look_take(agent))
			pass_now = true;
	}
	return 1;
}

static void count_pass(struct agent *agent, bool failed, int64_t began_ms)
{
	agent->counts.passes++;
	agent->counts.failed += failed;
	agent->counts.last_at_s = clock_wall_s();
	agent->counts.last_ms = clock_ms() - began_ms;
}

static int open_signals(struct err *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(err, "block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_errno(err, "open a signalfd");
	return fd;
}

/* The same trouble is said once, and once when it is over. */
static void log_outcome(struct agent *agent, bool failed, const struct err *err)
{
	const char *now = failed ? err->msg : "";

	if (strcmp(agent->last_error, now) == 0)
		return;
	if (failed)
		log_error("%s", now);
	else
		log_info("all is well again");
	memcpy(agent->last_error, now, strlen(now) + 1);
}

/* By which `dynia vrrp` finds the loop, to have it make a pass at once. */
static int write_pid(const struct agent *agent, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

	strbuf_addf(&line, "%d %llu\n", (int)getpid(), process_start_time(getpid()));
	return file_replace_in(agent->root.fd, PATH_AGENT_PID, line.buf, line.len, 0644, err);
}

int agent_run(struct agent *agent, struct err *err)
{
	AUTO_CLOSE int signals = open_signals(err);
	unsigned unsynced = 0, starting = 0;
	int go_on = signals < 0 || write_pid(agent, err) < 0 || ear_open(agent, err) < 0 ||
				    notify_ready(err) < 0
			    ? -1
			    : 1;

	agent->push.apart = true;
	log_info("dynia %s: node %s of cluster %s, every %d s", DYNIA_VERSION, agent->node,
		 agent->cluster, (int)(agent->config->interval_ms / 1000));
	while (go_on > 0) {
		struct outcome outcome = {0};
		struct err failure = {0};
		int64_t began_ms = clock_ms();
		bool failed = reconcile_once(agent, &outcome, &failure) < 0;

		if (agent->look_at_secrets || !agent->webhook_key)
			ear_learn(agent);
		agent->look_at_secrets = false;
		count_pass(agent, failed, began_ms);
		ear_show(agent);

		log_outcome(agent, failed, &failure);
		upkeep_tend(agent);
		if (outcome.changed || agent->counts.passes == 1)
			memory_give_back();
		if (!outcome.on_trial)
			unsynced = outcome.unsynced ? unsynced + 1 : 0;
		starting = outcome.starting ? starting + 1 : 0;
		go_on = wait_for_pass(agent, signals,
				      outcome.on_trial ? trial_wait_ms(starting)
						       : next_wait_ms(agent, unsynced),
				      err);
	}
	notify_stopping();
	push_end(agent);
	apart_end(&agent->look.job);
	apart_end(&agent->upkeep.job);
	ear_close(agent);
	return go_on;
}
