/* systemd's units, through systemctl(1): what runtime `system` and keepalived are run by. */
#ifndef RECONCILER_SYSTEMCTL_H
#define RECONCILER_SYSTEMCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/pool.h"
#include "base/strbuf.h"

struct unit_state {
	bool loaded; /* there is such a unit */
	bool active; /* it runs, or is about to */
	bool boots;  /* it is started at boot */
	pid_t pid;   /* of its main process, 0 where there is none */
};

/* Was this machine booted with systemd? */
bool systemd_runs(void);
/* One systemctl command on a unit ("restart", "haproxy.service"); unit NULL: `daemon-reload`.
 * ERR_APPLY with what systemctl said. */
int systemctl(const char *verb, const char *unit, struct err *err);
int systemctl_look(const char *unit, struct unit_state *ret, struct err *err);
/* Is it started at boot? Looks at the links only, and starts no program. */
bool unit_boots(const char *unit, struct pool *pool);
/* Does the process belong to the unit? */
bool unit_has(const char *unit, pid_t pid);
/* What the unit wrote to the journal since then (a wall clock), its newest lines last; "" where there
 * is no journal. */
void unit_journal(const char *unit, int64_t since_s, struct strbuf *ret);

#endif
