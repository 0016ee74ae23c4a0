/*
 * Running compose: `docker compose` where it is there, else docker-compose (1.29). It is told where
 * Docker is and what the project is called; nothing of this process's environment but PATH and HOME
 * reaches it.
 */
#ifndef RECONCILER_COMPOSE_RUN_H
#define RECONCILER_COMPOSE_RUN_H

#include <stdbool.h>

#include "base/err.h"

struct compose {
	const char *socket; /* Docker's */
	bool plugin;        /* `docker compose` */
	const char *project;
	const char *folder; /* of the files, as other programs see it */
	const char *file;   /* the user's own in it; NULL: compose.yaml is all there is */
};

/* Is the plugin there? */
bool compose_has_plugin(const char *socket);
/* Would compose take these files? ERR_CHECK with its words. */
int compose_config(const struct compose *compose, struct err *err);
/* Makes of the project what the files say, and waits until its containers were started. ERR_APPLY. */
int compose_up(const struct compose *compose, struct err *err);

/* Makes the container of one of its services anew, and leaves the others as they are. ERR_APPLY. */
int compose_recreate(const struct compose *compose, const char *service, struct err *err);

#endif
