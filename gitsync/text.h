/* Text from a commit, which may be a stranger's, made fit for a terminal, a log line or JSON. */
#ifndef GITSYNC_TEXT_H
#define GITSYNC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"

/* The first line of text, in the pool: at most max bytes, cut between characters. What is no UTF-8,
 * controls, and characters that turn the direction of writing become '?'. */
char *text_line(struct pool *pool, const char *text, size_t max);
/* The same for all of the text: a line feed becomes '?', too. */
char *text_clean(struct pool *pool, const char *text, size_t max);
/* Is there an ASCII control character in it? */
bool text_has_control(const char *text);

#endif
