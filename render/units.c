/* Runtime system: what the distribution's units need beside their own files. */
#include "base/cleanup.h"
#include "render/layout.h"
#include "render/target.h"
#include "render/writer.h"

static void put_resources(struct conf_writer *w, const struct resources *resources)
{
	if (resources->limits.memory_bytes)
		conf_line(w, "MemoryMax=%lld", (long long)resources->limits.memory_bytes);
	if (resources->reservations.memory_bytes)
		conf_line(w, "MemoryLow=%lld", (long long)resources->reservations.memory_bytes);
	if (resources->limits.cpus_milli)
		conf_line(w, "CPUQuota=%lld%%", (long long)(resources->limits.cpus_milli + 9) / 10);
	if (resources->limits.pids)
		conf_line(w, "TasksMax=%lld", (long long)resources->limits.pids);
}

static void put_haproxy(const struct render_input *in, struct conf_writer *w)
{
	conf_open(w, "[Service]");
	conf_line(w, "RuntimeDirectory=haproxy");
	conf_line(w, "RuntimeDirectoryMode=0755");
	conf_line(w, "TimeoutStopSec=70s");
	put_resources(w, &in->cluster->ingress.resources.haproxy);
	conf_close(w);
}

static void put_caddy(const struct render_input *in, struct conf_writer *w)
{
	const char *root = in->facts->root;

	conf_open(w, "[Service]");
	conf_line(w, "RuntimeDirectory=caddy");
	conf_line(w, "RuntimeDirectoryMode=0750");
	conf_line(w, "LogsDirectory=caddy");
	conf_line(w, "StateDirectory=caddy");
	conf_comment(w, "no --force: an unchanged configuration must not restart the listeners");
	conf_line(w, "ExecReload=");
	conf_line(w, "ExecReload=/usr/bin/caddy reload --config %s --address %s",
		  layout_file(in->pool, root, LAYOUT_CADDY, RUNTIME_SYSTEM, "Caddyfile"),
		  conf_word(w, "unix/%s",
			    layout_file(in->pool, root, LAYOUT_CADDY_SOCKET, RUNTIME_SYSTEM,
					NULL)));
	conf_line(w, "TimeoutStopSec=20s");
	conf_line(w, "Restart=on-failure");
	conf_line(w, "RestartSec=1s");
	put_resources(w, &in->cluster->ingress.resources.caddy);
	conf_close(w);
}

static void put_keepalived(const struct render_input *in, struct conf_writer *w)
{
	(void)in;
	conf_open(w, "[Unit]");
	conf_comment(w,
		     "after, but not bound to it: keepalived outlives HAProxy to tell of its end");
	conf_line(w, "After=haproxy.service");
	conf_close(w);
	conf_blank(w);
	conf_open(w, "[Service]");
	conf_line(w, "Restart=on-failure");
	conf_line(w, "RestartSec=2s");
	conf_close(w);
}

static int add_unit(const struct render_input *in, struct fileset *set, const char *unit,
		    void (*put)(const struct render_input *in, struct conf_writer *w),
		    struct err *err)
{
	CLEANUP(conf_release) struct conf_writer w;
	const char *data;
	size_t len;

	conf_init(&w, &dialect_systemd, in->pool);
	conf_comment(&w, "Written by dynia; changes are overwritten.");
	put(in, &w);
	if (conf_finish(&w, &data, &len, err) < 0)
		return -1;
	fileset_add(set,
		    &(struct out_file) {
			    .path = pool_printf(in->pool, "%s/%s.service.d/dynia.conf",
						layout_path(LAYOUT_UNITS, RUNTIME_SYSTEM), unit),
			    .data = data,
			    .len = len,
			    .mode = 0644,
			    .program = PROGRAM_SYSTEMD,
		    });
	return 0;
}

int render_units(const struct render_input *in, struct fileset *set, struct err *err)
{
	if (in->cluster->ingress.tls.mode != TLS_CADDY &&
	    add_unit(in, set, "haproxy", put_haproxy, err) < 0)
		return -1;
	if (add_unit(in, set, "caddy", put_caddy, err) < 0)
		return -1;
	if (in->cluster->vip && add_unit(in, set, "keepalived", put_keepalived, err) < 0)
		return -1;
	return 0;
}
