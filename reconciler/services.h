/*
 * Services in containers: what of them is wanted, what runs, what has to be done about the
 * difference, and how well they are.
 *
 * A record is what was made of a service: which container of which image each of its parts got. It
 * is kept in the state, so that a pass with nothing to do compares one list of Docker's with it.
 * What Docker says is asked for once a pass (services_look()), and once more after a change.
 */
#ifndef RECONCILER_SERVICES_H
#define RECONCILER_SERVICES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/hash.h"
#include "reconciler/docker.h"
#include "reconciler/plan.h"
#include "reconciler/reasons.h"
#include "reconciler/root.h"
#include "render/fileset.h"

struct part_record {
	const char *name;
	const char *image;
	char spec[SHA256_HEX_SIZE];
	bool once;
	const char *id; /* of the container; "": none was made yet */
	const char *image_id;
};

struct service_record {
	const char *name;
	const char *project;
	struct part_record *parts;
	size_t n_parts;
};

struct service_records {
	struct service_record *v; /* sorted by name */
	size_t n;
};

/* What a set of files wants; without containers yet. In the pool. */
void records_from_fileset(const struct fileset *set, struct pool *pool,
			  struct service_records *ret);
/* A copy in the pool. */
void records_copy(const struct service_records *from, struct pool *pool,
		  struct service_records *ret);
json_t *records_to_json(const struct service_records *records);
/* What is not as records_to_json() makes it is left out. */
void records_from_json(const json_t *array, struct pool *pool, struct service_records *ret);
const struct service_record *records_find(const struct service_records *records, const char *name);
const struct part_record *record_part(const struct service_record *record, const char *part);
/* Takes the containers that run for each part. */
void records_fill(struct service_records *records, const struct container_list *seen,
		  struct pool *pool);

/* --- what an agent knows between passes ---------------------------------------------- */

struct services;

struct services *services_new(const char *socket);
void services_free(struct services *s);
struct docker *services_docker(struct services *s);
/* A new pass: what was seen before is old. */
void services_forget(struct services *s);
/* The list, asked for where it is not known in this pass; it lives until it is forgotten. NULL and
 * err (ERR_DOCKER) where Docker cannot say. */
const struct container_list *services_look(struct services *s, const struct root *root,
					   struct err *err);
/* The container of a part in its own place, or NULL. */
const struct container *container_find(const struct container_list *seen, const char *service,
				       const char *part);

/* What is amiss with a part's container, as a cause; NULL: nothing. */
const char *part_drift(const struct part_record *part, const struct container *container);
/* Is the container what the part is made from, and only has to be started? */
bool part_only_stopped(const struct part_record *part, const struct container *container);
/* Does everything run as it was left? Where Docker cannot say, there is nothing to be done. */
bool services_are_right(struct services *s, const struct root *root,
			const struct service_records *records);

/* --- the plan ------------------------------------------------------------------------ */

struct service_ground {
	const struct service_records *before;
	const struct service_records *want;
	const struct container_list *seen; /* NULL: nobody has looked (between revisions) */
	const char *unfinished;
	const struct causes *causes;
};

/* What is created, made anew, started: before the programs hear of it. */
void services_plan(struct plan *plan, const struct service_ground *ground);
/* What goes: after they do. */
void services_plan_removed(struct plan *plan, const struct service_ground *ground);
/* Is there something to be done with containers? */
bool services_touched(const struct plan *plan);

/* --- health -------------------------------------------------------------------------- */

struct container_health {
	const char *health;  /* "healthy", "degraded", "failed", "unknown"; NULL: no containers */
	enum reason reason;  /* where it is not well */
	const char *message; /* or NULL */
};

/* Has the container shown that it works? `checked`: somebody else asks it too. In the pool. */
void container_judge(struct services *s, struct container *container, bool once, bool checked,
		     struct pool *pool, struct container_health *ret);
/* Does it speak against the service more than `health`? c may be NULL. What answers only between two ends of its container
 * is not well: the container is the news, and not each answer. */
bool container_is_worse(const struct container_health *c, const char *health);
/* The worst of a service's parts. */
void service_judge(struct services *s, const struct root *root, const struct service_record *record,
		   bool checked, struct pool *pool, struct container_health *ret);

#endif
