/* Runtime container: the compose file of HAProxy and Caddy, on the host's network, with the folders
 * where the host has them. Folders, not files: a rename leaves a mounted file as it was. */
#include "base/cleanup.h"
#include "render/compose.h"
#include "render/labels.h"
#include "render/layout.h"

static void put_mount(const struct render_input *in, struct yaml_writer *y, enum layout what,
		      bool read_only)
{
	const char *path = layout_file(in->pool, in->facts->root, what, RUNTIME_CONTAINER, NULL);

	yaml_map_begin(y, NULL);
	yaml_string(y, "type", "bind");
	yaml_string(y, "source", path);
	yaml_string(y, "target", path);
	if (read_only)
		yaml_bool(y, "read_only", true);
	yaml_end(y);
}

const char *ingress_label(struct pool *pool, const char *root, const char *program)
{
	return pool_printf(pool, "%s %s", root[0] ? root : "/", program);
}

static void put_common(const struct render_input *in, struct yaml_writer *y, const char *program,
		       const char *image, const struct resources *resources)
{
	yaml_string(y, "image", image);
	yaml_map_begin(y, "labels");
	yaml_string(y, LABEL_INGRESS, ingress_label(in->pool, in->facts->root, program));
	yaml_end(y);
	yaml_string(y, "network_mode", "host");
	yaml_string(y, "restart", "unless-stopped");
	/* Root without its capabilities: it owns the certificates (0600) and its socket's folder,
	 * and no more. */
	yaml_string(y, "user", "0:0");
	yaml_list_begin(y, "cap_drop");
	yaml_string(y, NULL, "ALL");
	yaml_end(y);
	yaml_list_begin(y, "cap_add");
	yaml_string(y, NULL, "NET_BIND_SERVICE");
	yaml_end(y);
	yaml_list_begin(y, "security_opt");
	yaml_string(y, NULL, "no-new-privileges:true");
	yaml_end(y);
	compose_limits(y, resources);
	compose_logging(y);
	/* The agent asks both from the host. */
	yaml_map_begin(y, "healthcheck");
	yaml_bool(y, "disable", true);
	yaml_end(y);
}

static void put_command(struct yaml_writer *y, const char *const *words, size_t n)
{
	yaml_list_begin(y, "command");
	for (size_t i = 0; i < n; i++)
		yaml_string(y, NULL, words[i]);
	yaml_end(y);
}

static void put_haproxy(const struct render_input *in, struct yaml_writer *y)
{
	const struct ingress *ingress = &in->cluster->ingress;
	const char *root = in->facts->root;
	const char *const command[] = {
		"haproxy",
		"-W",
		"-db",
		"-S",
		layout_file(in->pool, root, LAYOUT_HAPROXY_MASTER, RUNTIME_CONTAINER, NULL),
		"-f",
		layout_file(in->pool, root, LAYOUT_HAPROXY, RUNTIME_CONTAINER, "haproxy.cfg"),
	};

	yaml_map_begin(y, "haproxy");
	put_common(in, y, "haproxy", ingress->images.haproxy, &ingress->resources.haproxy);
	put_command(y, command, ARRAY_SIZE(command));
	yaml_list_begin(y, "volumes");
	put_mount(in, y, LAYOUT_HAPROXY, true);
	put_mount(in, y, LAYOUT_HAPROXY_RUN, false);
	yaml_end(y);
	yaml_string(y, "stop_grace_period", "60s");
	yaml_end(y);
}

static void put_caddy(const struct render_input *in, struct yaml_writer *y)
{
	const struct ingress *ingress = &in->cluster->ingress;
	const char *root = in->facts->root;
	const char *const command[] = {
		"caddy",
		"run",
		"--config",
		layout_file(in->pool, root, LAYOUT_CADDY, RUNTIME_CONTAINER, "Caddyfile"),
		"--adapter",
		"caddyfile",
	};

	yaml_map_begin(y, "caddy");
	put_common(in, y, "caddy", ingress->images.caddy, &ingress->resources.caddy);
	put_command(y, command, ARRAY_SIZE(command));
	yaml_list_begin(y, "volumes");
	put_mount(in, y, LAYOUT_CADDY, true);
	put_mount(in, y, LAYOUT_SITES, true);
	put_mount(in, y, LAYOUT_DRAIN, true);
	put_mount(in, y, LAYOUT_CADDY_RUN, false);
	put_mount(in, y, LAYOUT_CADDY_LOGS, false);
	put_mount(in, y, LAYOUT_CADDY_DATA, false);
	yaml_end(y);
	yaml_string(y, "stop_grace_period", "20s");
	yaml_end(y);
}

int render_ingress(const struct render_input *in, struct fileset *set, struct err *err)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();
	struct out_file file = {
		.path = layout_file(in->pool, "", LAYOUT_INGRESS, RUNTIME_CONTAINER,
				    "compose.yaml"),
		.program = PROGRAM_INGRESS,
	};

	yaml_map_begin(y, "services");
	if (in->cluster->ingress.tls.mode != TLS_CADDY)
		put_haproxy(in, y);
	put_caddy(in, y);
	yaml_end(y);
	return compose_add(in, set, y, &file, err);
}
