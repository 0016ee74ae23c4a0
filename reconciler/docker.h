/*
 * The Docker Engine API (of Docker 20.10 and later) on its unix socket: what Dynia asks
 * and has done there. Who sits behind the socket is not believed: answers are limited in size and
 * number, strings are cut and cleaned, and what has another type than it should counts as absent.
 *
 * A daemon that takes a request and does not answer would make each pass long. After such a
 * timeout it is left alone for a while that grows, and every call fails at once with the error of
 * the one that hung.
 *
 *	docker_init(&docker, "/var/run/docker.sock");
 *	docker_list(&docker, root, pool, &list, err);      one call, whatever the number
 */
#ifndef RECONCILER_DOCKER_H
#define RECONCILER_DOCKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"

struct docker {
	const char *socket;
	int64_t quiet_until_ms; /* monotonic; before that it is not asked */
	unsigned timeouts;      /* in a row */
	struct err why;
};

struct container {
	const char *id;
	const char *name;
	const char *image;    /* as it was asked for */
	const char *image_id; /* "sha256:..." */
	const char *project;  /* labels; "" where it has none */
	const char *service;
	const char *part;
	const char *spec;
	bool surge;
	const char *state; /* "running", "exited", "restarting", "paused", "created", "dead", … */
	const char *health; /* "healthy", "unhealthy", "starting", "" without a check */
	int64_t exit_code;  /* of its last end, where it does not run */
	int64_t up_s_max;   /* it has been running for at most so long; INT64_MAX: not known */
	int64_t port;       /* on the node's side of the first port that is published, 0: none */
	int64_t restarts;   /* by Docker itself; -1: not asked */
};

struct container_list {
	struct container *v; /* sorted by service, part, name */
	size_t n;
};

void docker_init(struct docker *docker, const char *socket);
/* The containers of this root ("" is "/"), running or not, in the pool. ERR_DOCKER. */
int docker_list(struct docker *docker, const char *root, struct pool *pool,
		struct container_list *ret, struct err *err);
/* The containers of HAProxy ("haproxy") or Caddy, with runtime `container`. */
int docker_list_ingress(struct docker *docker, const char *root, const char *program,
			struct pool *pool, struct container_list *ret, struct err *err);
/* Fills in what the list does not say: restarts. A container that is gone: -1 restarts. */
int docker_inspect(struct docker *docker, struct container *container, struct err *err);
/* 1 and its id (in the pool), 0 where it is not here, -1. */
int docker_image(struct docker *docker, const char *image, struct pool *pool, const char **ret_id,
		 struct err *err);
/* username NULL: without login. ERR_IMAGE where the registry does not have it, or does not answer.
 */
int docker_pull(struct docker *docker, const char *image, const char *username,
		const char *password, struct err *err);
int docker_start(struct docker *docker, const struct container *container, struct err *err);
int docker_unpause(struct docker *docker, const struct container *container, struct err *err);
/* Stops it, with the time that it was given for that, and removes it with its nameless volumes. One
 * that is gone is no error. */
int docker_remove(struct docker *docker, const struct container *container, struct err *err);
/* What it said last, one line in the pool; "" where it said nothing. */
const char *docker_last_words(struct docker *docker, const struct container *container,
			      struct pool *pool);

/* Its last lines, in the pool. */
char *docker_log(struct docker *docker, const struct container *container, struct pool *pool);

/* The network of that name is there; it is made, with our labels, where it was not. One of ours
 * with another subnet is ERR_APPLY. */
int docker_network_ensure(struct docker *docker, const char *name, const char *subnet,
			  const char *root, struct err *err);
/* Networks, and with `volumes` named volumes, of a project whose containers are gone. */
int docker_project_remove(struct docker *docker, const char *project, bool volumes,
			  struct err *err);
/* Our network of that name; one that is in use, or is not ours, stays. */
int docker_network_remove(struct docker *docker, const char *name, const char *root,
			  struct err *err);

#endif
