/*
 * What the service manager wants to hear, as in sd_notify(3), and without its library: one datagram
 * with NAME=VALUE lines to the socket that NOTIFY_SOCKET names. Where nobody listens, all of this
 * does nothing.
 *
 *	if (notify_setup(err) < 0) …                 once, from main()'s side
 *	notify_ready(err);                           Type=notify: from here on it counts as started
 *	n = poll(fds, 1, notify_wait_ms(left_ms));   a wait: never longer than the watchdog is patient
 *	notify_alive();                              a step of long work
 *
 * The watchdog (WatchdogSec=) is told "alive" by every wait of the agent: its loop, a program that
 * runs, a transfer, a pause. Each of those has a deadline of its own, so a pass that takes minutes
 * because much is to be done is alive, and one that hangs where nothing has a deadline is not.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdint.h>

#include "base/err.h"

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment. */
int notify_setup(struct err *err);
/* Says nothing from now on. A forked child says nothing anyway. */
void notify_release(void);
int notify_ready(struct err *err);
/* One line about what it does, for `systemctl status`. */
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void notify_stopping(void);
/* Cheap: says it only where it is time to say it again. */
void notify_alive(void);
/* Says that it is alive, and gives back the wait (-1: for ever), shortened to when that has to be
 * said again. */
int notify_wait_ms(int64_t wait_ms);

#endif
