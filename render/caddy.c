#include "render/caddy.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"

#define ZEROS_16 "0000000000000000"
#define ZEROS_64 ZEROS_16 ZEROS_16 ZEROS_16 ZEROS_16

const char *caddy_path(const struct caddy *c, enum layout what, const char *name)
{
	return layout_file(c->in->pool, c->in->facts->root, what, c->in->cluster->ingress.runtime,
			   name);
}

/* Caddy rotates its logs itself, and has no signal for a program that would. */
static void put_log(struct caddy *c, const char *name, int size_mib)
{
	struct conf_writer *w = c->w;

	conf_open(w, "log");
	conf_open(w, "output file %s", caddy_path(c, LAYOUT_CADDY_LOGS, name));
	conf_line(w, "roll_size %dMiB", size_mib);
	conf_line(w, "roll_keep 5");
	conf_line(w, "roll_keep_for 336h");
	conf_close(w);
	conf_line(w, "format json");
	conf_close(w);
}

void caddy_access_log(struct caddy *c)
{
	put_log(c, "access.log", 100);
}

static void put_options(struct caddy *c)
{
	const struct ingress *ingress = &c->in->cluster->ingress;
	struct conf_writer *w = c->w;
	const char *socket = caddy_path(c, LAYOUT_CADDY_SOCKET, NULL);

	conf_open_bare(w);
	conf_line(w, "admin %s", conf_word(w, "unix/%s", socket));
	if (ingress->runtime != RUNTIME_SYSTEM)
		conf_line(w, "storage file_system %s", caddy_path(c, LAYOUT_CADDY_DATA, NULL));
	if (ingress->tls.mode == TLS_CADDY)
		caddy_public_options(c);
	else
		conf_line(w, "auto_https off");
	conf_line(w, "grace_period 10s");
	put_log(c, "caddy.log", 50);
	conf_close(w);
}

/*
 * First of the handlers, so that it answers whatever the Host. What came through HAProxy has
 * X-Forwarded-For and does not get here, however its path is spelt. The digest is of the whole text
 * with zeros in the digest's place.
 */
static void put_health(struct caddy *c)
{
	struct conf_writer *w = c->w;

	conf_open(w, "@health");
	conf_line(w, "path " HEALTH_PATH);
	conf_line(w, "not header X-Forwarded-For *");
	conf_close(w);
	conf_open(w, "handle @health");
	conf_line(w, "header * Cache-Control no-store");
	conf_line(w, "header * " CONFIG_HEADER " " ZEROS_64);
	c->digest_at = w->out.len - strlen(ZEROS_64 "\n");
	conf_comment(w, "draining: the other nodes' HAProxy stop sending");
	conf_open(w, "@draining file");
	conf_line(w, "root %s", caddy_path(c, LAYOUT_DRAIN, NULL));
	conf_line(w, "try_files /" DRAIN_FLAG);
	conf_close(w);
	conf_line(w, "respond @draining draining 503");
	conf_line(w, "respond * OK 200");
	conf_close(w);
}

/* Behind HAProxy: loopback for this node's, and the node's address for the other nodes'. With Caddy
 * in public, what the node asks itself. */
static void put_main_site(struct caddy *c)
{
	const struct render_input *in = c->in;
	const struct ingress *ingress = &in->cluster->ingress;
	struct conf_writer *w = c->w;
	const char *loopback = facts_loopback(in->facts, in->node);
	const char *address = facts_address(in->facts, in->node);

	conf_blank(w);
	conf_open(w, "%s", conf_word(w, "http://:%lld", (long long)ingress->caddy_port));
	if (address && strcmp(address, loopback) != 0 && ingress->tls.mode != TLS_CADDY)
		conf_line(w, "bind %s %s", loopback, address);
	else
		conf_line(w, "bind %s", loopback);
	caddy_access_log(c);
	if (ingress->compression)
		conf_line(w, "encode zstd gzip");
	put_health(c);
	caddy_services(c);
	conf_close(w);
}

static int put_caddyfile(struct caddy *c, struct err *err)
{
	conf_comment(c->w, "Written by dynia; changes are overwritten.");
	put_options(c);
	caddy_snippets(c);
	put_main_site(c);
	if (c->in->cluster->ingress.tls.mode == TLS_CADDY)
		return caddy_public_sites(c, err);
	return 0;
}

int render_caddy(const struct render_input *in, struct fileset *set, struct err *err)
{
	CLEANUP(conf_release) struct conf_writer w;
	struct caddy c = {.in = in, .w = &w};
	const char *data;
	size_t len;

	conf_init(&w, &dialect_caddyfile, in->pool);
	if (put_caddyfile(&c, err) < 0)
		return -1;
	sha256_hex(w.out.buf, w.out.len, set->caddy_config);
	memcpy(w.out.buf + c.digest_at, set->caddy_config, strlen(ZEROS_64));
	if (conf_finish(&w, &data, &len, err) < 0)
		return -1;
	fileset_add(set, &(struct out_file) {
				 .path = layout_file(in->pool, "", LAYOUT_CADDY,
						     in->cluster->ingress.runtime, "Caddyfile"),
				 .data = data,
				 .len = len,
				 .mode = 0644,
				 .program = PROGRAM_CADDY,
			 });
	return 0;
}
