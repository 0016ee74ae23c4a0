#include "render/layout.h"

static const char *const paths[LAYOUT_COUNT][RUNTIME_PROCESS + 1] = {
	[LAYOUT_HAPROXY] = {"/etc/haproxy", "/opt/dynia/haproxy", "/opt/dynia/haproxy"},
	[LAYOUT_CERTIFICATES] = {"/etc/haproxy/certs", "/opt/dynia/haproxy/certs",
				 "/opt/dynia/haproxy/certs"},
	[LAYOUT_CADDY] = {"/etc/caddy", "/opt/dynia/caddy", "/opt/dynia/caddy"},
	[LAYOUT_SITES] = {"/opt/dynia/sites", "/opt/dynia/sites", "/opt/dynia/sites"},
	[LAYOUT_COMPOSE] = {"/opt/dynia/compose", "/opt/dynia/compose", "/opt/dynia/compose"},
	[LAYOUT_INGRESS] = {"/opt/dynia/ingress", "/opt/dynia/ingress", "/opt/dynia/ingress"},
	[LAYOUT_FIREWALL] = {"/opt/dynia/firewall", "/opt/dynia/firewall", "/opt/dynia/firewall"},
	[LAYOUT_KEEPALIVED] = {"/etc/keepalived/keepalived.conf", "/etc/keepalived/keepalived.conf",
			       "/etc/keepalived/keepalived.conf"},
	[LAYOUT_LOGROTATE] = {"/etc/logrotate.d/dynia", "/etc/logrotate.d/dynia",
			      "/etc/logrotate.d/dynia"},
	[LAYOUT_UNITS] = {"/etc/systemd/system", "/etc/systemd/system", "/etc/systemd/system"},
	[LAYOUT_LOGS] = {"/var/log/dynia", "/var/log/dynia", "/var/log/dynia"},
	[LAYOUT_CADDY_LOGS] = {"/var/log/caddy", "/var/log/caddy", "/var/log/caddy"},
	[LAYOUT_CADDY_DATA] = {"/var/lib/caddy", "/var/lib/dynia/caddy", "/var/lib/dynia/caddy"},
	[LAYOUT_DRAIN] = {"/run/dynia/ingress", "/run/dynia/ingress", "/run/dynia/ingress"},
	[LAYOUT_HAPROXY_RUN] = {"/run/haproxy", "/run/dynia/haproxy", "/run/dynia"},
	[LAYOUT_CADDY_RUN] = {"/run/caddy", "/run/dynia/caddy", "/run/dynia"},
	[LAYOUT_HAPROXY_SOCKET] = {"/run/haproxy/admin.sock", "/run/dynia/haproxy/admin.sock",
				   "/run/dynia/haproxy.sock"},
	[LAYOUT_HAPROXY_MASTER] = {"/run/haproxy-master.sock", "/run/dynia/haproxy/master.sock",
				   "/run/dynia/haproxy-master.sock"},
	[LAYOUT_CADDY_SOCKET] = {"/run/caddy/admin.sock", "/run/dynia/caddy/admin.sock",
				 "/run/dynia/caddy.sock"},
};

const char *layout_path(enum layout what, int runtime)
{
	return paths[what][runtime];
}

const char *layout_file(struct pool *pool, const char *root, enum layout what, int runtime,
			const char *name)
{
	return pool_printf(pool, "%s%s%s%s", root, layout_path(what, runtime), name ? "/" : "",
			   name ? name : "");
}
