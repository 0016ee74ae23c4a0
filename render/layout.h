/* Where things are on a node, by the cluster's runtime. One table; paths are absolute and without
 * --root's folder. */
#ifndef RENDER_LAYOUT_H
#define RENDER_LAYOUT_H

#include "base/pool.h"
#include "spec/model.h"

enum layout {
	LAYOUT_HAPROXY,      /* folder: haproxy.cfg, pages/, lists */
	LAYOUT_CERTIFICATES, /* folder: *.pem that HAProxy serves; others may put files there, Dynia
				owns the placeholder */
	LAYOUT_CADDY,        /* folder: Caddyfile */
	LAYOUT_SITES,        /* folder: SERVICE/... of static services */
	LAYOUT_COMPOSE,      /* folder: SERVICE/... */
	LAYOUT_INGRESS,      /* folder: compose file of HAProxy and Caddy, runtime container */
	LAYOUT_FIREWALL,     /* folder: rules */
	LAYOUT_KEEPALIVED,   /* file */
	LAYOUT_LOGROTATE,    /* file */
	LAYOUT_UNITS,        /* folder: systemd drop-ins */
	LAYOUT_LOGS,         /* folder: HAProxy's where it has no syslog, the agent's */
	LAYOUT_CADDY_LOGS,   /* folder */
	LAYOUT_CADDY_DATA,   /* folder: Caddy's own storage */
	LAYOUT_DRAIN, /* folder that Caddy looks in: DRAIN_FLAG in it makes the health path answer
			 503 */
	LAYOUT_HAPROXY_RUN,    /* folder of HAProxy's sockets */
	LAYOUT_CADDY_RUN,      /* folder of Caddy's socket */
	LAYOUT_HAPROXY_SOCKET, /* runtime API, one worker */
	LAYOUT_HAPROXY_MASTER, /* master's: `show proc` tells of a failed reload */
	LAYOUT_CADDY_SOCKET,   /* admin API */
	LAYOUT_COUNT,
};

const char *layout_path(enum layout what, int runtime);
/* The same with the root before it and, where name is not NULL, "/name" behind it. */
const char *layout_file(struct pool *pool, const char *root, enum layout what, int runtime,
			const char *name);

/* Behind Caddy's health path: the header that names the configuration that is loaded. */
#define HEALTH_PATH "/dynia-health"
#define CONFIG_HEADER "X-Dynia-Config"
#define DRAIN_FLAG "drain"
/* HAProxy: `show env` of this variable on the runtime socket names it. */
#define CONFIG_VARIABLE "DYNIA_CONFIG"
/* keepalived: the name of its VRRP process is this and the digest's first KEEPALIVED_DIGEST_LEN
 * digits. */
#define KEEPALIVED_MARK "vrrp-"
#define KEEPALIVED_DIGEST_LEN 10
/* Where an ACME client answers challenges (lego --http.port). */
#define ACME_PORT 8402
#define PLACEHOLDER_PEM "zz-dynia-placeholder.pem"
/* Beside haproxy.cfg: which files of the certificate folder HAProxy loads. */
#define CERTIFICATE_LIST "certs.list"

#endif
