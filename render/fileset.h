/*
 * The files of one node, as rendering makes them: absolute paths without the root, content, mode,
 * and whom a change concerns. Kept sorted by path; a path twice is an error.
 */
#ifndef RENDER_FILESET_H
#define RENDER_FILESET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/pool.h"

/* Who reads a file: what is checked before and told after it changes. */
enum program {
	PROGRAM_NONE,
	PROGRAM_HAPROXY,
	PROGRAM_CADDY,
	PROGRAM_SITE, /* served by Caddy as it is: no reload */
	PROGRAM_KEEPALIVED,
	PROGRAM_COMPOSE, /* of the service named in the file */
	PROGRAM_INGRESS, /* compose file of HAProxy and Caddy */
	PROGRAM_SYSTEMD,
	PROGRAM_FIREWALL,
	PROGRAM_LOGROTATE,
	PROGRAM_COUNT,
};

struct out_file {
	const char *path;
	const char *data;
	size_t len;
	mode_t mode;
	enum program program;
	const char *service; /* or NULL */
	bool secret;         /* holds a secret's value: mode 0600, never shown */
	bool certificate; /* data is the common name of a self-signed certificate to be made once,
			     if none is there */
};

/* One container that the node shall run: a service of a compose file. */
struct out_part {
	const char *name;
	const char *image;
	char spec[65]; /* digest of all that it is made from; the container carries it as a label */
	bool once;     /* that it has ended well is no fault */
};

/* What runs under compose: one project a service. */
struct out_service {
	const char *name;
	const char *project;
	const char *surge_project; /* of the new container that shows that it works beside the old
				      one; NULL: it is replaced in its place */
	const char *folder;        /* of its files, without the root */
	const char *compose;       /* the user's own file in it; NULL: ours is all there is */
	struct out_part *parts;
	size_t n_parts;
};

struct fileset {
	struct pool *pool;
	struct out_file *v;
	size_t n;
	size_t alloc;
	struct out_service *services; /* sorted by name, in the pool */
	size_t n_services;
	char haproxy_config[65]; /* digest that HAProxy and Caddy name when asked what they run */
	char caddy_config[65];
	char keepalived_config
		[65];             /* its first digits, which keepalived's process has for a name */
	char firewall_config[65]; /* "": the cluster has no firewall */
};

void fileset_init(struct fileset *set, struct pool *pool);
void fileset_release(struct fileset *set);
/* Strings and data are borrowed. */
void fileset_add(struct fileset *set, const struct out_file *file);
/* Sorts, and finds a path that stands twice (ERR_CONFIG). */
int fileset_finish(struct fileset *set, struct err *err);
const struct out_file *fileset_find(const struct fileset *set, const char *path);
/* "haproxy", "caddy", "site", … */
const char *program_name(enum program program);

#endif
