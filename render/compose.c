#include "render/compose.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "render/layout.h"
#include "spec/yaml.h"

#define EDGE "dynia_edge"

/* Compose 1.29 leaves `deploy` to a swarm, and 2.x reads both: only the old keys limit anything
 * everywhere. */
static void put_limits(struct yaml_writer *y, const struct resources *resources)
{
	const struct limits *limits = &resources->limits;
	const struct reservations *reservations = &resources->reservations;

	if (limits->memory_bytes)
		yaml_int(y, "mem_limit", limits->memory_bytes);
	if (reservations->memory_bytes)
		yaml_int(y, "mem_reservation", reservations->memory_bytes);
	if (limits->cpus_milli)
		yaml_milli(y, "cpus", limits->cpus_milli);
	if (reservations->cpus_milli)
		yaml_int(y, "cpu_shares", reservations->cpus_milli * 1024 / 1000);
	if (limits->pids)
		yaml_int(y, "pids_limit", limits->pids);
}

static void put_deploy_values(struct yaml_writer *y, const char *key, int64_t cpus_milli,
			      int64_t memory_bytes)
{
	if (!cpus_milli && !memory_bytes)
		return;
	yaml_map_begin(y, key);
	if (cpus_milli)
		yaml_stringf(y, "cpus", "%lld.%03lld", (long long)cpus_milli / 1000,
			     (long long)cpus_milli % 1000);
	if (memory_bytes)
		yaml_stringf(y, "memory", "%lld", (long long)memory_bytes);
	yaml_end(y);
}

/* A file of version 3 may not hold the old keys. */
static void put_deploy(struct yaml_writer *y, const struct resources *resources)
{
	const struct limits *limits = &resources->limits;
	const struct reservations *reservations = &resources->reservations;

	if (!limits->cpus_milli && !limits->memory_bytes && !reservations->cpus_milli &&
	    !reservations->memory_bytes)
		return;
	yaml_map_begin(y, "deploy");
	yaml_map_begin(y, "resources");
	put_deploy_values(y, "limits", limits->cpus_milli, limits->memory_bytes);
	put_deploy_values(y, "reservations", reservations->cpus_milli, reservations->memory_bytes);
	yaml_end(y);
	yaml_end(y);
}

void compose_limits(struct yaml_writer *y, const struct resources *resources, bool deploy)
{
	if (deploy)
		put_deploy(y, resources);
	else
		put_limits(y, resources);
}

void compose_logging(struct yaml_writer *y)
{
	yaml_map_begin(y, "logging");
	yaml_string(y, "driver", "local");
	yaml_map_begin(y, "options");
	yaml_string(y, "max-size", "10m");
	yaml_string(y, "max-file", "5");
	yaml_end(y);
	yaml_end(y);
}

int compose_add(const struct render_input *in, struct fileset *set, struct yaml_writer *y,
		const struct out_file *file, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct out_file out = *file;

	if (yaml_writer_finish(y, &text, err) < 0)
		return -1;
	out.data = pool_memdup(in->pool, text.buf, text.len);
	out.len = text.len;
	out.mode = out.secret ? 0600 : 0644;
	fileset_add(set, &out);
	return 0;
}

static const char *service_path(const struct render_input *in, const char *root,
				const struct service *service, const char *name)
{
	return pool_printf(in->pool, "%s%s/%s/%s", root,
			   layout_path(LAYOUT_COMPOSE, in->cluster->ingress.runtime), service->name,
			   name);
}

/* Is the file what a bind mount shows, or in the folder that it shows? */
static bool is_mounted(const struct service *service, const char *path)
{
	/* What a user's own compose file mounts is not looked into: all but that file may be. */
	if (service->kind == SERVICE_COMPOSE)
		return strcmp(path, service->compose) != 0;
	for (size_t i = 0; i < service->volumes.n; i++) {
		const struct volume *mount = &service->mounts[i];
		size_t len = strlen(mount->source);

		if (mount->is_path && strncmp(path, mount->source, len) == 0 &&
		    (path[len] == '\0' || path[len] == '/'))
			return true;
	}
	return false;
}

/* A label that follows from the files' contents: compose makes the container anew where it changes,
 * and the process reads the new file. */
static void put_files_label(struct yaml_writer *y, const struct service *service)
{
	struct sha256 *state = sha256_begin();
	char digest[SHA256_HEX_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < service->n_files; i++) {
		const struct service_file *file = &service->files[i];
		char content[SHA256_HEX_SIZE];

		if (!is_mounted(service, file->path))
			continue;
		sha256_hex(file->data, file->len, content);
		sha256_add_str(state, file->path);
		sha256_add_str(state, content);
		n++;
	}
	sha256_end(state, digest);
	if (n)
		yaml_string(y, "dynia.files", digest);
}

static void put_labels(const struct render_input *in, struct yaml_writer *y,
		       const struct service *service)
{
	yaml_map_begin(y, "labels");
	yaml_string(y, "dynia.cluster", in->cluster->name);
	yaml_string(y, "dynia.service", service->name);
	put_files_label(y, service);
	yaml_end(y);
}

/* Loopback only: Docker's own rules let a published port past the firewall. */
static void put_ports(const struct render_input *in, struct yaml_writer *y,
		      const struct service *service)
{
	const char *address = facts_loopback(in->facts, in->node);

	if (!service->port)
		return;
	yaml_list_begin(y, "ports");
	yaml_stringf(y, NULL, strchr(address, ':') ? "[%s]:%lld:%lld" : "%s:%lld:%lld", address,
		     (long long)service->publish, (long long)service->port);
	yaml_end(y);
}

static int put_env(const struct render_input *in, struct yaml_writer *y,
		   const struct service *service, bool *ret_secret, struct err *err)
{
	if (!service->env.n)
		return 0;
	yaml_map_begin(y, "environment");
	for (size_t i = 0; i < service->env.n; i++) {
		const struct spec_env_entry *entry = &service->env.v[i];
		const char *field = pool_printf(in->pool, "%s:%u env.%s", service->path,
						entry->value.pos.line, entry->name);
		bool secret;
		const char *text = target_value(in, &entry->value, field, &secret, err);

		if (!text)
			return -1;
		*ret_secret |= secret;
		yaml_string(y, entry->name, text);
	}
	yaml_end(y);
	return 0;
}

static void put_mounts(const struct render_input *in, struct yaml_writer *y,
		       const struct service *service)
{
	if (!service->volumes.n)
		return;
	yaml_list_begin(y, "volumes");
	for (size_t i = 0; i < service->volumes.n; i++) {
		const struct volume *mount = &service->mounts[i];

		yaml_map_begin(y, NULL);
		yaml_string(y, "type", mount->is_path ? "bind" : "volume");
		yaml_string(y, "source",
			    mount->is_path
				    ? service_path(in, in->facts->root, service, mount->source)
				    : mount->source);
		yaml_string(y, "target", mount->target);
		if (mount->read_only)
			yaml_bool(y, "read_only", true);
		yaml_end(y);
	}
	yaml_end(y);
}

static void put_duration(struct yaml_writer *y, const char *key, int64_t ms)
{
	if (ms % 1000)
		yaml_stringf(y, key, "%lldms", (long long)ms);
	else
		yaml_stringf(y, key, "%llds", (long long)ms / 1000);
}

static void put_healthcheck(struct yaml_writer *y, const struct health *health)
{
	if (!health->command.n)
		return;
	yaml_map_begin(y, "healthcheck");
	yaml_list_begin(y, "test");
	yaml_string(y, NULL, "CMD");
	for (size_t i = 0; i < health->command.n; i++)
		yaml_string(y, NULL, health->command.v[i]);
	yaml_end(y);
	put_duration(y, "interval", health->interval_ms);
	put_duration(y, "timeout", health->timeout_ms);
	yaml_int(y, "retries", health->retries);
	put_duration(y, "start_period", health->start_period_ms);
	yaml_end(y);
}

/* The network is made once by the agent: one per project would keep services from one another. */
static void put_network(const struct render_input *in, struct yaml_writer *y, bool old_external)
{
	yaml_map_begin(y, "networks");
	yaml_map_begin(y, EDGE);
	if (old_external) {
		yaml_map_begin(y, "external");
		yaml_string(y, "name", in->cluster->network.name);
		yaml_end(y);
	} else {
		yaml_bool(y, "external", true);
		yaml_string(y, "name", in->cluster->network.name);
	}
	yaml_end(y);
	yaml_end(y);
}

static int put_image_service(const struct render_input *in, struct yaml_writer *y,
			     const struct service *service, bool *ret_secret, struct err *err)
{
	yaml_map_begin(y, service->name);
	yaml_string(y, "image", service->image);
	yaml_string(y, "restart", "unless-stopped");
	yaml_bool(y, "init", true);
	yaml_list_begin(y, "security_opt");
	yaml_string(y, NULL, "no-new-privileges:true");
	yaml_end(y);
	put_ports(in, y, service);
	if (put_env(in, y, service, ret_secret, err) < 0)
		return -1;
	put_mounts(in, y, service);
	yaml_list_begin(y, "networks");
	yaml_string(y, NULL, EDGE);
	yaml_end(y);
	put_healthcheck(y, &service->health);
	compose_limits(y, &service->resources, false);
	yaml_string(y, "stop_grace_period", "30s");
	put_labels(in, y, service);
	compose_logging(y);
	yaml_end(y);
	return 0;
}

static bool seen_before(const struct service *service, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (!service->mounts[j].is_path &&
		    strcmp(service->mounts[j].source, service->mounts[i].source) == 0)
			return true;
	return false;
}

static void put_named_volumes(struct yaml_writer *y, const struct service *service)
{
	bool open = false;

	for (size_t i = 0; i < service->volumes.n; i++) {
		if (service->mounts[i].is_path || seen_before(service, i))
			continue;
		if (!open)
			yaml_map_begin(y, "volumes");
		open = true;
		yaml_map_begin(y, service->mounts[i].source);
		yaml_end(y);
	}
	if (open)
		yaml_end(y);
}

static void add_service_files(const struct render_input *in, const struct service *service,
			      struct fileset *set)
{
	for (size_t i = 0; i < service->n_files; i++) {
		const struct service_file *file = &service->files[i];

		fileset_add(set, &(struct out_file) {
					 .path = service_path(in, "", service, file->path),
					 .data = file->data,
					 .len = file->len,
					 .mode = file->executable ? 0755 : 0644,
					 .program = PROGRAM_COMPOSE,
					 .service = service->name,
				 });
	}
}

static int render_image(const struct render_input *in, const struct service *service,
			struct fileset *set, struct err *err)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();
	struct out_file file = {
		.path = service_path(in, "", service, "compose.yaml"),
		.program = PROGRAM_COMPOSE,
		.service = service->name,
	};

	yaml_map_begin(y, "services");
	if (put_image_service(in, y, service, &file.secret, err) < 0)
		return -1;
	yaml_end(y);
	put_named_volumes(y, service);
	put_network(in, y, false);
	return compose_add(in, set, y, &file, err);
}

/* The `version:` of the user's file, or NULL: an override must have the same. */
static const char *user_version(const struct service *service)
{
	const struct yaml_node *version =
		service->compose_yaml ? yaml_get(service->compose_yaml, "version") : NULL;

	return version && version->kind == YAML_NODE_SCALAR ? version->text : NULL;
}

/* An external network's own name has its new place from 3.5 on. */
static bool has_old_external(const char *version)
{
	static const char *const old[] = {"3", "3.0", "3.1", "3.2", "3.3", "3.4", "2", "2.0"};

	for (size_t i = 0; version && i < ARRAY_SIZE(old); i++)
		if (strcmp(version, old[i]) == 0)
			return true;
	return false;
}

/* Beside the user's own file, which stays as it is: what makes its entry part of the cluster. */
static int render_override(const struct render_input *in, const struct service *service,
			   struct fileset *set, struct err *err)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();
	const char *version = user_version(service);
	struct out_file file = {
		.path = service_path(in, "", service, "compose.dynia.yaml"),
		.program = PROGRAM_COMPOSE,
		.service = service->name,
	};

	if (version)
		yaml_string(y, "version", version);
	yaml_map_begin(y, "services");
	yaml_map_begin(y, service->entry);
	yaml_string(y, "restart", "unless-stopped");
	put_ports(in, y, service);
	yaml_list_begin(y, "networks");
	yaml_string(y, NULL, "default");
	yaml_string(y, NULL, EDGE);
	yaml_end(y);
	put_healthcheck(y, &service->health);
	compose_limits(y, &service->resources, version && version[0] == '3');
	put_labels(in, y, service);
	yaml_end(y);
	yaml_end(y);
	put_network(in, y, has_old_external(version));
	return compose_add(in, set, y, &file, err);
}

int render_compose(const struct render_input *in, struct fileset *set, struct err *err)
{
	for (size_t i = 0; i < in->cluster->n_services; i++) {
		const struct service *service = &in->cluster->services[i];
		int rc;

		if (service->kind != SERVICE_IMAGE && service->kind != SERVICE_COMPOSE)
			continue;
		if (!service_on_node(service, in->node))
			continue;
		add_service_files(in, service, set);
		rc = service->kind == SERVICE_IMAGE ? render_image(in, service, set, err)
						    : render_override(in, service, set, err);
		if (rc < 0)
			return err_wrap(err, "service '%s'", service->name);
	}
	return 0;
}
