/*
 * Runtime `container`: HAProxy and Caddy under compose, on the host's network, with folders mounted.
 * Who listens on a program's socket is found as it is without a container, and told to reload by the
 * same signal or socket; only to start and to stop is Docker asked. It starts them at boot, and when
 * they die, by itself.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "reconciler/compose_run.h"
#include "reconciler/docker.h"
#include "reconciler/programs.h"
#include "render/layout.h"
#include "spec/model.h"

static struct compose the_project(const struct runtime_context *rt)
{
	const char *socket = rt->root->docker;
	char digest[SHA256_HEX_SIZE];

	sha256_hex(rt->root->path, strlen(rt->root->path), digest);
	return (struct compose) {
		.socket = socket,
		.plugin = compose_has_plugin(socket),
		/* No service's project has an underscore. */
		.project = rt->root->path[0] ? pool_printf(rt->pool, "dynia-%.8s_ingress", digest)
					     : "dynia_ingress",
		.folder = layout_file(rt->pool, rt->root->path, LAYOUT_INGRESS, RUNTIME_CONTAINER,
				      NULL),
	};
}

static int list(const struct runtime_context *rt, struct docker *docker, enum program program,
		struct container_list *ret, struct err *err)
{
	docker_init(docker, rt->root->docker);
	return docker_list_ingress(docker, rt->root->path, program_command(program), rt->pool, ret,
				   err);
}

/* Docker is asked where nobody listens: a container that does not come up, or none. */
static int container_observe(const struct runtime_context *rt, enum program program,
			     struct program_state *ret, struct err *err)
{
	struct container_list found;
	struct docker docker;
	struct err ignored;

	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->pid = program_listener(rt, program);
	ret->running = ret->boots = ret->pid > 0;
	if (ret->running)
		program_ask(rt, program, ret);
	else if (rt->root->docker && list(rt, &docker, program, &found, &ignored) == 0)
		ret->running = ret->boots = found.n > 0;
	return 0;
}

static int did_not_work(const struct runtime_context *rt, enum program program, const char *what,
			struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT;
	struct container_list found;
	struct docker docker;
	struct err ignored;
	const char *words = "";

	if (list(rt, &docker, program, &found, &ignored) == 0 && found.n) {
		char *log = docker_log(&docker, &found.v[0], rt->pool);

		program_last_words(log, &said);
		words = said.len ? said.buf : "";
	}
	return err_set(err, ERR_APPLY, "%s %s: %s", program_command(program), what,
		       *words ? words : "it said nothing");
}

static int wait_until_ready(const struct runtime_context *rt, enum program program,
			    const char *config, struct err *err)
{
	int64_t deadline = clock_ms() + READY_TIMEOUT_MS;

	while (clock_ms() < deadline) {
		char loaded[SHA256_HEX_SIZE];
		pid_t pid = program_listener(rt, program);
		struct err ignored;

		if (pid && program_loaded(rt, program, pid, loaded, &ignored) == 0 &&
		    strcmp(loaded, config) == 0)
			return 0;
		clock_sleep_ms(READY_POLL_MS);
	}
	return did_not_work(rt, program, "does not answer", err);
}

/* Before Docker does it, with a mode that it chooses. */
static int make_folders(const struct runtime_context *rt, struct err *err)
{
	static const enum layout folders[] = {
		LAYOUT_CERTIFICATES, LAYOUT_CADDY_LOGS,  LAYOUT_CADDY_DATA, LAYOUT_DRAIN,
		LAYOUT_SITES,        LAYOUT_HAPROXY_RUN, LAYOUT_CADDY_RUN,
	};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (file_mkdirs_in(rt->root->fd, layout_path(folders[i], RUNTIME_CONTAINER), 0755,
				   err) < 0)
			return -1;
	return 0;
}

static int container_start(const struct runtime_context *rt, enum program program,
			   const char *config, struct err *err)
{
	struct compose compose = the_project(rt);

	if (make_folders(rt, err) < 0)
		return -1;
	if (compose_recreate(&compose, program_command(program), err) < 0)
		return err_wrap(err, "start %s", program_command(program));
	return wait_until_ready(rt, program, config, err);
}

static int container_reload(const struct runtime_context *rt, enum program program,
			    const char *config, struct err *err)
{
	pid_t pid = program_listener(rt, program);

	if (!pid)
		return program_gone(program, err);
	if (program_reload(rt, program, pid, program_signal_reload, config, err) == 0)
		return 0;
	if (err->code != ERR_APPLY || !program_fails_in_log(program))
		return -1;
	return did_not_work(rt, program, "could not load its configuration", err);
}

/* Its compose file may be gone already. */
static int container_stop(const struct runtime_context *rt, enum program program, struct err *err)
{
	struct container_list found;
	struct docker docker;

	if (list(rt, &docker, program, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < found.n; i++)
		if (docker_remove(&docker, &found.v[i], err) < 0)
			return -1;
	return 0;
}

const struct runtime_ops runtime_container = {
	.name = "container",
	.owns_all = true,
	.restart_for = PROGRAM_INGRESS,
	.observe = container_observe,
	.start = container_start,
	.reload = container_reload,
	.stop = container_stop,
};
