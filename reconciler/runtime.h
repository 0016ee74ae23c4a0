/*
 * How programs are run: one row of a table for each `ingress.runtime`. A row starts, reloads, stops
 * and looks at a program; what is wanted, and why, is the plan's business (plan_programs.h).
 *
 *	const struct runtime_ops *ops = runtime_ops_of(root, at.runtime, PROGRAM_CADDY);
 *	ops->observe(&rt, PROGRAM_CADDY, &state, err);
 */
#ifndef RECONCILER_RUNTIME_H
#define RECONCILER_RUNTIME_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/pool.h"
#include "reconciler/root.h"
#include "render/fileset.h"

/* Where the programs are met; all strings are as other programs see them, with the root. */
struct endpoints {
	int runtime;              /* enum runtime */
	const char *haproxy_file; /* haproxy.cfg */
	const char *haproxy_socket;
	const char *haproxy_master;
	const char *caddy_file;
	const char *caddy_socket;
	const char *caddy_data;
	const char *caddy_health; /* URL */
	const char *keepalived_file;
	const char *ingress_host; /* the address that the public side is met at on this node */
	const char *probe_from;   /* the address that probes come from: this node's own programs' */
	int64_t ingress_port;
	bool ingress_tls;
};

struct runtime_context {
	const struct root *root;
	struct pool *pool;
	const struct endpoints *at;
};

struct program_state {
	bool running;
	bool answers; /* on its socket */
	bool boots;   /* it is there after the machine was booted, with or without the agent */
	pid_t pid;
	char config[SHA256_HEX_SIZE]; /* the digest of the configuration that it has loaded, ""
					 where it names none */
	const char *amiss; /* something else that a reload mends, in words; NULL: nothing */
};

struct runtime_ops {
	const char *name;
	/* All that it finds was started by dynia. Where not (a unit may be its user's own), what has
	 * no configuration of dynia's and was not applied before is left alone. */
	bool owns_all;
	/* A file of this program's is one that only a new start brings into effect; PROGRAM_NONE: no
	 * file is. */
	enum program restart_for;
	/* Never fails for what the program does: that is what the state says. */
	int (*observe)(const struct runtime_context *rt, enum program program,
		       struct program_state *ret, struct err *err);
	/* Ends what still runs of it, starts it, and waits until it answers with this
	 * configuration. */
	int (*start)(const struct runtime_context *rt, enum program program, const char *config,
		     struct err *err);
	/* Loads the files that are on disk without losing a request, and waits for it: a failed
	 * reload is noticed. */
	int (*reload)(const struct runtime_context *rt, enum program program, const char *config,
		      struct err *err);
	/* NULL: it never is. */
	int (*stop)(const struct runtime_context *rt, enum program program, struct err *err);
};

/* Can this node run it? ERR_CONFIG where not: `system` is the machine's, and not of a folder. */
int runtime_check(const struct root *root, int runtime, struct err *err);
/* Who runs the program where `ingress.runtime` is this. NULL: nobody does here, as with a runtime that
 * this node cannot run. */
const struct runtime_ops *runtime_ops_of(const struct root *root, int runtime,
					 enum program program);
/* The same endpoints as they are under another runtime, in the pool. */
struct endpoints endpoints_under(const struct endpoints *at, const struct root *root, int runtime,
				 struct pool *pool);

extern const struct runtime_ops runtime_process;
extern const struct runtime_ops runtime_container;
extern const struct runtime_ops runtime_system;
extern const struct runtime_ops runtime_units;
extern const struct runtime_ops runtime_firewall;

#endif
