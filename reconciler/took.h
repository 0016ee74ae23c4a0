/*
 * How long this node took to take a commit, part by part, from the beginning of the pass that found it until it had shown
 * that it works. Passes that follow one another while the commit is on trial, or while new containers start, count on.
 *
 *	took_begin_pass(&timer);
 *	…                    ask the repository, fetch, verify
 *	took_found(&timer, tip);
 *	…                    took_end_part(&timer, TOOK_RENDER), and so on
 *	if (took_end(&timer, revision)) … timer.took
 *	took_end_pass(&timer, on_trial);
 */
#ifndef RECONCILER_TOOK_H
#define RECONCILER_TOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "gitsync/mirror.h"

enum took_part {
	TOOK_FETCH,    /* ask the repository, fetch, verify */
	TOOK_RENDER,   /* look at the disk, load, check, render, compare */
	TOOK_VALIDATE, /* the programs' own checkers */
	TOOK_APPLY,    /* containers, files, reloads */
	TOOK_HEALTHY,  /* until all that was looked at works */
	TOOK_PARTS,
};

struct took {
	char revision[GIT_OID_HEX]; /* "": none */
	int64_t ms[TOOK_PARTS];
};

struct took_timer {
	struct took took;
	int64_t began_wall_ms; /* the pass that found the commit */
	int64_t pass_wall_ms;  /* this pass; the same */
	int64_t pass_ms;       /* monotonic */
	int64_t last_ms;       /* monotonic; the time since then belongs to the part under way */
	enum took_part part;   /* the furthest that is under way */
	bool goes_on;          /* the last pass did not come to its end with the commit */
};

/* "fetch", … */
const char *took_part_name(enum took_part part);
int64_t took_total_ms(const struct took *took);
/* "1a2b3c4 in 640 ms: fetch 80, render 12, …" */
void took_text(const struct took *took, struct strbuf *out);

void took_begin_pass(struct took_timer *timer);
/* The branch's tip is known: time for it goes on, or begins with this pass where it is another one. Ends TOOK_FETCH. */
void took_found(struct took_timer *timer, const char *tip);
/* What went by since the last call was this part's; or a later one's, where an earlier pass has come further. */
void took_end_part(struct took_timer *timer, enum took_part part);
/* The revision works. False where it is not the one that time was taken for. */
bool took_end(struct took_timer *timer, const char *revision);
void took_end_pass(struct took_timer *timer, bool goes_on);

#endif
