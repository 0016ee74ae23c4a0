/*
 * Runtime `system`: the distribution's own units, with drop-ins (render/units.c). systemd starts them
 * at boot and when they die; the agent looks whether they do, and run what they should. Whoever
 * listens on the program's socket is found without starting anything: systemctl is asked only where
 * nobody does.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "reconciler/programs.h"
#include "reconciler/systemctl.h"
#include "render/layout.h"
#include "spec/model.h"

static const char *unit_name(const struct runtime_context *rt, enum program program)
{
	return pool_printf(rt->pool, "%s.service", program_command(program));
}

/* keepalived has no socket; its pid file is the package's. */
static pid_t find_main(const struct runtime_context *rt, enum program program, const char *unit)
{
	pid_t pid = program_listener(rt, program);

	if (!pid && program == PROGRAM_KEEPALIVED)
		pid = process_read_pid("/run/keepalived.pid", program_command(program));
	return pid > 0 && unit_has(unit, pid) ? pid : 0;
}

static int system_observe(const struct runtime_context *rt, enum program program,
			  struct program_state *ret, struct err *err)
{
	const char *unit = unit_name(rt, program);
	struct unit_state state;

	memset(ret, 0, sizeof(*ret));
	ret->boots = unit_boots(unit, rt->pool);
	ret->pid = find_main(rt, program, unit);
	ret->running = ret->pid > 0;
	if (!ret->running) {
		if (systemctl_look(unit, &state, err) < 0)
			return -1;
		ret->running = state.active;
		ret->pid = state.pid;
	}
	program_ask(rt, program, ret);
	if (!ret->boots)
		ret->amiss = "it is not started at boot";
	return 0;
}

/* --- changing it --------------------------------------------------------------------- */

/* What the unit said since then, or else what systemctl said of it. */
static int did_not_work(enum program program, const char *unit, const char *what, int64_t since_s,
			struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf log = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT;

	unit_journal(unit, since_s, &log);
	program_last_words(log.buf, &said);
	if (said.len)
		return err_set(err, ERR_APPLY, "%s %s: %s", program_command(program), what,
			       said.buf);
	if (err->msg[0])
		return -1;
	return err_set(err, ERR_APPLY, "%s %s: see journalctl -u %s", program_command(program),
		       what, unit);
}

/* Whatever was done to the unit by hand is undone: masked, disabled, failed too often. */
static int make_startable(const char *unit, struct err *err)
{
	struct err ignored;
	struct unit_state state;

	if (systemctl_look(unit, &state, err) < 0)
		return -1;
	if (!state.loaded)
		return err_set(err, ERR_SYSTEM, "there is no %s: install the package", unit);
	if (systemctl("unmask", unit, err) < 0 || systemctl("daemon-reload", NULL, err) < 0 ||
	    systemctl("enable", unit, err) < 0)
		return -1;
	(void)systemctl("reset-failed", unit, &ignored);
	return 0;
}

static int wait_until_ready(const struct runtime_context *rt, enum program program,
			    const char *unit, const char *config, int64_t since_s, struct err *err)
{
	int64_t deadline = clock_ms() + READY_TIMEOUT_MS;
	char loaded[SHA256_HEX_SIZE];
	struct err ignored;

	while (clock_ms() < deadline) {
		pid_t pid = find_main(rt, program, unit);

		if (pid && program_loaded(rt, program, pid, loaded, &ignored) == 0 &&
		    strcmp(loaded, config) == 0)
			return 0;
		clock_sleep_ms(READY_POLL_MS);
	}
	memset(err, 0, sizeof(*err));
	return did_not_work(program, unit, "does not answer", since_s, err);
}

static int make_folders(const struct runtime_context *rt, struct err *err)
{
	return file_mkdirs_in(rt->root->fd, layout_path(LAYOUT_DRAIN, RUNTIME_SYSTEM), 0755, err);
}

static int system_start(const struct runtime_context *rt, enum program program, const char *config,
			struct err *err)
{
	const char *unit = unit_name(rt, program);
	int64_t since_s = clock_wall_s();

	if (make_folders(rt, err) < 0 || make_startable(unit, err) < 0)
		return -1;
	if (systemctl("restart", unit, err) < 0)
		return did_not_work(program, unit, "does not start", since_s, err);
	return wait_until_ready(rt, program, unit, config, since_s, err);
}

/* Through systemd, so that it knows, and runs what the unit has for it. */
static int tell(const struct runtime_context *rt, enum program program, pid_t pid, struct err *err)
{
	(void)pid;
	return systemctl("reload", unit_name(rt, program), err);
}

static int system_reload(const struct runtime_context *rt, enum program program, const char *config,
			 struct err *err)
{
	const char *unit = unit_name(rt, program);
	pid_t pid = find_main(rt, program, unit);
	int64_t since_s = clock_wall_s();

	if (!pid)
		return program_gone(program, err);
	if (!unit_boots(unit, rt->pool) && make_startable(unit, err) < 0)
		return -1;
	if (program_reload(rt, program, pid, tell, config, err) == 0)
		return 0;
	if (err->code != ERR_APPLY || !program_fails_in_log(program))
		return -1;
	return did_not_work(program, unit, "could not load its configuration", since_s, err);
}

/* Nor at the next boot. */
static int system_stop(const struct runtime_context *rt, enum program program, struct err *err)
{
	const char *unit = unit_name(rt, program);

	if (systemctl("disable", unit, err) < 0)
		return -1;
	return systemctl("stop", unit, err);
}

const struct runtime_ops runtime_system = {
	.name = "system",
	.observe = system_observe,
	.start = system_start,
	.reload = system_reload,
	.stop = system_stop,
};

/* --- the drop-ins themselves --------------------------------------------------------- */

static int units_observe(const struct runtime_context *rt, enum program program,
			 struct program_state *ret, struct err *err)
{
	(void)rt;
	(void)program;
	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->running = ret->answers = ret->boots = true;
	return 0;
}

/* Limits reach the processes that run; the rest does when they are next started. */
static int units_reload(const struct runtime_context *rt, enum program program, const char *config,
			struct err *err)
{
	(void)rt;
	(void)program;
	(void)config;
	return systemctl("daemon-reload", NULL, err);
}

const struct runtime_ops runtime_units = {
	.name = "systemd",
	.observe = units_observe,
	.start = units_reload,
	.reload = units_reload,
	.stop = NULL,
};
