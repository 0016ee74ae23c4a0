#include "bootstrap/bootstrap.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "bootstrap/provider.h"

static const struct boot_provider *const providers[] = {&provider_digitalocean,
							&provider_cloudflare};

static const char *const verbs[] = {
	[BOOT_CREATE] = "create", [BOOT_CHANGE] = "change", [BOOT_ASSIGN] = "assign",
	[BOOT_WAIT] = "wait",     [BOOT_DELETE] = "delete", [BOOT_SEND] = "send",
};

static const char *const states[] = {
	[BOOT_PLANNED] = "planned",
	[BOOT_RUNNING] = "running",
	[BOOT_DONE] = "done",
	[BOOT_FAILED] = "failed",
};

const char *boot_verb_name(enum boot_verb verb)
{
	return verbs[verb];
}

const char *boot_state_name(enum boot_state state)
{
	return states[state];
}

/* --- open ------------------------------------------------------------------------------ */

static void name_nodes(struct boot *boot)
{
	const struct cluster *cluster = boot->cluster;
	const struct digitalocean *cloud = cluster->provider.digitalocean;

	boot->n_nodes = cluster->node_map.n;
	boot->nodes = pool_calloc(boot->pool, boot->n_nodes + 1, sizeof(*boot->nodes));
	for (size_t i = 0; i < boot->n_nodes; i++) {
		const struct node *node = cluster_node(cluster, i);

		boot->nodes[i] = (struct boot_node) {
			.node = node,
			.name = droplet_name(boot->pool, cluster->name, node->name),
			.size = node->size ? node->size
				: cloud    ? cloud->size
					   : "",
			.region = node->region ? node->region
				  : cloud      ? cloud->region
					       : "",
			.public_address = node->public_address,
		};
	}
}

const struct node *boot_need_node(const struct cluster *cluster, const char *name, struct err *err)
{
	const struct node *node = cluster_find_node(cluster, name);
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;
	const char *near;

	if (node)
		return node;
	for (size_t i = 0; i < cluster->node_map.n; i++)
		strvec_push(&names, cluster_node(cluster, i)->name);
	near = names.n ? nearest_word(name, (const char *const *)names.v) : NULL;
	err_set(err, ERR_USAGE, "cluster '%s' has no node '%s'%s%s%s", cluster->name, name,
		near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

static bool is_wanted(const struct boot_provider *provider, const struct boot_options *options)
{
	return provider->plan_deliver || !options->deliver_only;
}

static int need_named(const struct boot *boot, struct err *err)
{
	const struct cluster *cluster = boot->cluster;

	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		if (providers[i]->is_named(cluster) && is_wanted(providers[i], &boot->options))
			return 0;
	return err_set(err, ERR_USAGE,
		       "cluster '%s' names no provider: add provider.digitalocean%s to %s",
		       cluster->name, boot->options.deliver_only ? "" : " or dns.cloudflare",
		       cluster->path);
}

int boot_open(struct boot *boot, const struct cluster *cluster, const struct boot_options *options,
	      struct err *err)
{
	*boot = (struct boot) {.pool = pool_new(), .cluster = cluster, .options = *options};
	boot->mark = cluster_mark(boot->pool, cluster->name);
	name_nodes(boot);
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		if (is_wanted(providers[i], options) && providers[i]->open(boot, err) < 0)
			return -1;
	if ((options->replace && !boot_need_node(cluster, options->replace, err)) ||
	    (options->only_node && !boot_need_node(cluster, options->only_node, err)))
		return -1;
	/* None is named, and one can be asked all the same: it may have something to take away. */
	return boot->records.open ? 0 : need_named(boot, err);
}

void boot_release(struct boot *boot)
{
	if (!boot->pool)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		providers[i]->release(boot);
	free(boot->steps);
	free(boot->notes);
	pool_free(boot->pool);
	*boot = (struct boot)BOOT_INIT;
}

/* --- what the providers share ------------------------------------------------------------ */

struct boot_step *boot_add(struct boot *boot, enum boot_phase phase, enum boot_verb verb,
			   const char *what, const char *name, const struct boot_work *work)
{
	GROW(boot->steps, boot->n_steps, boot->alloc_steps);
	boot->steps[boot->n_steps] = (struct boot_step) {
		.phase = phase,
		.verb = verb,
		.what = what,
		.name = name,
		.detail = "",
		.because = "",
		.now = "",
		.work = work,
	};
	return &boot->steps[boot->n_steps++];
}

void boot_note(struct boot *boot, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	GROW(boot->notes, boot->n_notes, boot->alloc_notes);
	boot->notes[boot->n_notes++] = pool_strdup(boot->pool, text.buf);
}

void boot_set(struct boot *boot, struct boot_step *step, enum boot_state state, const char *now)
{
	bool same = step->state == state && strcmp(step->now, now) == 0;

	if (state == BOOT_RUNNING && step->state == BOOT_PLANNED)
		step->began_ms = clock_ms();
	if (state == BOOT_DONE || state == BOOT_FAILED)
		step->took_ms = step->began_ms ? clock_ms() - step->began_ms : 0;
	step->state = state;
	step->now = now;
	if (!same && boot->options.progress)
		boot->options.progress(boot->options.progress_arg, boot, step);
}

int boot_done(struct boot *boot, struct boot_step *step)
{
	boot_set(boot, step, BOOT_DONE, "");
	return 0;
}

void boot_tick(struct boot *boot)
{
	if (boot->options.progress)
		boot->options.progress(boot->options.progress_arg, boot, NULL);
}

struct dns_addresses boot_addresses(struct boot *boot)
{
	const char **nodes = pool_calloc(boot->pool, boot->n_nodes + 1, sizeof(*nodes));
	const struct vip *vip = boot->cluster->vip;

	for (size_t i = 0; i < boot->n_nodes; i++)
		nodes[i] = boot->nodes[i].public_address;
	return (struct dns_addresses) {
		.service = boot->vip ? boot->vip
			   : vip     ? vip->address
				     : NULL,
		.has_vip = vip != NULL,
		.nodes = nodes,
	};
}

static bool is_same(const char *address, const char *other)
{
	return other && strcmp(address, other) == 0;
}

bool boot_has_address(struct boot *boot, const char *address)
{
	const struct dns_addresses known = boot_addresses(boot);
	const struct vip *vip = boot->cluster->vip;
	bool has = is_same(address, known.service) || (vip && is_same(address, vip->address)) ||
		   boot_reserved(boot, address);

	for (size_t i = 0; i < boot->n_nodes && !has; i++)
		has = is_same(address, known.nodes[i]);
	for (size_t i = 0; i < boot->cloud.droplets.n && !has; i++)
		has = is_same(address, boot->cloud.droplets.v[i].public_address);
	return has;
}

bool boot_is_extra(const struct boot *boot, const struct droplet *droplet)
{
	for (size_t i = 0; i < boot->n_nodes; i++)
		if (strcmp(boot->nodes[i].name, droplet->name) == 0)
			return false;
	return true;
}

struct boot_node *boot_node_of(const struct boot *boot, int64_t droplet_id)
{
	for (size_t i = 0; i < boot->n_nodes; i++)
		if (boot->nodes[i].droplet && boot->nodes[i].droplet->id == droplet_id)
			return &boot->nodes[i];
	return NULL;
}

/* --- planning ---------------------------------------------------------------------------- */

/* By phase; within one, in the order in which they were added. */
static int by_phase(const void *a, const void *b)
{
	const struct boot_step *x = a, *y = b;

	if (x->phase != y->phase)
		return x->phase < y->phase ? -1 : 1;
	return x->began_ms < y->began_ms ? -1 : x->began_ms > y->began_ms;
}

static void sort_steps(struct boot *boot)
{
	for (size_t i = 0; i < boot->n_steps; i++)
		boot->steps[i].began_ms = (int64_t)i;
	if (boot->n_steps)
		qsort(boot->steps, boot->n_steps, sizeof(*boot->steps), by_phase);
	for (size_t i = 0; i < boot->n_steps; i++)
		boot->steps[i].began_ms = 0;
}

static int plan(struct boot *boot, bool destroy, struct err *err)
{
	boot->n_steps = 0;
	boot->n_notes = 0;
	boot->destroying = destroy;
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		if (is_wanted(providers[i], &boot->options) && providers[i]->look(boot, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++) {
		const struct boot_provider *provider = providers[i];

		if (!is_wanted(provider, &boot->options))
			continue;
		if ((destroy                      ? provider->plan_destroy
		     : boot->options.deliver_only ? provider->plan_deliver
						  : provider->plan)(boot, err) < 0)
			return -1;
	}
	sort_steps(boot);
	return boot->n_steps ? 0 : need_named(boot, err);
}

int boot_plan(struct boot *boot, struct err *err)
{
	return plan(boot, false, err);
}

int boot_plan_destroy(struct boot *boot, struct err *err)
{
	return plan(boot, true, err);
}

bool boot_interrupts(const struct boot *boot)
{
	for (size_t i = 0; i < boot->n_steps; i++)
		if (boot->steps[i].interrupts)
			return true;
	return false;
}

void boot_prices(const struct boot *boot, double *ret_now, double *ret_then)
{
	*ret_now = 0;
	for (size_t i = 0; i < boot->cloud.droplets.n; i++)
		*ret_now += boot->cloud.droplets.v[i].monthly;
	*ret_then = *ret_now;
	for (size_t i = 0; i < boot->n_steps; i++)
		*ret_then += boot->steps[i].monthly;
}

/* --- carrying out -------------------------------------------------------------------------- */

static bool any_runs(const struct boot_step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (steps[i].state == BOOT_RUNNING)
			return true;
	return false;
}

static void fail(struct boot *boot, struct boot_step *step, const struct err *err)
{
	boot_set(boot, step, BOOT_FAILED, pool_strdup(boot->pool, err->msg));
}

/* Starts all of them, then waits for all. The first error is the one that is told; what was begun is
 * waited for all the same, and where a start failed no more are started. */
static int run_group(struct boot *boot, struct boot_step *steps, size_t n, struct err *err)
{
	const struct boot_work *work = steps[0].work;
	struct err first = {0};

	for (size_t i = 0; i < n && !first.code; i++) {
		struct err failed = {0};

		boot_set(boot, &steps[i], BOOT_RUNNING, "");
		if (work->start(boot, &steps[i], &failed) == 0)
			continue;
		fail(boot, &steps[i], &failed);
		first = failed;
	}
	while (any_runs(steps, n)) {
		struct err failed = {0};

		if (work->poll(boot, steps, n, &failed) == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (steps[i].state == BOOT_RUNNING)
				fail(boot, &steps[i], &failed);
		if (!first.code)
			first = failed;
	}
	for (size_t i = 0; i < n && !first.code; i++)
		if (steps[i].state == BOOT_FAILED)
			err_set(&first, ERR_APPLY, "%s '%s': %s", steps[i].what, steps[i].name,
				steps[i].now);
	if (!first.code)
		return 0;
	*err = first;
	return -1;
}

int boot_apply(struct boot *boot, struct err *err)
{
	for (size_t i = 0; i < boot->n_steps;) {
		struct boot_step *first = &boot->steps[i];
		size_t n = 1;

		while (i + n < boot->n_steps && first[n].phase == first->phase &&
		       first[n].work == first->work)
			n++;
		if (run_group(boot, first, n, err) < 0)
			return -1;
		i += n;
	}
	return 0;
}
