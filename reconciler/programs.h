/*
 * What all ways to run HAProxy, Caddy and keepalived share: who it is, which configuration it has
 * loaded, and loading another one so that a failure is noticed. How it is started, and how it is told
 * to reload, is the runtime's (reconciler/runtime.h).
 *
 * HAProxy and Caddy name the digest of their configuration when they are asked (render/layout.h).
 * keepalived has no socket: its VRRP process carries the mark in its name (`vrrp_process_name`).
 */
#ifndef RECONCILER_PROGRAMS_H
#define RECONCILER_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/strbuf.h"
#include "reconciler/runtime.h"

#define READY_TIMEOUT_MS 15000
#define READY_POLL_MS 20

/* "haproxy": its process, its unit, its container. */
const char *program_command(enum program program);
/* The process that listens on its control socket (which a worker inherits from the master, so it is
 * the master), 0 where none does or it has another name. A program without a socket: 0. */
pid_t program_listener(const struct runtime_context *rt, enum program program);
/* Is its control socket there? Without it, it could not be reloaded. */
bool program_has_socket(const struct runtime_context *rt, enum program program);
/* The digest that the program of this pid has loaded. ERR_NETWORK where it does not answer. */
int program_loaded(const struct runtime_context *rt, enum program program, pid_t pid,
		   char ret_digest[SHA256_HEX_SIZE], struct err *err);
/* Fills `answers` and `config` of a program that runs. */
void program_ask(const struct runtime_context *rt, enum program program,
		 struct program_state *state);

/* How the runtime tells the program to load what is on disk; Caddy is told through its socket. */
typedef int program_signal(const struct runtime_context *rt, enum program program, pid_t pid,
			   struct err *err);
/* kill(2): what the program takes as "reload". */
program_signal program_signal_reload;
/* Tells it, and waits until it runs this configuration. ERR_APPLY where it does not: the old one
 * serves on. */
int program_reload(const struct runtime_context *rt, enum program program, pid_t pid,
		   program_signal *tell, const char *config, struct err *err);
/* The error of one that was to be reloaded and does not run any more, which is no fault of what it was to load. Always
 * returns -1. */
int program_gone(enum program program, struct err *err);
/* Does its log, and not its answer, say why it did not load its configuration? */
bool program_fails_in_log(enum program program);
/* Of what it wrote to its log: HAProxy's first alert, which tells most, or the last error. `log` is
 * cut up. */
void program_last_words(char *log, struct strbuf *ret);

#endif
