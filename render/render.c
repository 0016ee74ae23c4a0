#include "render/render.h"

#include "base/cleanup.h"
#include "render/target.h"

static bool has_haproxy(const struct cluster *cluster)
{
	return cluster->ingress.tls.mode != TLS_CADDY;
}

static bool has_containers(const struct cluster *cluster)
{
	return cluster->ingress.runtime == RUNTIME_CONTAINER;
}

static bool has_units(const struct cluster *cluster)
{
	return cluster->ingress.runtime == RUNTIME_SYSTEM;
}

static bool has_vip(const struct cluster *cluster)
{
	return cluster->vip != NULL;
}

static bool has_firewall(const struct cluster *cluster)
{
	return cluster->firewall != NULL;
}

/* What a node gets, and when: a new file or proxy is a row here. */
static const struct target {
	const char *name;
	int (*render)(const struct render_input *in, struct fileset *set, struct err *err);
	bool (*applies)(const struct cluster *cluster); /* NULL: always */
} targets[] = {
	{"haproxy", render_haproxy, has_haproxy},
	{"caddy", render_caddy, NULL},
	{"sites", render_sites, NULL},
	{"compose", render_compose, NULL},
	{"ingress", render_ingress, has_containers},
	{"keepalived", render_keepalived, has_vip},
	{"units", render_units, has_units},
	{"firewall", render_firewall, has_firewall},
	{"logrotate", render_logrotate, NULL},
};

const char *target_value(const struct render_input *in, const struct spec_value *value,
			 const char *field, bool *ret_secret, struct err *err)
{
	const struct facts *facts = in->facts;
	const char *text;

	*ret_secret = value->secret != NULL;
	if (!value->secret)
		return value->text ? value->text : "";
	if (!facts->secret)
		return pool_printf(in->pool, "(secret %s)", value->secret);
	text = facts->secret(facts->secret_arg, value->secret);
	if (!text)
		err_set(err, ERR_CONFIG,
			"secret '%s', which %s asks for, is not on this node: add it to "
			"secrets.yaml",
			value->secret, field);
	return text;
}

int render_node(const struct cluster *cluster, const struct node *node, const struct facts *facts,
		struct fileset *set, struct err *err)
{
	struct render_input in = {.cluster = cluster,
				  .node = node,
				  .facts = facts,
				  .pool = set->pool};

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		if (targets[i].applies && !targets[i].applies(cluster))
			continue;
		if (targets[i].render(&in, set, err) < 0)
			return err_wrap(err, "%s", targets[i].name);
	}
	return fileset_finish(set, err);
}
