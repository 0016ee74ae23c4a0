/*
 * Only what nothing else rotates: /var/log/haproxy.log is the package's, Caddy rotates its own,
 * keepalived has the journal. The writers append, so the file is copied and cut: nobody has to be
 * told.
 */
#include "base/cleanup.h"
#include "render/layout.h"
#include "render/target.h"
#include "render/writer.h"

int render_logrotate(const struct render_input *in, struct fileset *set, struct err *err)
{
	CLEANUP(conf_release) struct conf_writer w;
	int runtime = in->cluster->ingress.runtime;
	const char *data;
	size_t len;

	conf_init(&w, &dialect_logrotate, in->pool);
	conf_comment(&w, "Written by dynia; changes are overwritten.");
	conf_open(&w, "%s", layout_file(in->pool, in->facts->root, LAYOUT_LOGS, runtime, "*.log"));
	if (!*in->facts->root && runtime != RUNTIME_PROCESS)
		conf_line(&w, "su root adm");
	conf_line(&w, "daily");
	conf_line(&w, "maxsize 50M");
	conf_line(&w, "rotate 14");
	conf_line(&w, "compress");
	conf_line(&w, "delaycompress");
	conf_line(&w, "missingok");
	conf_line(&w, "notifempty");
	conf_line(&w, "copytruncate");
	conf_close(&w);
	if (conf_finish(&w, &data, &len, err) < 0)
		return -1;
	fileset_add(set, &(struct out_file) {
				 .path = layout_path(LAYOUT_LOGROTATE, runtime),
				 .data = data,
				 .len = len,
				 .mode = 0644,
				 .program = PROGRAM_LOGROTATE,
			 });
	return 0;
}
