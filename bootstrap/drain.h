/*
 * Before machines go: nothing new comes to them, and what is under way ends. Whether the nodes that stay still send to them is in
 * their status refs, which boot_options.senders reads.
 */
#ifndef BOOTSTRAP_DRAIN_H
#define BOOTSTRAP_DRAIN_H

#include "bootstrap/bootstrap.h"

/* Adds the step, unless --drain 0 says that there is none. */
void drain_plan(struct boot *boot, enum boot_phase phase);
/* The same for nodes that cluster.yaml names no more: it waits for the others, too. */
void drain_plan_removal(struct boot *boot);

#endif
