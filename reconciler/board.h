/*
 * What the agent shows to its listener: one piece of shared memory that the agent alone writes, and that outlives a
 * listener that is started anew. A reader never waits for the writer, nor the writer for a reader: a text that is being
 * replaced is read again.
 */
#ifndef RECONCILER_BOARD_H
#define RECONCILER_BOARD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Enough for the metrics of several thousand services. */
#define BOARD_TEXT_MAX (1 << 20)

enum board_text {
	BOARD_HEALTH,  /* one line; it begins with "healthy" where all is well */
	BOARD_METRICS, /* Prometheus' text format */
	BOARD_PEERS,   /* an address a line: the cluster's other nodes */
	BOARD_TEXTS,
};

struct board;

struct board *board_make(struct err *err);
void board_free(struct board *board);
/* What is longer than BOARD_TEXT_MAX is cut at a line's end. */
void board_write(struct board *board, enum board_text which, const char *text, size_t len);
/* False where the writer was at it all the time. */
bool board_read(const struct board *board, enum board_text which, struct strbuf *ret);

#endif
