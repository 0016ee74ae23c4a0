/* The agent's side of its listener: the webhook's key from the node's files, and what a pass left to show. */
#ifndef RECONCILER_EAR_H
#define RECONCILER_EAR_H

#include "base/err.h"
#include "reconciler/agent.h"

/* Starts to listen. -1 where the webhook's secret cannot be had; an address that is taken is logged, and tried again. */
int ear_open(struct agent *agent, struct err *err);
/* After each pass. */
void ear_show(struct agent *agent);
/* Before each wait: starts again what died. */
/* The webhook's secret may be another one, or have come only now. */
void ear_learn(struct agent *agent);
void ear_keep(struct agent *agent);
void ear_close(struct agent *agent);

#endif
