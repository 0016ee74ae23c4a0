/* What the targets of render.c share. Only render/ includes this. */
#ifndef RENDER_TARGET_H
#define RENDER_TARGET_H

#include "base/err.h"
#include "render/facts.h"
#include "render/fileset.h"
#include "spec/model.h"

struct render_input {
	const struct cluster *cluster;
	const struct node *node;
	const struct facts *facts;
	struct pool *pool;
};

int render_haproxy(const struct render_input *in, struct fileset *set, struct err *err);
int render_caddy(const struct render_input *in, struct fileset *set, struct err *err);
int render_sites(const struct render_input *in, struct fileset *set, struct err *err);
int render_compose(const struct render_input *in, struct fileset *set, struct err *err);
int render_ingress(const struct render_input *in, struct fileset *set, struct err *err);
int render_keepalived(const struct render_input *in, struct fileset *set, struct err *err);
int render_units(const struct render_input *in, struct fileset *set, struct err *err);
int render_firewall(const struct render_input *in, struct fileset *set, struct err *err);
int render_logrotate(const struct render_input *in, struct fileset *set, struct err *err);

/* Does the body of a placeholder go into a file of that name, for it has several lines? */
#define RESPOND_FILE "body"
bool respond_is_file(const struct respond *respond);

/* The text of a value, its secret looked up; sets *ret_secret where it is one. NULL and err where
 * it is missing: the message names `field`. */
const char *target_value(const struct render_input *in, const struct spec_value *value,
			 const char *field, bool *ret_secret, struct err *err);

#endif
