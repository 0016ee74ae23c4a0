#include "render/compose.h"

#include <string.h>

#include "base/cleanup.h"
#include "render/compose_parts.h"
#include "render/layout.h"
#include "render/surge.h"

/* Compose 1.29 leaves `deploy` to a swarm, whatever the file's version: only these keys limit anything
 * everywhere. */
void compose_limits(struct yaml_writer *y, const struct resources *resources)
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

/* Where a service's files go, and whether for the while beside the old container only. */
struct place {
	const char *folder; /* without the root */
	bool surge;
};

static const char *own_folder(const struct render_input *in, const struct service *service)
{
	return layout_file(in->pool, "", LAYOUT_COMPOSE, in->cluster->ingress.runtime,
			   service->name);
}

/* Loopback only: Docker's own rules let a published port past the firewall. */
void compose_ports(const struct render_input *in, struct yaml_writer *y,
		   const struct service *service, bool surge)
{
	const char *address = facts_loopback(in->facts, in->node);
	const char *port = surge ? "" : pool_printf(in->pool, "%lld", (long long)service->publish);

	if (!service->port)
		return;
	yaml_list_begin(y, "ports");
	if (strchr(address, ':'))
		yaml_stringf(y, NULL, "[%s]:%s:%lld", address, port, (long long)service->port);
	else
		yaml_stringf(y, NULL, "%s:%s:%lld", address, port, (long long)service->port);
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
		       const struct service *service, const struct place *place)
{
	if (!service->volumes.n)
		return;
	yaml_list_begin(y, "volumes");
	for (size_t i = 0; i < service->volumes.n; i++) {
		const struct volume *mount = &service->mounts[i];

		yaml_map_begin(y, NULL);
		yaml_string(y, "type", mount->is_path ? "bind" : "volume");
		yaml_string(y, "source",
			    mount->is_path ? pool_printf(in->pool, "%s%s/%s", in->facts->root,
							 place->folder, mount->source)
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

void compose_healthcheck(struct yaml_writer *y, const struct health *health)
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
void compose_network(const struct render_input *in, struct yaml_writer *y)
{
	yaml_map_begin(y, "networks");
	yaml_map_begin(y, COMPOSE_EDGE);
	yaml_bool(y, "external", true);
	yaml_string(y, "name", in->cluster->network.name);
	yaml_end(y);
	yaml_end(y);
}

static int put_image_service(const struct render_input *in, struct yaml_writer *y,
			     const struct service *service, const struct place *place,
			     const struct part_labels *labels, bool *ret_secret, struct err *err)
{
	yaml_map_begin(y, service->name);
	yaml_string(y, "image", service->image);
	yaml_string(y, "restart", "unless-stopped");
	yaml_bool(y, "init", true);
	yaml_list_begin(y, "security_opt");
	yaml_string(y, NULL, "no-new-privileges:true");
	yaml_end(y);
	compose_ports(in, y, service, place->surge);
	if (put_env(in, y, service, ret_secret, err) < 0)
		return -1;
	put_mounts(in, y, service, place);
	yaml_list_begin(y, "networks");
	yaml_string(y, NULL, COMPOSE_EDGE);
	yaml_end(y);
	compose_healthcheck(y, &service->health);
	compose_limits(y, &service->resources);
	yaml_string(y, "stop_grace_period", "30s");
	compose_labels(in, y, service, labels);
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
			      const struct place *place, struct fileset *set)
{
	for (size_t i = 0; i < service->n_files; i++) {
		const struct service_file *file = &service->files[i];

		fileset_add(set, &(struct out_file) {
					 .path = pool_printf(in->pool, "%s/%s", place->folder,
							     file->path),
					 .data = file->data,
					 .len = file->len,
					 .mode = file->executable ? 0755 : 0644,
					 .program = PROGRAM_COMPOSE,
					 .service = service->name,
				 });
	}
}

/* The whole file; with no digest in the labels, what the digest is made of. */
static struct yaml_writer *write_image(const struct render_input *in, const struct service *service,
				       const struct place *place, const struct part_labels *labels,
				       bool *ret_secret, struct err *err)
{
	struct yaml_writer *y = yaml_writer_new();

	yaml_map_begin(y, "services");
	if (put_image_service(in, y, service, place, labels, ret_secret, err) < 0) {
		yaml_writer_freep(&y);
		return NULL;
	}
	yaml_end(y);
	put_named_volumes(y, service);
	compose_network(in, y);
	return y;
}

static int digest_of(struct yaml_writer *y, char ret[SHA256_HEX_SIZE], struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	if (yaml_writer_finish(y, &text, err) < 0)
		return -1;
	sha256_hex(text.buf, text.len, ret);
	explicit_bzero(text.buf, text.len);
	return 0;
}

/* As it will be in its own place, so that a surge carries the digest of what it stands for. */
static int digest_image(const struct render_input *in, const struct service *service,
			struct part_labels *labels, char ret[SHA256_HEX_SIZE], struct err *err)
{
	const struct place own = {.folder = own_folder(in, service)};
	struct part_labels bare = {.spec = "", .files = labels->files};
	bool ignored = false;
	CLEANUP(yaml_writer_freep)
	struct yaml_writer *y = write_image(in, service, &own, &bare, &ignored, err);

	if (!y || digest_of(y, ret, err) < 0)
		return -1;
	labels->spec = ret;
	return 0;
}

static int add_image(const struct render_input *in, const struct service *service,
		     const struct place *place, struct fileset *set, char ret_spec[SHA256_HEX_SIZE],
		     struct err *err)
{
	char files[SHA256_HEX_SIZE];
	struct part_labels labels = {
		.files = compose_mounted_files(service, files) ? files : NULL,
		.surge = place->surge,
	};
	struct out_file file = {
		.path = pool_printf(in->pool, "%s/compose.yaml", place->folder),
		.program = PROGRAM_COMPOSE,
		.service = service->name,
	};
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = NULL;

	if (digest_image(in, service, &labels, ret_spec, err) < 0)
		return -1;
	y = write_image(in, service, place, &labels, &file.secret, err);
	return y ? compose_add(in, set, y, &file, err) : -1;
}

static int render_image(const struct render_input *in, const struct service *service,
			struct fileset *set, struct err *err)
{
	const struct place own = {.folder = own_folder(in, service)};
	struct out_service *row = compose_add_service(in, set, service, 1);
	struct out_part *part = &row->parts[row->n_parts++];

	part->name = service->name;
	part->image = service->image;
	return add_image(in, service, &own, set, part->spec, err);
}

int render_surge(const struct cluster *cluster, const struct node *node, const struct facts *facts,
		 const struct service *service, const char *folder, struct fileset *set,
		 struct err *err)
{
	const struct render_input in = {.cluster = cluster,
					.node = node,
					.facts = facts,
					.pool = set->pool};
	const struct place place = {.folder = folder, .surge = true};
	char ignored[SHA256_HEX_SIZE];

	add_service_files(&in, service, &place, set);
	return add_image(&in, service, &place, set, ignored, err);
}

int render_compose(const struct render_input *in, struct fileset *set, struct err *err)
{
	for (size_t i = 0; i < in->cluster->n_services; i++) {
		const struct service *service = &in->cluster->services[i];
		const struct place own = {.folder = own_folder(in, service)};
		int rc;

		if (!service_has_containers(service) || !service_on_node(service, in->node))
			continue;
		add_service_files(in, service, &own, set);
		rc = service->kind == SERVICE_IMAGE ? render_image(in, service, set, err)
						    : compose_override(in, service, set, err);
		if (rc < 0)
			return err_wrap(err, "service '%s'", service->name);
	}
	return 0;
}
