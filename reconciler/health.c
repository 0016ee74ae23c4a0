#include "reconciler/health.h"

#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* Of all that is amiss in a level, so much is told. */
#define MESSAGE_MAX 400

const char *level_name(enum level level)
{
	static const char *const names[LEVEL_COUNT] = {
		[LEVEL_CONTAINER] = "container",
		[LEVEL_SERVICE] = "service",
		[LEVEL_INFRASTRUCTURE] = "infrastructure",
		[LEVEL_APPLICATION] = "application",
	};

	return names[level];
}

/* A word that is none of these is a stranger's, and as good as unknown. */
static int rank(const char *health)
{
	static const char *const worse[] = {"healthy", "unknown", "degraded", "failed"};

	for (size_t i = 0; health && i < ARRAY_SIZE(worse); i++)
		if (strcmp(worse[i], health) == 0)
			return (int)i;
	return health ? 1 : -1;
}

bool health_is_worse(const char *a, const char *b)
{
	return rank(a) > rank(b);
}

bool health_is_good(const char *health)
{
	return rank(health) == 0;
}

void level_add(struct level_health *level, struct pool *pool, const char *health,
	       enum reason reason, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_LIMITED(MESSAGE_MAX);
	va_list ap;

	if (level->message && *level->message)
		strbuf_addf(&text, "%s; ", level->message);
	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	str_mask_controls(text.buf);
	level->message = pool_strdup(pool, text.buf);
	if (!health_is_worse(health, level->health))
		return;
	level->health = health;
	level->reason = reason_name(reason);
}

void level_end(struct level_health *level, enum reason good)
{
	if (level->health)
		return;
	level->health = "healthy";
	level->reason = reason_name(good);
	level->message = "";
}
