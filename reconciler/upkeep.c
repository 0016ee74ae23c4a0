#include "reconciler/upkeep.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gitsync/upkeep.h"
#include "reconciler/agent.h"

#define AGAIN_MS (3600 * 1000)
#define DEADLINE_MS (10 * 60 * 1000)

/* In the child. */
static void pack(struct agent *agent, const void *arg, struct apart_word *word)
{
	(void)arg;
	mirror_pack(agent->mirror, word->packed, &word->err);
}

static void note(struct upkeep *upkeep, const struct apart_word *word)
{
	if (word->err.code)
		log_warn("upkeep of the mirror: %s", word->err.msg);
	else
		memcpy(upkeep->packed, word->packed, GIT_OID_HEX);
}

static void begin(struct agent *agent)
{
	struct upkeep *upkeep = &agent->upkeep;
	struct apart_word word = {0};

	upkeep->again_ms = clock_ms() + AGAIN_MS;
	if (mirror_is_cluttered(agent->mirror) &&
	    apart_start(agent, &upkeep->job, DEADLINE_MS, pack, NULL, &word.err) < 0)
		note(upkeep, &word);
}

/* What has the mirror open elsewhere may be about to read what goes. */
static void prune(struct agent *agent)
{
	struct upkeep *upkeep = &agent->upkeep;
	struct err err = {0};

	if (!upkeep->packed[0] || apart_is_under_way(&agent->push.job) ||
	    apart_is_under_way(&agent->look.job))
		return;
	if (mirror_prune(agent->mirror, upkeep->packed, &err) < 0)
		log_warn("upkeep of the mirror: %s", err.msg);
	else
		log_info("the mirror's loose objects and small packs are one pack now");
	upkeep->packed[0] = '\0';
}

void upkeep_tend(struct agent *agent)
{
	struct upkeep *upkeep = &agent->upkeep;
	struct apart_word word;

	if (apart_take(&upkeep->job, &word))
		note(upkeep, &word);
	else if (!apart_is_under_way(&upkeep->job) && clock_ms() >= upkeep->again_ms)
		begin(agent);
	prune(agent);
}

void upkeep_settle(struct agent *agent)
{
	struct apart_word word;

	upkeep_tend(agent);
	if (apart_wait(&agent->upkeep.job, DEADLINE_MS, &word)) {
		note(&agent->upkeep, &word);
		prune(agent);
	}
}
