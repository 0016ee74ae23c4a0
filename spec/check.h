/*
 * What one file cannot see: a host claimed twice, ports that collide, nodes that do not exist,
 * options that exclude one another. One rule is one function and one row of a table in check.c;
 * every rule has a case in tests/cases/invalid.
 */
#ifndef SPEC_CHECK_H
#define SPEC_CHECK_H

#include "base/diag.h"
#include "spec/model.h"

void check_cluster(const struct cluster *cluster, struct diags *diags);

/* First and last port of those that follow from a service's name; below Linux's ephemeral range. */
#define PUBLISH_FIRST 20000
#define PUBLISH_LAST 32767
/* The loopback port that a service's container is published at where `publish:` does not say. */
int64_t service_default_port(const char *name);

#endif
