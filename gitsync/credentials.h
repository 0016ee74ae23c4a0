/*
 * What a node proves itself with to a remote, and what it believes the remote by: read by the
 * agent, which alone may, and handed to the worker.
 */
#ifndef GITSYNC_CREDENTIALS_H
#define GITSYNC_CREDENTIALS_H

#include <jansson.h>

#include "base/err.h"
#include "gitsync/mirror.h"
#include "gitsync/url.h"
#include "gitsync/worker.h"

/* Adds what the scheme needs to the request and, for ssh, to the worker's folder. A secret's file
 * that others may read is refused. */
int credentials_add(const struct remote *remote, enum url_scheme scheme, json_t *request,
		    struct worker_folder *folder, struct err *err);

#endif
