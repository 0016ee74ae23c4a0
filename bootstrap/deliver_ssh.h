/*
 * One look at a machine that credentials go to: one ssh, which runs while others do. A machine that is not up yet is to be
 * looked at again, one that is not who it should be is not. For deliver_work.c.
 *
 * ssh is tied to this process: it gets TERM where this one ends before, however that is.
 */
#ifndef BOOTSTRAP_DELIVER_SSH_H
#define BOOTSTRAP_DELIVER_SSH_H

#include <stdint.h>

#include "base/process.h"
#include "bootstrap/bootstrap.h"

struct visit {
	struct process_job *ssh; /* NULL: none runs */
	int known_hosts_fd;      /* while it runs: it reads this one by our number */
	int64_t began_ms;        /* the one that runs, or the last */
	unsigned visits;         /* that have ended */
	int64_t due_ms;          /* clock_ms(): no other before this */
};

/* Begins it. -1: ssh cannot be run, or the folder does not hold any more what is to be sent. */
int visit_begin(struct boot *boot, struct boot_step *step, struct err *err);
/* Once the ssh has ended, or to end it: the step is done, has failed, or still runs and says what it waits for. -1: as failed. */
int visit_end(struct boot *boot, struct boot_step *step, struct err *err);
/* Kills it where it runs. */
void visit_stop(struct visit *visit);
/* Returns 0. */
int visit_failed(struct boot *boot, struct boot_step *step, const char *why);

#endif
