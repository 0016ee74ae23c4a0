/*
 * Runtime `process`: HAProxy as master-worker, Caddy and keepalived as children that outlive the agent. Each
 * writes its pid and start time before it is executed (base/process.h), so the next agent finds it
 * whatever happened to this one.
 */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strvec.h"
#include "reconciler/programs.h"
#include "reconciler/runtime.h"
#include "render/layout.h"
#include "spec/model.h"

#define STOP_TIMEOUT_MS 20000
#define LOG_TAIL_BYTES 4096

struct process_row {
	const char *pid_path;
	const char *log_name;
	int stop_signal;
	size_t file; /* where in struct endpoints the path of its configuration is */
	void (*argv)(const struct runtime_context *rt, struct strvec *argv);
	void (*env)(const struct runtime_context *rt, struct strvec *env);
};

/* --- what they differ in ------------------------------------------------------------- */

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

/* VRRP alone, in the foreground, with pid files that no other keepalived has. */
static void keepalived_argv(const struct runtime_context *rt, struct strvec *argv)
{
	strvec_pushl(argv, "keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file",
		     rt->at->keepalived_file, "--pid", NULL);
	strvec_push(argv, root_outside(rt->root, rt->pool, PATH_RUN "/keepalived-main.pid"));
	strvec_push(argv, "--vrrp_pid");
	strvec_push(argv, root_outside(rt->root, rt->pool, PATH_RUN "/keepalived-vrrp.pid"));
}

static void common_env(const struct runtime_context *rt, struct strvec *env)
{
	(void)rt;
	strvec_push(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strvec_push(env, "LANG=C.UTF-8");
}

/* Caddy keeps certificates and its last configuration below these. */
static void caddy_env(const struct runtime_context *rt, struct strvec *env)
{
	common_env(rt, env);
	strvec_pushf(env, "HOME=%s", rt->at->caddy_data);
	strvec_pushf(env, "XDG_DATA_HOME=%s", rt->at->caddy_data);
	strvec_pushf(env, "XDG_CONFIG_HOME=%s", rt->at->caddy_data);
}

static const struct process_row rows[PROGRAM_COUNT] = {
	[PROGRAM_HAPROXY] = {"/run/dynia/haproxy.pid", "haproxy.log", SIGUSR1,
			     offsetof(struct endpoints, haproxy_file), haproxy_argv, common_env},
	[PROGRAM_CADDY] = {"/run/dynia/caddy.pid", "caddy-output.log", SIGTERM,
			   offsetof(struct endpoints, caddy_file), caddy_argv, caddy_env},
	[PROGRAM_KEEPALIVED] = {"/run/dynia/keepalived.pid", "keepalived.log", SIGTERM,
				offsetof(struct endpoints, keepalived_file), keepalived_argv,
				common_env},
};

/* --- what they share ----------------------------------------------------------------- */

/* Whoever listens on the control socket is the program, whatever the pid file says; while HAProxy's
 * master re-executes itself nobody does, and the file has to do. */
static pid_t find_program(const struct runtime_context *rt, enum program program)
{
	pid_t pid = program_listener(rt, program);

	if (pid <= 0)
		pid = process_find_daemon(rt->root->fd, rows[program].pid_path);
	return pid > 0 && process_is(pid, program_command(program)) ? pid : 0;
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

static int process_observe(const struct runtime_context *rt, enum program program,
			   struct program_state *ret, struct err *err)
{
	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->pid = find_program(rt, program);
	ret->running = ret->pid > 0;
	ret->boots = ret->running; /* the agent sees to it */
	program_ask(rt, program, ret);
	return 0;
}

/* Of what it wrote since `from`, or of its end where that is much. */
static void last_words(int log_fd, off_t from, struct strbuf *ret)
{
	char tail[LOG_TAIL_BYTES + 1];
	off_t end = lseek(log_fd, 0, SEEK_END);
	off_t start = end - LOG_TAIL_BYTES > from ? end - LOG_TAIL_BYTES : from;
	ssize_t n = pread(log_fd, tail, LOG_TAIL_BYTES, start);

	if (n <= 0)
		return;
	tail[n] = '\0';
	program_last_words(tail, ret);
}

static int did_not_work(enum program program, int log_fd, off_t log_from, const char *what,
			struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT;

	last_words(log_fd, log_from, &said);
	return err_set(err, ERR_APPLY, "%s %s: %s", program_command(program), what,
		       said.len ? said.buf : "it said nothing");
}

static int wait_until_ready(const struct runtime_context *rt, enum program program,
			    const char *config, int log_fd, off_t log_from, struct err *err)
{
	int64_t deadline = clock_ms() + READY_TIMEOUT_MS;

	while (clock_ms() < deadline) {
		char loaded[SHA256_HEX_SIZE];
		struct err ignored;
		pid_t pid = process_find_daemon(rt->root->fd, rows[program].pid_path);

		if (!pid)
			return did_not_work(program, log_fd, log_from, "ended at once", err);
		if (program_loaded(rt, program, pid, loaded, &ignored) == 0 &&
		    strcmp(loaded, config) == 0)
			return 0;
		clock_sleep_ms(READY_POLL_MS);
	}
	return did_not_work(program, log_fd, log_from, "does not answer", err);
}

/* More than one can be left of a program where its pid file and its socket were removed. */
#define LEFT_BEHIND_MAX 16

static int process_stop_program(const struct runtime_context *rt, enum program program,
				struct err *err)
{
	const struct process_row *row = &rows[program];
	const char *name = program_command(program);
	const char *file = *(const char *const *)((const char *)rt->at + row->file);
	pid_t pid = find_program(rt, program);

	if (!pid)
		pid = process_find_command(name, file);
	for (int i = 0; pid && i < LEFT_BEHIND_MAX; i++) {
		if (process_stop(pid, row->stop_signal, STOP_TIMEOUT_MS, err) < 0)
			return err_wrap(err, "stop %s", name);
		pid = process_find_command(name, file);
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
		log_warn("%s: %s starts without a log", err->msg, program_command(program));
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
		return err_wrap(err, "start %s", program_command(program));
	return wait_until_ready(rt, program, config, log_fd, log_from, err);
}

static int process_reload(const struct runtime_context *rt, enum program program,
			  const char *config, struct err *err)
{
	const struct process_row *row = &rows[program];
	pid_t pid = find_program(rt, program);
	AUTO_CLOSE int log_fd = -1;
	off_t log_from;

	if (!pid)
		return program_gone(program, err);
	if (adopt(rt, row, pid, err) < 0)
		return -1;
	log_fd = open_log(rt, row->log_name, err);
	if (log_fd < 0)
		return -1;
	log_from = lseek(log_fd, 0, SEEK_END);
	if (program_reload(rt, program, pid, program_signal_reload, config, err) == 0)
		return 0;
	if (err->code != ERR_APPLY || !program_fails_in_log(program))
		return -1;
	return did_not_work(program, log_fd, log_from, "could not load its configuration", err);
}

const struct runtime_ops runtime_process = {
	.name = "process",
	.owns_all = true,
	.observe = process_observe,
	.start = process_start,
	.reload = process_reload,
	.stop = process_stop_program,
};
