/* What the listener shows of a node: its health in a line, and its metrics in Prometheus' text format. */
#ifndef RECONCILER_METRICS_H
#define RECONCILER_METRICS_H

#include <stdint.h>

#include "base/strbuf.h"
#include "reconciler/status.h"
#include "reconciler/took.h"

/* Since the agent was started. */
struct pass_counts {
	unsigned long passes;
	unsigned long failed;
	unsigned long asked;   /* made because a webhook asked for one */
	int64_t last_at_s;     /* wall clock, at its end */
	int64_t last_ms;       /* how long it took */
	struct took took;      /* the last commit that was taken */
	int64_t took_began_ms; /* wall clock: when the pass began that found it */
};

void metrics_text(const struct node_status *s, const struct pass_counts *counts,
		  struct strbuf *out);
/* "healthy at 1a2b3c4", "degraded at 1a2b3c4: Unhealthy": no message of a program's, for strangers may read it. */
void metrics_health(const struct node_status *s, struct strbuf *out);

#endif
