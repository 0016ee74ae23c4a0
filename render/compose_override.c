/* Beside a user's own compose file, which stays as it is: what makes its parts containers of this
 * node, and its entry part of the cluster. */
#include <string.h>

#include "base/cleanup.h"
#include "render/compose.h"
#include "render/compose_parts.h"
#include "render/layout.h"
#include "spec/compose_file.h"
#include "spec/yaml.h"

/* The `version:` of the user's file, or NULL: an override must have the same. */
static const char *user_version(const struct service *service)
{
	const struct yaml_node *version =
		service->compose_yaml ? yaml_get(service->compose_yaml, "version") : NULL;

	return version && version->kind == YAML_NODE_SCALAR ? version->text : NULL;
}

/* It answers for the service. */
static void put_entry(const struct render_input *in, struct yaml_writer *y,
		      const struct service *service)
{
	yaml_string(y, "restart", "unless-stopped");
	compose_ports(in, y, service, false);
	yaml_list_begin(y, "networks");
	yaml_string(y, NULL, "default");
	yaml_string(y, NULL, COMPOSE_EDGE);
	yaml_end(y);
	compose_healthcheck(y, &service->health);
	compose_limits(y, &service->resources);
}

/* The digest is over what both files say of the part. */
static int digest_part(const struct render_input *in, const struct service *service,
		       const struct yaml_node *yaml, struct out_part *part,
		       char ret_files[SHA256_HEX_SIZE], bool *ret_has_files, struct err *err)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct sha256 *state;

	if (strcmp(part->name, service->entry) == 0) {
		put_entry(in, y, service);
		compose_network(in, y);
	}
	if (yaml_writer_finish(y, &text, err) < 0)
		return -1;
	state = sha256_begin();
	sha256_add(state, text.buf, text.len);
	*ret_has_files = compose_digest(service, yaml, state, ret_files);
	sha256_end(state, part->spec);
	return 0;
}

static int put_part(const struct render_input *in, struct yaml_writer *y,
		    const struct service *service, const struct yaml_node *yaml,
		    struct out_part *part, struct err *err)
{
	const struct yaml_node *image = compose_get(yaml, "image");
	char files[SHA256_HEX_SIZE];
	bool has_files;

	if (digest_part(in, service, yaml, part, files, &has_files, err) < 0)
		return -1;
	part->image = image && image->kind == YAML_NODE_SCALAR ? image->text : "";
	part->once = strcmp(part->name, service->entry) != 0 && compose_runs_once(yaml);
	yaml_map_begin(y, part->name);
	if (strcmp(part->name, service->entry) == 0)
		put_entry(in, y, service);
	compose_labels(in, y, service,
		       &(struct part_labels) {.spec = part->spec,
					      .files = has_files ? files : NULL});
	yaml_end(y);
	return 0;
}

int compose_override(const struct render_input *in, const struct service *service,
		     struct fileset *set, struct err *err)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();
	const char *version = user_version(service);
	const struct yaml_node *parts = yaml_get(service->compose_yaml, "services");
	struct out_service *row = compose_add_service(in, set, service, parts->n);
	struct out_file file = {
		.path = pool_printf(in->pool, "%s/compose.dynia.yaml", row->folder),
		.program = PROGRAM_COMPOSE,
		.service = service->name,
	};

	if (version)
		yaml_string(y, "version", version);
	yaml_map_begin(y, "services");
	for (size_t i = 0; i < parts->n; i++) {
		struct out_part *part = &row->parts[row->n_parts];

		if (compose_is_optional(parts->items[i]))
			continue;
		part->name = parts->keys[i]->text;
		if (put_part(in, y, service, parts->items[i], part, err) < 0)
			return -1;
		row->n_parts++;
	}
	yaml_end(y);
	compose_network(in, y);
	return compose_add(in, set, y, &file, err);
}
