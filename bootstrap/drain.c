#include "bootstrap/drain.h"

#include <string.h>

#include "base/clock.h"
#include "bootstrap/provider.h"

#define TICK_MS 1000
/* Times boot_cloud.api.wait_ms: a look at the status refs is a fetch. */
#define LOOK_WAITS 5

static int start_drain(struct boot *boot, struct boot_step *step, struct err *err);

static const struct boot_work work_drain = {.start = start_drain};

void drain_plan(struct boot *boot, enum boot_phase phase)
{
	struct boot_step *step;

	if (boot->options.drain_ms <= 0)
		return;
	step = boot_add(boot, phase, BOOT_WAIT, "drain",
			pool_printf(boot->pool, "%lld s", (long long)boot->options.drain_ms / 1000),
			&work_drain);
	step->because = "nothing new comes to what goes; what is under way ends";
}

/* The nodes whose machines cluster.yaml names no more. */
static size_t leaving_nodes(const struct boot *boot, const char ***ret)
{
	const char *prefix = droplet_name(boot->pool, boot->cluster->name, "");
	size_t n = 0;

	*ret = pool_calloc(boot->pool, boot->cloud.droplets.n + 1, sizeof(**ret));
	for (size_t i = 0; i < boot->cloud.droplets.n; i++) {
		const struct droplet *droplet = &boot->cloud.droplets.v[i];

		if (boot_is_extra(boot, droplet) &&
		    strncmp(droplet->name, prefix, strlen(prefix)) == 0)
			(*ret)[n++] = droplet->name + strlen(prefix);
	}
	return n;
}

static int look(struct boot *boot, const char **ret_who, struct err *err)
{
	const char **leaving;
	size_t n = leaving_nodes(boot, &leaving);

	return boot->options.senders(boot->options.senders_arg, leaving, n, boot->pool, ret_who,
				     err);
}

void drain_plan_removal(struct boot *boot)
{
	struct err err = {0};
	const char *who;

	boot->watches_senders = false;
	if (boot->options.drain_ms <= 0)
		return;
	drain_plan(boot, BOOT_DRAIN);
	if (!boot->options.senders || look(boot, &who, &err) < 0) {
		boot_note(boot,
			  "whether other nodes still send to what goes is not known, and not "
			  "waited for%s%s",
			  err.code ? ": " : "", err.msg);
		return;
	}
	boot->watches_senders = true;
	if (who)
		boot_note(boot,
			  "%s: merge the commit that takes it out of cluster.yaml; apply waits for "
			  "that",
			  who);
}

static void pause_for(struct boot *boot, int64_t ms)
{
	int64_t end = clock_ms() + ms;

	for (int64_t left; (left = end - clock_ms()) > 0; boot_tick(boot))
		clock_sleep_ms(left < TICK_MS ? left : TICK_MS);
}

/* A look that fails is made again: the last one, at the deadline, says why nothing goes. */
static int wait_for_senders(struct boot *boot, struct boot_step *step, struct err *err)
{
	int64_t end = clock_ms() + boot->options.machine_ms;

	for (;;) {
		const char *who = NULL;
		struct err failed = {0};

		if (look(boot, &who, &failed) == 0 && !who)
			return 0;
		if (failed.code)
			who = pool_strdup(boot->pool, failed.msg);
		if (clock_ms() >= end)
			return err_set(err, ERR_APPLY,
				       "nothing is taken away: %s: merge the commit that takes it "
				       "out of cluster.yaml, and apply again, or give --drain 0",
				       who);
		boot_set(boot, step, BOOT_RUNNING, who);
		pause_for(boot, boot->cloud.api.wait_ms * LOOK_WAITS);
	}
}

static int start_drain(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (step->phase == BOOT_DRAIN && boot->watches_senders &&
	    wait_for_senders(boot, step, err) < 0)
		return -1;
	boot_set(boot, step, BOOT_RUNNING, "what is under way ends");
	pause_for(boot, boot->options.drain_ms);
	return boot_done(boot, step);
}
