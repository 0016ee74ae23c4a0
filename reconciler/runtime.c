#include "reconciler/runtime.h"

#include <string.h>

#include "base/cleanup.h"
#include "reconciler/systemctl.h"
#include "render/layout.h"
#include "spec/model.h"

static const struct {
	const char *name;
	const struct runtime_ops *ops;
} runtimes[] = {
	[RUNTIME_SYSTEM] = {"system", &runtime_system},
	[RUNTIME_CONTAINER] = {"container", &runtime_container},
	[RUNTIME_PROCESS] = {"process", &runtime_process},
};

/* Units and the firewall are the machine's: an agent that lives below a folder leaves them alone. */
static bool is_machine(const struct root *root)
{
	return root->path[0] == '\0';
}

int runtime_check(const struct root *root, int runtime, struct err *err)
{
	if (runtime == RUNTIME_SYSTEM && !is_machine(root))
		return err_set(
			err, ERR_CONFIG,
			"'ingress.runtime: system' runs the machine's own units, which do not "
			"live below --root: use 'process'");
	if (runtime == RUNTIME_SYSTEM && !systemd_runs())
		return err_set(
			err, ERR_CONFIG,
			"'ingress.runtime: system' needs systemd, which does not run here: use "
			"'process'");
	return 0;
}

const struct runtime_ops *runtime_ops_of(const struct root *root, int runtime, enum program program)
{
	bool has_units = is_machine(root) && systemd_runs();

	switch (program) {
	case PROGRAM_FIREWALL:
		return is_machine(root) ? &runtime_firewall : NULL;
	case PROGRAM_SYSTEMD:
		return has_units ? &runtime_units : NULL;
	case PROGRAM_KEEPALIVED:
		/* Its unit starts at boot as soon as there is a configuration: it had better be the
		 * one that runs. */
		return has_units ? &runtime_system : &runtime_process;
	default:
		return runtime == RUNTIME_SYSTEM && !has_units ? NULL : runtimes[runtime].ops;
	}
}

struct endpoints endpoints_under(const struct endpoints *at, const struct root *root, int runtime,
				 struct pool *pool)
{
	struct endpoints there = *at;

	there.runtime = runtime;
	there.haproxy_file = layout_file(pool, root->path, LAYOUT_HAPROXY, runtime, "haproxy.cfg");
	there.haproxy_socket = layout_file(pool, root->path, LAYOUT_HAPROXY_SOCKET, runtime, NULL);
	there.haproxy_master = layout_file(pool, root->path, LAYOUT_HAPROXY_MASTER, runtime, NULL);
	there.caddy_file = layout_file(pool, root->path, LAYOUT_CADDY, runtime, "Caddyfile");
	there.caddy_socket = layout_file(pool, root->path, LAYOUT_CADDY_SOCKET, runtime, NULL);
	there.caddy_data = layout_file(pool, root->path, LAYOUT_CADDY_DATA, runtime, NULL);
	return there;
}
