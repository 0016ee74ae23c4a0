#include "reconciler/compose_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "base/strvec.h"

#define CONFIG_TIMEOUT_MS 60000
/* A container may take its 30 s to stop, and a compose file has several. */
#define UP_TIMEOUT_MS (10 * 60 * 1000)
#define CAPTURE_MAX (256 << 10)

static void make_env(const char *socket, struct strvec *env)
{
	const char *path = getenv("PATH"), *home = getenv("HOME");

	strvec_pushf(env, "PATH=%s",
		     path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strvec_pushf(env, "HOME=%s", home ? home : "/");
	strvec_push(env, "LANG=C.UTF-8");
	strvec_pushf(env, "DOCKER_HOST=unix://%s", socket);
	strvec_push(env, "COMPOSE_IGNORE_ORPHANS=1");
	strvec_push(env, "PYTHONWARNINGS=ignore");
}

bool compose_has_plugin(const char *socket)
{
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	struct err ignored;

	make_env(socket, &env);
	strvec_pushl(&argv, "docker", "compose", "version", NULL);
	const struct process_spec spec = {.argv = argv.v,
					  .env = env.v,
					  .cwd = "/",
					  .timeout_ms = CONFIG_TIMEOUT_MS,
					  .capture_limit = CAPTURE_MAX};

	return process_run(&spec, &res, &ignored) == 0 && res.status == 0;
}

/* Of what compose says, the line that tells what is wrong; its last one is often a summary. */
static const char *telling_line(char *text)
{
	static const char *const marks[] = {"Error response from daemon", "ERROR: for", "Cannot ",
					    "ERROR", "error"};
	const char *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(marks) && !found; i++)
		found = strstr(text, marks[i]);
	if (!found)
		return NULL;
	while (found > text && found[-1] != '\n')
		found--;
	text[(found - text) + (ptrdiff_t)strcspn(found, "\n")] = '\0';
	return found;
}

static int failed(const struct process_spec *spec, struct process_result *res, enum err_code code,
		  struct err *err)
{
	const char *line = telling_line(res->errout.buf);

	if (line)
		return err_set(err, code, "compose: %.600s", line);
	process_failed(spec, res, err);
	err->code = code;
	return -1;
}

static int run(const struct compose *c, const char *const *words, int timeout_ms,
	       enum err_code code, struct err *err)
{
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;

	make_env(c->socket, &env);
	if (c->plugin)
		strvec_pushl(&argv, "docker", "compose", NULL);
	else
		strvec_push(&argv, "docker-compose");
	strvec_pushl(&argv, "--ansi", "never", "-p", c->project, "-f", NULL);
	strvec_pushf(&argv, "%s/%s", c->folder, c->file ? c->file : "compose.yaml");
	if (c->file) {
		strvec_push(&argv, "-f");
		strvec_pushf(&argv, "%s/compose.dynia.yaml", c->folder);
	}
	for (size_t i = 0; words[i]; i++)
		strvec_push(&argv, words[i]);
	const struct process_spec spec = {.argv = argv.v,
					  .env = env.v,
					  .cwd = c->folder,
					  .timeout_ms = timeout_ms,
					  .capture_limit = CAPTURE_MAX};

	if (process_run(&spec, &res, err) < 0) {
		if (code == ERR_APPLY)
			err->code = code;
		return -1;
	}
	return res.status == 0 ? 0 : failed(&spec, &res, code, err);
}

int compose_config(const struct compose *compose, struct err *err)
{
	static const char *const words[] = {"config", "-q", NULL};

	return run(compose, words, CONFIG_TIMEOUT_MS, ERR_CHECK, err);
}

int compose_up(const struct compose *compose, struct err *err)
{
	static const char *const words[] = {"up", "-d", "--no-build", NULL};

	return run(compose, words, UP_TIMEOUT_MS, ERR_APPLY, err);
}

int compose_recreate(const struct compose *compose, const char *service, struct err *err)
{
	const char *const words[] = {"up",    "-d", "--no-build", "--no-deps", "--force-recreate",
				     service, NULL};

	return run(compose, words, UP_TIMEOUT_MS, ERR_APPLY, err);
}
