/* The parts of the Caddyfile. Only render/caddy*.c include this. */
#ifndef RENDER_CADDY_H
#define RENDER_CADDY_H

#include "render/layout.h"
#include "render/target.h"
#include "render/writer.h"

struct caddy {
	const struct render_input *in;
	struct conf_writer *w;
	size_t digest_at; /* where the digest stands in the text */
};

/* With the root, as the Caddyfile names it. */
const char *caddy_path(const struct caddy *c, enum layout what, const char *name);
/* "log" of a site. */
void caddy_access_log(struct caddy *c);

/* caddy_service.c: what answers for a service, once for each site that has it. */
void caddy_snippets(struct caddy *c);
/* By host, the exact ones before the wildcards, and last what is for every other host. */
void caddy_services(struct caddy *c);
void caddy_service(struct caddy *c, const struct service *service);
/* What answers where no host matches. */
void caddy_default(struct caddy *c);

/* caddy_public.c: tls.mode caddy, where Caddy itself listens on the public ports. */
void caddy_public_options(struct caddy *c);
int caddy_public_sites(struct caddy *c, struct err *err);

#endif
