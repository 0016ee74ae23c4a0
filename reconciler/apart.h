/*
 * A job that goes on beside the loop, in a child of its own: what talks to a server that may be slow or away holds up no pass.
 * The child is a copy of the agent, and says one word at its end; it is killed where that does not come in time, and where the
 * agent ends.
 *
 *	struct apart job = APART_INIT;
 *	apart_start(agent, &job, deadline_ms, work, arg, err);
 *	poll(… {.fd = job.fd, .events = POLLIN} …);     -1 is passed over by poll(2)
 *	if (apart_take(&job, &word)) …
 */
#ifndef RECONCILER_APART_H
#define RECONCILER_APART_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "gitsync/mirror.h"

struct agent;

struct apart {
	int fd; /* of the child's word, -1: nothing is under way */
	pid_t pid;
	int64_t until_ms; /* a child that has not said anything by then is killed */
};

#define APART_INIT                                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

struct apart_word {
	struct err err; /* code ERR_NONE: it succeeded */
	struct status_found found;
	char packed[GIT_OID_HEX];
};

/* `work` runs in the child, and fills the word, which is zero before. */
int apart_start(struct agent *agent, struct apart *job, int64_t deadline_ms,
		void (*work)(struct agent *agent, const void *arg, struct apart_word *word),
		const void *arg, struct err *err);
bool apart_is_under_way(const struct apart *job);
/* True where it has ended, and its word. */
bool apart_take(struct apart *job, struct apart_word *ret);
/* Waits for the end, at most so long; true and the word where it came. */
bool apart_wait(struct apart *job, int64_t wait_ms, struct apart_word *ret);
/* Waits a little, and breaks it off. */
void apart_end(struct apart *job);

/* How long to wait after so many failures in a row: an interval, doubled with each, up to 32; and less by up to a half, so
 * that nodes that failed together do not come back together. */
int64_t apart_back_off_ms(int64_t interval_ms, unsigned failures);

#endif
