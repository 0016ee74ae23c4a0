#include "render/compose_parts.h"

#include <string.h>

#include "render/layout.h"

void compose_labels(const struct render_input *in, struct yaml_writer *y,
		    const struct service *service, const struct part_labels *labels)
{
	const char *root = in->facts->root;

	yaml_map_begin(y, "labels");
	yaml_string(y, LABEL_ROOT, root[0] ? root : "/");
	yaml_string(y, LABEL_CLUSTER, in->cluster->name);
	yaml_string(y, LABEL_SERVICE, service->name);
	yaml_string(y, LABEL_SPEC, labels->spec);
	if (labels->files)
		yaml_string(y, LABEL_FILES, labels->files);
	if (labels->surge)
		yaml_string(y, LABEL_SURGE, "1");
	yaml_end(y);
}

/* Is the file what a bind mount shows, or in the folder that it shows? */
static bool is_mounted(const struct service *service, const char *path)
{
	for (size_t i = 0; i < service->volumes.n; i++) {
		const struct volume *mount = &service->mounts[i];
		size_t len = strlen(mount->source);

		if (mount->is_path && strncmp(path, mount->source, len) == 0 &&
		    (path[len] == '\0' || path[len] == '/'))
			return true;
	}
	return false;
}

bool compose_mounted_files(const struct service *service, char ret[SHA256_HEX_SIZE])
{
	struct sha256 *state = sha256_begin();
	bool found = false;

	for (size_t i = 0; i < service->n_files; i++) {
		const struct service_file *file = &service->files[i];
		char content[SHA256_HEX_SIZE];

		if (!is_mounted(service, file->path))
			continue;
		sha256_hex(file->data, file->len, content);
		sha256_add_str(state, file->path);
		sha256_add_str(state, content);
		sha256_add_str(state, file->executable ? "x" : "");
		found = true;
	}
	sha256_end(state, ret);
	return found;
}

const char *compose_project(struct pool *pool, const char *root, const char *service, bool surge)
{
	char digest[SHA256_HEX_SIZE];
	const char *kind = surge ? "dynia_surge" : "dynia";

	if (!root[0])
		return pool_printf(pool, "%s-%s", kind, service);
	sha256_hex(root, strlen(root), digest);
	return pool_printf(pool, "%s-%.8s-%s", kind, digest, service);
}

struct out_service *compose_add_service(const struct render_input *in, struct fileset *set,
					const struct service *service, size_t n_parts)
{
	const char *root = in->facts->root;
	struct out_service *row;

	/* Services come sorted, and at most as many as the cluster has. */
	if (!set->services)
		set->services =
			pool_calloc(set->pool, in->cluster->n_services, sizeof(*set->services));
	row = &set->services[set->n_services++];
	row->name = service->name;
	row->project = compose_project(set->pool, root, service->name, false);
	if (service_starts_first(service))
		row->surge_project = compose_project(set->pool, root, service->name, true);
	row->folder = layout_file(set->pool, "", LAYOUT_COMPOSE, in->cluster->ingress.runtime,
				  service->name);
	row->compose = service->kind == SERVICE_COMPOSE ? service->compose : NULL;
	row->parts = pool_calloc(set->pool, n_parts, sizeof(*row->parts));
	return row;
}
