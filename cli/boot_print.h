/* Shows a bootstrap's steps: as a plan, as they go, and as JSON. */
#ifndef CLI_BOOT_PRINT_H
#define CLI_BOOT_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "bootstrap/bootstrap.h"

void boot_print_plan(const struct boot *boot, FILE *to, bool colour);
/* The steps with their states, the notes, the nodes' addresses, the price, and names for that many more
 * nodes: one document. */
void boot_print_json(const struct boot *boot, unsigned add, FILE *to);
/* After an apply: the nodes and their addresses, and the notes. */
void boot_print_result(const struct boot *boot, FILE *to);

/* On a terminal: a line a step, each with what it does and how long; elsewhere a line for each
 * change. To standard error. */
struct boot_progress {
	bool is_live;
	bool began;
	size_t lines;     /* on the screen */
	unsigned columns; /* of it, when they were drawn */
	int64_t drawn_ms;
	const struct boot *boot;
	char waits[200]; /* for whom, and until when; "": for nobody */
};

#define BOOT_PROGRESS_INIT                                                                         \
	{                                                                                          \
		.is_live = false                                                                   \
	}

/* From here on waits for an API are told, after boot_progress_begin() the steps, too. */
void boot_progress_watch(struct boot_progress *progress, struct boot *boot);
void boot_progress_begin(struct boot_progress *progress);
/* For struct boot_options: arg is a struct boot_progress. */
void boot_progress_step(void *arg, const struct boot *boot, const struct boot_step *step);
void boot_progress_end(struct boot_progress *progress);

#endif
