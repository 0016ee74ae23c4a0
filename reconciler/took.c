#include "reconciler/took.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

const char *took_part_name(enum took_part part)
{
	static const char *const names[TOOK_PARTS] = {
		[TOOK_FETCH] = "fetch", [TOOK_RENDER] = "render",   [TOOK_VALIDATE] = "validate",
		[TOOK_APPLY] = "apply", [TOOK_HEALTHY] = "healthy",
	};

	return names[part];
}

int64_t took_total_ms(const struct took *took)
{
	int64_t total = 0;

	for (size_t i = 0; i < TOOK_PARTS; i++)
		total += took->ms[i];
	return total;
}

void took_text(const struct took *took, struct strbuf *out)
{
	strbuf_addf(out, "%.7s in %" PRId64 " ms:", took->revision, took_total_ms(took));
	for (size_t i = 0; i < TOOK_PARTS; i++)
		strbuf_addf(out, "%s %s %" PRId64, i ? "," : "", took_part_name((enum took_part)i),
			    took->ms[i]);
}

void took_begin_pass(struct took_timer *timer)
{
	timer->pass_wall_ms = clock_wall_ms();
	timer->pass_ms = clock_ms();
}

void took_found(struct took_timer *timer, const char *tip)
{
	if (!timer->goes_on || strcmp(timer->took.revision, tip) != 0) {
		timer->took = (struct took) {0};
		memcpy(timer->took.revision, tip, GIT_OID_HEX);
		timer->began_wall_ms = timer->pass_wall_ms;
		timer->last_ms = timer->pass_ms;
		timer->part = TOOK_FETCH;
	}
	took_end_part(timer, TOOK_FETCH);
}

void took_end_part(struct took_timer *timer, enum took_part part)
{
	int64_t now_ms = clock_ms();
	enum took_part at = part > timer->part ? part : timer->part;

	timer->took.ms[at] += now_ms - timer->last_ms;
	timer->last_ms = now_ms;
	timer->part = part == at && at < TOOK_HEALTHY ? (enum took_part)(at + 1) : at;
}

bool took_end(struct took_timer *timer, const char *revision)
{
	if (strcmp(timer->took.revision, revision) != 0)
		return false;
	took_end_part(timer, TOOK_HEALTHY);
	return true;
}

void took_end_pass(struct took_timer *timer, bool goes_on)
{
	timer->goes_on = goes_on;
}
