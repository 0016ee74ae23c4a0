#include "reconciler/programs.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "base/unixsock.h"
#include "reconciler/caddy.h"
#include "reconciler/haproxy.h"
#include "render/layout.h"

#define CADDYFILE_MAX (16 << 20)

struct program_row {
	const char *command;
	size_t control; /* where in struct endpoints the path of its control socket is; 0: none */
	int reload_signal;
	int (*loaded)(const struct runtime_context *rt, pid_t pid, char ret_digest[SHA256_HEX_SIZE],
		      struct err *err);
	int (*reload)(const struct runtime_context *rt, pid_t pid, program_signal *tell,
		      const char *config, struct err *err);
	bool fails_in_log;
};

/* --- haproxy ------------------------------------------------------------------------- */

static int haproxy_loaded_here(const struct runtime_context *rt, pid_t master,
			       char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	pid_t worker;

	if (haproxy_loaded(rt->at->haproxy_socket, ret_digest, &worker, err) < 0)
		return -1;
	/* In a container the worker's own idea of its pid is another one. */
	if (rt->at->runtime == RUNTIME_CONTAINER || process_parent(worker) == master)
		return 0;
	return err_set(err, ERR_NETWORK, "a worker of an earlier haproxy answers");
}

/* The master's socket is refused for a moment after a start and while the master re-executes
 * itself. */
static int count_failed_reloads(const char *master, int64_t deadline, long *ret, struct err *err)
{
	while (haproxy_failed_reloads(master, ret, err) < 0) {
		if (clock_ms() >= deadline)
			return -1;
		clock_sleep_ms(READY_POLL_MS);
	}
	return 0;
}

/* SIGUSR2 makes the master start a new worker, which takes the listeners over (rendering: 0
 * requests lost). The old worker serves on where the new one does not come up; the master counts
 * that. */
static int haproxy_reload(const struct runtime_context *rt, pid_t pid, program_signal *tell,
			  const char *config, struct err *err)
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
	if (tell(rt, PROGRAM_HAPROXY, pid, err) < 0)
		return -1;
	while (clock_ms() < deadline) {
		clock_sleep_ms(READY_POLL_MS);
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

/* --- caddy --------------------------------------------------------------------------- */

static int caddy_loaded_here(const struct runtime_context *rt, pid_t pid,
			     char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	(void)pid;
	return caddy_loaded(rt->at->caddy_health, ret_digest, err);
}

static int wait_for_config(const struct runtime_context *rt, enum program program, pid_t pid,
			   const char *config, struct err *err)
{
	int64_t deadline = clock_ms() + READY_TIMEOUT_MS;

	while (clock_ms() < deadline) {
		char loaded[SHA256_HEX_SIZE];
		struct err ignored;

		if (program_loaded(rt, program, pid, loaded, &ignored) == 0 &&
		    strcmp(loaded, config) == 0)
			return 0;
		clock_sleep_ms(READY_POLL_MS);
	}
	return err_set(err, ERR_APPLY, "%s took its configuration, and does not answer with it",
		       program_command(program));
}

/* The old configuration's listener takes its last connections while the new one is there already:
 * the answer to /load comes before the last of its answers. */
static int caddy_reload(const struct runtime_context *rt, pid_t pid, program_signal *tell,
			const char *config, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	(void)tell;
	if (file_read(rt->at->caddy_file, CADDYFILE_MAX, &text, err) < 0 ||
	    caddy_load(rt->at->caddy_socket, text.buf, text.len, err) < 0)
		return -1;
	return wait_for_config(rt, PROGRAM_CADDY, pid, config, err);
}

/* --- keepalived ---------------------------------------------------------------------- */

/* The first process speaks to nobody: the one that it started for VRRP has the mark for its name. */
static int keepalived_loaded(const struct runtime_context *rt, pid_t pid,
			     char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	char name[PROCESS_NAME_SIZE];

	(void)rt;
	ret_digest[0] = '\0';
	if (process_child_named(pid, KEEPALIVED_MARK, name))
		snprintf(ret_digest, SHA256_HEX_SIZE, "%s", name + strlen(KEEPALIVED_MARK));
	if (ret_digest[0])
		return 0;
	return err_set(err, ERR_NETWORK, "keepalived has no VRRP process");
}

static int keepalived_reload(const struct runtime_context *rt, pid_t pid, program_signal *tell,
			     const char *config, struct err *err)
{
	if (tell(rt, PROGRAM_KEEPALIVED, pid, err) < 0)
		return -1;
	return wait_for_config(rt, PROGRAM_KEEPALIVED, pid, config, err);
}

/* --- the table ----------------------------------------------------------------------- */

static const struct program_row rows[PROGRAM_COUNT] = {
	[PROGRAM_HAPROXY] = {"haproxy", offsetof(struct endpoints, haproxy_master), SIGUSR2,
			     haproxy_loaded_here, haproxy_reload, true},
	[PROGRAM_CADDY] = {"caddy", offsetof(struct endpoints, caddy_socket), 0, caddy_loaded_here,
			   caddy_reload, false},
	[PROGRAM_KEEPALIVED] = {"keepalived", 0, SIGHUP, keepalived_loaded, keepalived_reload,
				true},
};

const char *program_command(enum program program)
{
	return rows[program].command;
}

static const char *control_socket(const struct runtime_context *rt, enum program program)
{
	size_t control = rows[program].control;

	return control ? *(const char *const *)((const char *)rt->at + control) : NULL;
}

pid_t program_listener(const struct runtime_context *rt, enum program program)
{
	const char *path = control_socket(rt, program);
	pid_t pid = path ? unixsock_peer(path) : 0;

	return pid > 0 && process_is(pid, rows[program].command) ? pid : 0;
}

bool program_has_socket(const struct runtime_context *rt, enum program program)
{
	const char *path = control_socket(rt, program);
	struct stat st;

	return !path || (stat(path, &st) == 0 && S_ISSOCK(st.st_mode));
}

int program_loaded(const struct runtime_context *rt, enum program program, pid_t pid,
		   char ret_digest[SHA256_HEX_SIZE], struct err *err)
{
	return rows[program].loaded(rt, pid, ret_digest, err);
}

void program_ask(const struct runtime_context *rt, enum program program,
		 struct program_state *state)
{
	struct err ignored;

	state->answers = state->running && program_has_socket(rt, program) &&
			 program_loaded(rt, program, state->pid, state->config, &ignored) == 0;
}

int program_signal_reload(const struct runtime_context *rt, enum program program, pid_t pid,
			  struct err *err)
{
	(void)rt;
	if (kill(pid, rows[program].reload_signal) < 0)
		return err_errno(err, "reload %s (pid %d)", rows[program].command, (int)pid);
	return 0;
}

int program_gone(enum program program, struct err *err)
{
	return err_set(err, ERR_SYSTEM,
		       "%s ended before it could be reloaded; the next pass starts it",
		       program_command(program));
}

int program_reload(const struct runtime_context *rt, enum program program, pid_t pid,
		   program_signal *tell, const char *config, struct err *err)
{
	return rows[program].reload(rt, pid, tell, config, err);
}

bool program_fails_in_log(enum program program)
{
	return rows[program].fails_in_log;
}

/* HAProxy's "[ALERT]    (1234) : " goes: with a pid in it, the same trouble would be news each
 * time. */
static const char *skip_prefix(const char *line)
{
	const char *text = line[0] == '[' ? strstr(line, ") : ") : NULL;

	return text ? text + strlen(") : ") : line;
}

void program_last_words(char *log, struct strbuf *ret)
{
	char *line, *rest, *said = NULL;
	bool is_alert = false;

	for (line = strtok_r(log, "\n", &rest); line && !is_alert;
	     line = strtok_r(NULL, "\n", &rest)) {
		is_alert = strstr(line, "ALERT") != NULL;
		if (is_alert || strstr(line, "rror") || !said)
			said = line;
	}
	if (said)
		strbuf_addstr(ret, skip_prefix(said));
}
