#include "reconciler/systemctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "base/strvec.h"

/* A unit of ours stops within TimeoutStopSec (70 s) and starts within 90 s. */
#define UNIT_TIMEOUT_MS 200000
#define LOOK_TIMEOUT_MS 10000
#define CAPTURE_MAX (256 << 10)
#define CGROUP_MAX (64 << 10)

bool systemd_runs(void)
{
	struct stat st;

	/* sd_booted(3) */
	return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

static int run(const struct strvec *argv, int timeout_ms, struct process_result *res,
	       struct err *err)
{
	const struct process_spec spec = {
		.argv = argv->v,
		.cwd = "/",
		.timeout_ms = timeout_ms,
		.capture_limit = CAPTURE_MAX,
	};

	return process_run(&spec, res, err);
}

/* What systemctl says first is what went wrong; behind it come hints at its other commands. */
static int refused(const char *verb, const char *unit, struct process_result *res, struct err *err)
{
	res->errout.buf[strcspn(res->errout.buf, "\n")] = '\0';
	return err_set(err, ERR_APPLY, "systemctl %s%s%s: %s", verb, unit ? " " : "",
		       unit ? unit : "", res->errout.len ? res->errout.buf : "it failed");
}

int systemctl(const char *verb, const char *unit, struct err *err)
{
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;

	strvec_pushl(&argv, "systemctl", "--no-ask-password", verb, NULL);
	if (unit)
		strvec_pushl(&argv, "--", unit, NULL);
	if (run(&argv, UNIT_TIMEOUT_MS, &res, err) < 0)
		return err_wrap(err, "systemctl %s", verb);
	return res.status == 0 ? 0 : refused(verb, unit, &res, err);
}

/* The value behind "KEY=" at the beginning of a line; "" where there is none. Cut out in place. */
static const char *property(const char *text, const char *key, struct strbuf *ret)
{
	size_t len = strlen(key);

	strbuf_clear(ret);
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == '=') {
			strbuf_add(ret, line + len + 1, strcspn(line + len + 1, "\n"));
			break;
		}
	}
	return ret->buf;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

int systemctl_look(const char *unit, struct unit_state *ret, struct err *err)
{
	static const char *const active[] = {"active", "reloading", "activating", "deactivating",
					     NULL};
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strbuf_release) struct strbuf value = STRBUF_INIT;

	memset(ret, 0, sizeof(*ret));
	strvec_pushl(&argv, "systemctl", "show",
		     "--property=LoadState,ActiveState,UnitFileState,MainPID", "--", unit, NULL);
	if (run(&argv, LOOK_TIMEOUT_MS, &res, err) < 0)
		return -1;
	if (res.status != 0)
		return refused("show", unit, &res, err);
	ret->loaded = strcmp(property(res.out.buf, "LoadState", &value), "not-found") != 0;
	ret->active = is_one_of(property(res.out.buf, "ActiveState", &value), active);
	ret->boots = strcmp(property(res.out.buf, "UnitFileState", &value), "enabled") == 0;
	ret->pid = (pid_t)strtol(property(res.out.buf, "MainPID", &value), NULL, 10);
	return 0;
}

bool unit_boots(const char *unit, struct pool *pool)
{
	struct stat st;

	return lstat(pool_printf(pool, "/etc/systemd/system/multi-user.target.wants/%s", unit),
		     &st) == 0 &&
	       !(lstat(pool_printf(pool, "/etc/systemd/system/%s", unit), &st) == 0 &&
		 S_ISLNK(st.st_mode));
}

bool unit_has(const char *unit, pid_t pid)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf mark = STRBUF_INIT;
	char path[64];
	struct err ignored;

	snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
	strbuf_addf(&mark, "/%s\n", unit);
	return file_read(path, CGROUP_MAX, &text, &ignored) == 0 && strstr(text.buf, mark.buf);
}

void unit_journal(const char *unit, int64_t since_s, struct strbuf *ret)
{
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	struct err ignored;

	strvec_pushl(&argv, "journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=100",
		     NULL);
	strvec_pushf(&argv, "--unit=%s", unit);
	strvec_pushf(&argv, "--since=@%" PRId64, since_s);
	if (run(&argv, LOOK_TIMEOUT_MS, &res, &ignored) == 0 && res.status == 0)
		strbuf_addstr(ret, res.out.buf);
}
