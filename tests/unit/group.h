/* A process group that a test has ended. */
#ifndef TESTS_UNIT_GROUP_H
#define TESTS_UNIT_GROUP_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"

/* True once nothing of the group is left: what has ended is there until its new parent, process 1, finds the time for it. */
static inline bool group_is_gone(pid_t group)
{
	for (int i = 0; i < 500; i++) {
		if (kill(-group, 0) < 0 && errno == ESRCH)
			return true;
		clock_sleep_ms(20);
	}
	return false;
}

#endif
