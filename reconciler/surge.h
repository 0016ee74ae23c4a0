/*
 * A new container that shows that it works beside the old one, in a compose project of its own.
 * While it proves itself, and while the one in its own place is made anew, nothing that serves is
 * touched.
 */
#ifndef RECONCILER_SURGE_H
#define RECONCILER_SURGE_H

#include "reconciler/services_apply.h"

/* Does this action replace a container that serves, of a service that can have a second one? */
bool surge_wanted(const struct service_work *w, const struct action *action);
/* 1: all of them have shown that they work; 0: not yet, and why (in the pool of the plan); -1: they
 * do not (ERR_HEALTH), and are gone. */
int surge_prove(const struct service_work *w, const char **ret_why, struct err *err);
/* Is there one that has proved what is wanted of the service? */
const struct container *surge_find(const struct service_work *w, const struct action *action,
				   struct err *err);
/* Sends Caddy to the new containers, and, with `back`, to the services' own places. */
int surge_route(const struct service_work *w, bool back, struct err *err);
/* Waits until what was made anew in its own place works. */
int surge_wait_in_place(const struct service_work *w, struct err *err);
/* Removes all of them. */
int surge_end(const struct service_work *w, struct err *err);
/* Does the service answer on its path at this port? True where it has no path. */
bool surge_answers(const struct service_work *w, const char *service, int64_t port,
		   struct err *err);

#endif
