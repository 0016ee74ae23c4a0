/* The files of static services, and the bodies of placeholders that are several lines long, as
 * Caddy serves them. */
#include <string.h>

#include "render/layout.h"
#include "render/target.h"

static void add_site(const struct render_input *in, const struct service *service,
		     struct fileset *set)
{
	size_t prefix = strlen(service->site);

	for (size_t i = 0; i < service->n_files; i++) {
		const struct service_file *file = &service->files[i];
		const char *name;

		if (strncmp(file->path, service->site, prefix) != 0 || file->path[prefix] != '/')
			continue;
		name = pool_printf(in->pool, "%s%s", service->name, file->path + prefix);
		fileset_add(set, &(struct out_file) {
					 .path = layout_file(in->pool, "", LAYOUT_SITES,
							     in->cluster->ingress.runtime, name),
					 .data = file->data,
					 .len = file->len,
					 .mode = 0644,
					 .program = PROGRAM_SITE,
					 .service = service->name,
				 });
	}
}

bool respond_is_file(const struct respond *respond)
{
	return strpbrk(respond->body, "\n\t") != NULL;
}

static void add_body(const struct render_input *in, const struct service *service,
		     struct fileset *set)
{
	const char *name = pool_printf(in->pool, "%s/%s", service->name, RESPOND_FILE);

	fileset_add(set, &(struct out_file) {
				 .path = layout_file(in->pool, "", LAYOUT_SITES,
						     in->cluster->ingress.runtime, name),
				 .data = service->respond->body,
				 .len = strlen(service->respond->body),
				 .mode = 0644,
				 .program = PROGRAM_SITE,
				 .service = service->name,
			 });
}

int render_sites(const struct render_input *in, struct fileset *set, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < in->cluster->n_services; i++) {
		const struct service *service = &in->cluster->services[i];

		if (!service_on_node(service, in->node))
			continue;
		if (service->kind == SERVICE_STATIC)
			add_site(in, service, set);
		else if (service->kind == SERVICE_RESPOND && respond_is_file(service->respond))
			add_body(in, service, set);
	}
	return 0;
}
