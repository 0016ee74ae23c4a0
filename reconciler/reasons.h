/*
 * Every reason that a condition or a level of health can have, in one table: its name in
 * status.json, and what it means. docs/operations.md says of each what to do, and a test compares the two
 * (`dynia schema --reasons` prints the table). A new reason is one row here and one line there.
 */
#ifndef RECONCILER_REASONS_H
#define RECONCILER_REASONS_H

#include <stddef.h>

#include "base/err.h"

enum reason {
	/* conditions */
	REASON_FETCHED,
	REASON_HISTORY_REWRITTEN,
	REASON_OLDER_HISTORY,
	REASON_NOT_REQUIRED,
	REASON_NOTHING_VERIFIED,
	REASON_SIGNED,
	REASON_UNSIGNED_COMMIT,
	REASON_UNKNOWN_SIGNER,
	REASON_BAD_COMMIT,
	REASON_TOO_MANY_COMMITS,
	REASON_NO_REVISION,
	REASON_CHECKED,
	REASON_APPLIED,
	REASON_NOTHING_APPLIED,
	REASON_HEALTHY,
	REASON_NOT_OBSERVED,
	REASON_HELD_BY_HAND,
	REASON_WAITS_FOR_HEALTH,
	REASON_RETRYING,
	REASON_DONE,
	REASON_WAITS_FOR_COMMIT,
	REASON_REFUSED,
	REASON_MOVING,
	REASON_NEW_CONTAINERS_START,
	REASON_PUSHED,
	REASON_STATUS_REF_REPLACED,
	REASON_HELD,
	/* levels of health, and the conditions that follow from them */
	REASON_NO_CONTAINERS,
	REASON_CONTAINER_STARTING,
	REASON_CONTAINER_UNHEALTHY,
	REASON_CONTAINER_RESTARTS,
	REASON_CONTAINER_DOWN,
	REASON_PROGRAM_FAILED,
	REASON_WRONG_CONFIGURATION,
	REASON_NO_SERVER_UP,
	REASON_SERVICE_STARTING,
	REASON_SERVICE_FAILING,
	REASON_SERVICE_FAILED,
	REASON_DISK_NEARLY_FULL,
	REASON_DISK_FULL,
	REASON_DISK_READ_ONLY,
	REASON_MEMORY_LOW,
	REASON_MEMORY_EXHAUSTED,
	REASON_CERTIFICATE_BROKEN,
	REASON_CERTIFICATE_EXPIRES,
	REASON_CERTIFICATE_EXPIRED,
	/* what an error's code stands for: reason_of() */
	REASON_CONFIG_ERROR,
	REASON_GIT_ERROR,
	REASON_NETWORK_ERROR,
	REASON_VERIFY_ERROR,
	REASON_CHECK_ERROR,
	REASON_APPLY_ERROR,
	REASON_HEALTH_ERROR,
	REASON_SYSTEM_ERROR,
	REASON_LIMIT_ERROR,
	REASON_DOCKER_UNAVAILABLE,
	REASON_IMAGE_UNAVAILABLE,
	REASON_WAITS_FOR_CREDENTIALS,
	REASON_NOT_NAMED,
	REASON_COUNT,
};

/* "DiskNearlyFull" */
const char *reason_name(enum reason reason);
/* One line, for people. */
const char *reason_meaning(enum reason reason);
/* The reason of that name, or `otherwise`. */
enum reason reason_named(const char *name, enum reason otherwise);
/* The reason of a condition that an error made False. */
enum reason reason_of(enum err_code code);

#endif
