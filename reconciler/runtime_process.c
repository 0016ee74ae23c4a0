/*
 * Runtime `process`: HAProxy as master-worker and Caddy as children that outlive the agent. Each
 * writes its pid and start time before it is executed (base/process.h), so the next agent finds it
 * whatever happened to this one.
 */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strvec.h"
#include "base/unixsock.h"
#include "reconciler/caddy.h"
#include "reconciler/haproxy.h"
#include "reconciler/runtime.h"
#include "render/layout.h"
#include "spec/model.h"

#define READY_TIMEOUT_MS 15000
#define STOP_TIMEOUT_MS 20000
#define POLL_MS 20
#define CADDYFILE_MAX (16 << 20)
#define LOG_TAIL_BYTES 4096

struct process_row {
	const char *name;
	const char *pid_path;
	size_t control; /* where in struct endpoints the path of its control socket is */
	const char *log_name;
	int stop_signal;
	void (*argv)(const struct runtime_context *rt, struct strvec *argv);
	void (*env)(const struct runtime_context *rt, struct strvec *env);
	int (*loaded)(const struct runtime_context *rt, pid_t pid, char ret_digest[SHA256_HEX_SIZE],
		      struct err *err);
	int (*reload)(const struct runtime_context *rt, pid_t pid, const char *config,
		      struct err *err);
	bool reload_fails_in_log; /* its log, not its answer, says why a reload failed */
};

/* --- what the two differ in ---------------------------------------------------------- */

static void haproxy_argv(const struct runtime_context *rt, struct strvec *argv)
{
	strvec_pushl(argv, "haproxy", "-W", "-db", "-S", NULL);
	strvec_pushf(argv, "%s,mode,600", rt->at->haproxy_master);
	strvec_pushl(argv, "-f", rt->at->haproxy_file, NULL);
}

static void caddy_argv(const struct runtime_context *rt, struct strvec *argv)
{
	strvec_pushl(argv, "caddy", "run", "--adapter", "caddyfile", "--config", rt->at->caddy_file,
		     NULL);
}

static void common_env(struct strvec *env)
{
	strvec_push(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strvec_push(env, "LANG=C.UTF-8");
}

static void haproxy_env(const struct runtime_context *rt, struct strvec *env)
{
	(void)rt;
	common_env(env);
}

/* Caddy keeps certificates and its last configuration below these. */
static void caddy_env(const struct runtime_context *rt, struct strvec *env)
{
	common_env(env);
	strvec_pushf(env, "HOME=%s", rt->at->caddy_data);
	strvec_pushf(env, "XDG_DATA_HOME=%s", rt->at->caddy_data);
	strvec_pushf(env, "XDG_CONFIG_HOME=%s", rt->at->caddy_data);
}

static int haproxy_loaded_here(const struct runtime_context *rt, pid_t master,
			       char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	pid_t worker;

	if (haproxy_loaded(rt->at->haproxy_socket, ret_digest, &worker, err) < 0)
		return -1;
	if (process_parent(worker) == master)
		return 0;
	return err_set(err, ERR_NETWORK, "a worker of an earlier haproxy answers");
}

static int caddy_loaded_here(const struct runtime_context *rt, pid_t pid,
			     char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	(void)pid;
	return caddy_loaded(rt->at->caddy_health, ret_digest, err);
}

/* The master's socket is refused for a moment after a start and while the master re-executes
 * itself. */
static int count_failed_reloads(const char *master, int64_t deadline, long *ret, struct err *err)
{
	while (haproxy_failed_reloads(master, ret, err) < 0) {
		if (clock_ms() >= deadline)
			return -1;
		clock_sleep_ms(POLL_MS);
	}
	return 0;
}

/* SIGUSR2 makes the master start a new worker, which takes the listeners over (rendering: 0
 * requests lost). The old worker serves on where the new one does not come up; the master counts
 * that. */
static int haproxy_reload(const struct runtime_context *rt, pid_t pid, const char *config,
			  struct err *err)
{
	int64_t deadline = clock_ms() + READY_TIMEOUT_MS;
	char loaded[SHA256_HEX_SIZE];
	pid_t old_worker = 0, worker;
	long before = 0, now = 0;
	struct err ignored;

	if (count_failed_reloads(rt->at->haproxy_master, deadline, &before, err) < 0)
		return -1;
	/* The configuration may be the one that it had: only another worker says that it was
	 * loaded. */
	if (haproxy_loaded(rt->at->haproxy_socket, loaded, &old_worker, &ignored) < 0)
		old_worker = 0;
	if (kill(pid, SIGUSR2) < 0)
		return err_errno(err, "reload haproxy (pid %d)", (int)pid);
	while (clock_ms() < deadline) {
		clock_sleep_ms(POLL_MS);
		/* Neither socket answers while the master re-executes itself. */
		if (haproxy_loaded(rt->at->haproxy_socket, loaded, &worker, &ignored) == 0 &&
		    worker != old_worker && strcmp(loaded, config) == 0)
			return 0;
		if (haproxy_failed_reloads(rt->at->haproxy_master, &now, &ignored) == 0 &&
		    now > before)
			return err_set(err, ERR_APPLY, "haproxy could not load its configuration");
	}
	return err_set(err, ERR_APPLY, "haproxy did not load its configuration in %d s",
		       READY_TIMEOUT_MS / 1000);
}

/* The old configuration's listener takes its last connections while the new one is there already: the answer to /load comes
 * before the last of its answers. */
static int caddy_reload(const struct runtime_context *rt, pid_t pid, const char *config,
			struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	int64_t deadline = clock_ms() + READY_TIMEOUT_MS;

	(void)pid;
	if (file_read(rt->at->caddy_file, CADDYFILE_MAX, &text, err) < 0 ||
	    caddy_load(rt->at->caddy_socket, text.buf, text.len, err) < 0)
		return -1;
	while (clock_ms() < deadline) {
		char loaded[SHA256_HEX_SIZE];
		struct err ignored;

		if (caddy_loaded(rt->at->caddy_health, loaded, &ignored) == 0 &&
		    strcmp(loaded, config) == 0)
			return 0;
		clock_sleep_ms(POLL_MS);
	}
	return err_set(err, ERR_APPLY, "caddy took its configuration, and does not answer with it");
}

static const struct process_row rows[PROGRAM_COUNT] = {
	[PROGRAM_HAPROXY] = {"haproxy", "/run/dynia/haproxy.pid",
			     offsetof(struct endpoints, haproxy_master), "haproxy.log", SIGUSR1,
			     haproxy_argv, haproxy_env, haproxy_loaded_here, haproxy_reload, true},
	[PROGRAM_CADDY] = {"caddy", "/run/dynia/caddy.pid",
			   offsetof(struct endpoints, caddy_socket), "caddy-output.log", SIGTERM,
			   caddy_argv, caddy_env, caddy_loaded_here, caddy_reload, false},
};

/* --- what they share ----------------------------------------------------------------- */

static const char *control_socket(const struct runtime_context *rt, const struct process_row *row)
{
	return *(const char *const *)((const char *)rt->at + row->control);
}

/* Whoever listens on the control socket is the program, whatever the pid file says; while HAProxy's master re-executes
 * itself nobody does, and the file has to do. */
static pid_t find_program(const struct runtime_context *rt, const struct process_row *row)
{
	pid_t pid = unixsock_peer(control_socket(rt, row));

	if (pid <= 0 || !process_is(pid, row->name))
		pid = process_find_daemon(rt->root->fd, row->pid_path);
	return pid > 0 && process_is(pid, row->name) ? pid : 0;
}

/* A pid file that was lost, or says something else, is written anew for the program that was found without it. */
static int adopt(const struct runtime_context *rt, const struct process_row *row, pid_t pid,
		 struct err *err)
{
	const char *line;

	if (process_find_daemon(rt->root->fd, row->pid_path) == pid)
		return 0;
	line = pool_printf(rt->pool, "%ld %llu\n", (long)pid, process_start_time(pid));
	return file_replace_in(rt->root->fd, row->pid_path, line, strlen(line), 0644, err);
}

static bool has_control_socket(const struct runtime_context *rt, const struct process_row *row)
{
	struct stat st;

	return stat(control_socket(rt, row), &st) == 0 && S_ISSOCK(st.st_mode);
}

static int process_observe(const struct runtime_context *rt, enum program program,
			   struct program_state *ret, struct err *err)
{
	const struct process_row *row = &rows[program];
	struct err ignored;

	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->pid = find_program(rt, row);
	ret->running = ret->pid > 0;
	/* Without the socket it could not be reloaded. */
	ret->answers = ret->running && has_control_socket(rt, row) &&
		       row->loaded(rt, ret->pid, ret->config, &ignored) == 0;
	return 0;
}

/* HAProxy's "[ALERT]    (1234) : " goes: with a pid in it, the same trouble would be news each
 * time. */
static const char *skip_prefix(const char *line)
{
	const char *text = line[0] == '[' ? strstr(line, ") : ") : NULL;

	return text ? text + strlen(") : ") : line;
}

/* Of what it wrote since `from`: the first of HAProxy's alerts, which tells most, or the last
 * error. */
static void last_words(int log_fd, off_t from, struct strbuf *ret)
{
	char tail[LOG_TAIL_BYTES + 1];
	off_t end = lseek(log_fd, 0, SEEK_END);
	off_t start = end - LOG_TAIL_BYTES > from ? end - LOG_TAIL_BYTES : from;
	ssize_t n = pread(log_fd, tail, LOG_TAIL_BYTES, start);
	char *line, *rest, *said = NULL;
	bool is_alert = false;

	if (n <= 0)
		return;
	tail[n] = '\0';
	for (line = strtok_r(tail, "\n", &rest); line && !is_alert;
	     line = strtok_r(NULL, "\n", &rest)) {
		is_alert = strstr(line, "ALERT") != NULL;
		if (is_alert || strstr(line, "rror") || !said)
			said = line;
	}
	if (said)
		strbuf_addstr(ret, skip_prefix(said));
}

static int did_not_work(const struct process_row *row, int log_fd, off_t log_from, const char *what,
			struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT;

	last_words(log_fd, log_from, &said);
	return err_set(err, ERR_APPLY, "%s %s: %s", row->name, what,
		       said.len ? said.buf : "it said nothing");
}

static int wait_until_ready(const struct runtime_context *rt, const struct process_row *row,
			    const char *config, int log_fd, off_t log_from, struct err *err)
{
	int64_t deadline = clock_ms() + READY_TIMEOUT_MS;

	while (clock_ms() < deadline) {
		char loaded[SHA256_HEX_SIZE];
		struct err ignored;
		pid_t pid = process_find_daemon(rt->root->fd, row->pid_path);

		if (!pid)
			return did_not_work(row, log_fd, log_from, "ended at once", err);
		if (row->loaded(rt, pid, loaded, &ignored) == 0 && strcmp(loaded, config) == 0)
			return 0;
		clock_sleep_ms(POLL_MS);
	}
	return did_not_work(row, log_fd, log_from, "does not answer", err);
}

/* More than one can be left of a program where its pid file and its socket were removed. */
#define LEFT_BEHIND_MAX 16

static int process_stop_program(const struct runtime_context *rt, enum program program,
				struct err *err)
{
	const struct process_row *row = &rows[program];
	const char *file = program == PROGRAM_HAPROXY ? rt->at->haproxy_file : rt->at->caddy_file;
	pid_t pid = find_program(rt, row);

	if (!pid)
		pid = process_find_command(row->name, file);
	for (int i = 0; pid && i < LEFT_BEHIND_MAX; i++) {
		if (process_stop(pid, row->stop_signal, STOP_TIMEOUT_MS, err) < 0)
			return err_wrap(err, "stop %s", row->name);
		pid = process_find_command(row->name, file);
	}
	return file_remove_in(rt->root->fd, row->pid_path, err);
}

static int open_log(const struct runtime_context *rt, const char *name, struct err *err)
{
	const char *folder = layout_path(LAYOUT_LOGS, rt->at->runtime);
	const char *path = pool_printf(rt->pool, "%s/%s", folder, name);

	if (file_mkdirs_in(rt->root->fd, folder, 0755, err) < 0)
		return -1;
	return file_open_in(rt->root->fd, path, O_RDWR | O_APPEND | O_CREAT, 0640, err);
}

static int make_folders(const struct runtime_context *rt, struct err *err)
{
	static const enum layout folders[] = {LAYOUT_CADDY_LOGS, LAYOUT_CADDY_DATA};

	if (file_mkdirs_in(rt->root->fd, PATH_RUN, 0755, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (file_mkdirs_in(rt->root->fd, layout_path(folders[i], rt->at->runtime), 0755,
				   err) < 0)
			return -1;
	return 0;
}

static int process_start(const struct runtime_context *rt, enum program program, const char *config,
			 struct err *err)
{
	const struct process_row *row = &rows[program];
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	AUTO_CLOSE int log_fd = -1;
	off_t log_from;
	pid_t pid;

	if (process_stop_program(rt, program, err) < 0 || make_folders(rt, err) < 0)
		return -1;
	log_fd = open_log(rt, row->log_name, err);
	if (log_fd < 0) {
		/* Serving without a log is better than not serving. */
		log_warn("%s: %s starts without a log", err->msg, row->name);
		log_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	log_from = lseek(log_fd, 0, SEEK_END);
	row->argv(rt, &argv);
	row->env(rt, &env);
	const struct process_daemon_spec spec = {
		.argv = argv.v,
		.env = env.v,
		.log_fd = log_fd,
		.pid_dirfd = rt->root->fd,
		.pid_path = row->pid_path,
	};
	if (process_start_daemon(&spec, &pid, err) < 0)
		return err_wrap(err, "start %s", row->name);
	return wait_until_ready(rt, row, config, log_fd, log_from, err);
}

static int process_reload(const struct runtime_context *rt, enum program program,
			  const char *config, struct err *err)
{
	const struct process_row *row = &rows[program];
	pid_t pid = find_program(rt, row);
	AUTO_CLOSE int log_fd = -1;
	off_t log_from;

	if (!pid)
		return err_set(err, ERR_APPLY, "%s ended before it could be reloaded", row->name);
	if (adopt(rt, row, pid, err) < 0)
		return -1;
	log_fd = open_log(rt, row->log_name, err);
	if (log_fd < 0)
		return -1;
	log_from = lseek(log_fd, 0, SEEK_END);
	if (row->reload(rt, pid, config, err) == 0)
		return 0;
	if (err->code != ERR_APPLY || !row->reload_fails_in_log)
		return -1;
	return did_not_work(row, log_fd, log_from, "could not load its configuration", err);
}

const struct runtime_ops runtime_process = {
	.name = "process",
	.observe = process_observe,
	.start = process_start,
	.reload = process_reload,
	.stop = process_stop_program,
};
