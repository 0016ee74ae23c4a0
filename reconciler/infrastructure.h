/*
 * The machine: is there room on the file systems that Dynia and the programs write to, is there memory, does a
 * certificate end? A commit is no cause of any of it, so nothing here takes one back.
 */
#ifndef RECONCILER_INFRASTRUCTURE_H
#define RECONCILER_INFRASTRUCTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

#include "base/pool.h"
#include "reconciler/certificate.h"
#include "reconciler/health.h"
#include "reconciler/root.h"

/* certificates NULL: not known. was_ill: the last look found something; what comes and goes around a threshold has to get
 * clearly better first. Adds to the level; the caller ends it. */
void infrastructure_look(const struct root *root, const struct certificates *certificates,
			 int64_t now_s, bool was_ill, struct pool *pool, struct level_health *ret);

/* The parts, for tests. `path` is the file system's name in messages. */
void file_system_judge(const struct statvfs *fs, const char *path, bool was_ill, struct pool *pool,
		       struct level_health *ret);
/* text: /proc/meminfo, or NULL where it cannot be read. */
void memory_judge(const char *text, bool was_ill, struct pool *pool, struct level_health *ret);
void certificates_judge(const struct certificates *certificates, int64_t now_s, struct pool *pool,
			struct level_health *ret);

#endif
