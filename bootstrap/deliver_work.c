/* The steps that bring credentials to machines: some of them are looked at at the same time, and one that is not up yet
 * is looked at again after a pause that grows. */
#include "base/clock.h"
#include "bootstrap/contact.h"
#include "bootstrap/deliver_ssh.h"
#include "bootstrap/provider.h"

/* So many ssh at a time: they are the operator's processes. */
#define VISITS_MAX 8
/* What hangs holds nobody up: it gives its place to one that waits for a place after this time, after twice as long the next time, and so
 * on, so that what is slow gets there. */
#define TURN_MS 15000
#define TURN_DOUBLINGS_MAX 3
#define PAUSE_MAX_MS 10000
/* Who watches is told at least so often that time goes on. */
#define TICK_MS 500

static int start_deliver(struct boot *boot, struct boot_step *step, struct err *err)
{
	const struct boot_node *node = step->node;

	(void)err;
	step->visit = pool_calloc(boot->pool, 1, sizeof(*step->visit));
	if (!node->public_address)
		return visit_failed(boot, step, "its droplet has no public address");
	if (!node->droplet->contact && !node->droplet->host_key)
		return visit_failed(
			boot, step,
			pool_printf(boot->pool,
				    "nothing says how to know this machine: it has neither of "
				    "the tags " CONTACT_TAG "%s:KEY and " HOST_KEY_TAG
				    "%s:KEY. Bring the files by hand, or take another droplet "
				    "with --replace %s",
				    boot->cluster->name, boot->cluster->name, node->node->name));
	return 0;
}

static bool is_visited(const struct boot_step *step)
{
	return step->visit && step->visit->ssh;
}

static bool waits_for_visit(const struct boot_step *step)
{
	return step->state == BOOT_RUNNING && step->visit && !step->visit->ssh;
}

/* The one that has waited longest, or will be first; NULL: nobody waits. */
static struct boot_step *first_due(struct boot_step *steps, size_t n)
{
	struct boot_step *first = NULL;

	for (size_t i = 0; i < n; i++)
		if (waits_for_visit(&steps[i]) &&
		    (!first || steps[i].visit->due_ms < first->visit->due_ms))
			first = &steps[i];
	return first;
}

/* Fills the places that are free, and says how long to wait for another one that falls due. */
static int64_t begin_visits(struct boot *boot, struct boot_step *steps, size_t n)
{
	size_t running = 0;

	for (size_t i = 0; i < n; i++)
		running += is_visited(&steps[i]);
	while (running < VISITS_MAX) {
		struct boot_step *step = first_due(steps, n);
		int64_t left = step ? step->visit->due_ms - clock_ms() : TICK_MS;
		struct err failed = {0};

		if (!step && !running)
			return 0;
		if (left > 0)
			return left < TICK_MS ? left : TICK_MS;
		if (visit_begin(boot, step, &failed) < 0)
			visit_failed(boot, step, failed.msg);
		else
			running++;
	}
	return TICK_MS;
}

static int wait_for_visits(const struct boot_step *steps, size_t n, int64_t wait_ms,
			   struct err *err)
{
	struct process_job *jobs[VISITS_MAX];
	size_t running = 0;

	for (size_t i = 0; i < n; i++)
		if (is_visited(&steps[i]))
			jobs[running++] = steps[i].visit->ssh;
	return process_wait(jobs, running, wait_ms, err);
}

static void end_visit(struct boot *boot, struct boot_step *step)
{
	int64_t pause_ms = boot->cloud.api.wait_ms;
	struct visit *visit = step->visit;
	struct err failed = {0};

	if (visit_end(boot, step, &failed) < 0)
		visit_failed(boot, step, failed.msg);
	for (unsigned visits = visit->visits++; visits && pause_ms < PAUSE_MAX_MS; visits /= 2)
		pause_ms *= 2;
	visit->due_ms = clock_ms() + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
}

static bool has_had_its_turn(const struct boot *boot, const struct boot_step *step,
			     bool others_wait)
{
	unsigned visits = step->visit->visits;
	unsigned doublings = visits < TURN_DOUBLINGS_MAX ? visits : TURN_DOUBLINGS_MAX;
	int64_t now = clock_ms();

	if (now - step->visit->began_ms <= (int64_t)TURN_MS << doublings)
		return false;
	return others_wait || now - step->began_ms > boot->options.machine_ms;
}

/* What goes wrong with one stops no other. */
static int poll_deliver(struct boot *boot, struct boot_step *steps, size_t n, struct err *err)
{
	int64_t wait_ms = begin_visits(boot, steps, n);
	const struct boot_step *next = first_due(steps, n);
	bool others_wait = next && next->visit->due_ms <= clock_ms();

	if (wait_for_visits(steps, n, wait_ms, err) < 0) {
		for (size_t i = 0; i < n; i++)
			if (is_visited(&steps[i]))
				visit_stop(steps[i].visit);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (is_visited(&steps[i]) && (process_has_ended(steps[i].visit->ssh) ||
					      has_had_its_turn(boot, &steps[i], others_wait)))
			end_visit(boot, &steps[i]);
	boot_tick(boot);
	return 0;
}

const struct boot_work work_deliver = {start_deliver, poll_deliver};
