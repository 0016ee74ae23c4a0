/* Time: monotonic for waiting, wall clock for showing. Only reconciler/, bootstrap/ and cli/ look at either. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds. */
int64_t clock_ms(void);
/* Seconds since 1970 UTC. */
int64_t clock_wall_s(void);
int64_t clock_wall_ms(void);
/* "2026-11-23T09:00:00Z" and a NUL. */
#define CLOCK_TEXT_SIZE 21
void clock_format(int64_t wall_s, char out[CLOCK_TEXT_SIZE]);
/* The reverse; -1 where it is no such text. */
int64_t clock_parse(const char *text);
/* Sleeps, through signals, until ms have passed. */
void clock_sleep_ms(int64_t ms);

#endif
