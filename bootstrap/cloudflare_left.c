/*
 * The cluster's records in zones that cluster.yaml does not name: of before the zone was another one, or `dns` was taken out. Nobody
 * wrote down which zone that was, so all that the token sees are looked through for the cluster's mark. Another cluster may have
 * the same name and so the same mark: a zone in which no record leads to this one is told of, and left.
 */
#include <string.h>

#include "base/cleanup.h"
#include "bootstrap/provider.h"

/* Where nothing is asked of Cloudflare but this, it holds up the rest only so long. */
#define TRIES 2
#define WAIT_MOST_MS 5000

/* Nothing to begin: those of a zone go together. */
static int start(struct boot *boot, struct boot_step *step, struct err *err)
{
	(void)boot;
	(void)step;
	(void)err;
	return 0;
}

/* One zone, and all the steps in it. */
static int clear(struct boot *boot, struct boot_step *steps, size_t n, struct err *err)
{
	const char *zone = NULL;

	for (size_t i = 0; i < n; i++) {
		if (steps[i].state != BOOT_RUNNING || (zone && strcmp(steps[i].key, zone) != 0))
			continue;
		if (!zone && dns_clear(&boot->records.api, steps[i].key, boot->mark, err) < 0)
			return err_wrap(err, "record '%s'", steps[i].name);
		zone = steps[i].key;
		boot_set(boot, &steps[i], BOOT_DONE, "");
	}
	return 0;
}

static const struct boot_work work_left = {start, clear};

static void add_steps(struct boot *boot, const struct zone *zone, const struct dns_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++) {
		const struct dns_record *record = changes->v[i].record;
		struct boot_step *step = boot_add(boot, BOOT_RECORDS, BOOT_DELETE, "record",
						  record->name, &work_left);

		step->key = zone->id;
		step->detail = pool_printf(boot->pool, "%s %s", record->type, record->content);
		step->because =
			boot->destroying
				? "the cluster goes"
				: pool_printf(boot->pool, "cluster.yaml does not name zone '%s'",
					      zone->name);
		step->interrupts = true;
	}
}

static bool leads_here(struct boot *boot, const struct dns_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++)
		if (boot_has_address(boot, changes->v[i].record->content))
			return true;
	return false;
}

static void add_zone(struct boot *boot, const struct zone *zone, const struct dns_changes *changes)
{
	if (leads_here(boot, changes))
		add_steps(boot, zone, changes);
	else if (changes->n)
		boot_note(boot,
			  "zone '%s', which cluster.yaml does not name, has %zu record%s with the "
			  "comment '%s' that "
			  "lead%s to no address of this cluster's: left alone, they may be of "
			  "another cluster of this "
			  "name; delete by hand what is nobody's",
			  zone->name, changes->n, changes->n == 1 ? "" : "s", boot->mark,
			  changes->n == 1 ? "s" : "");
}

/* 1: its records cannot be read with this token. */
static int look_at(struct boot *boot, const struct zone *zone, struct err *err)
{
	const struct dns_wants none = {0};
	struct api *api = &boot->records.api;
	struct dns_records records;
	struct dns_changes changes;

	if (cloudflare_records(api, zone->id, boot->mark, boot->pool, &records, err) < 0) {
		if (api->status != 403)
			return -1;
		err_clear(err);
		return 1;
	}
	if (dns_compare(&none, &records, boot->mark, boot->pool, &changes, err) < 0)
		return -1;
	add_zone(boot, zone, &changes);
	return 0;
}

static int look_at_all(struct boot *boot, struct err *err)
{
	const struct cloudflare *named = boot->cluster->dns.cloudflare;
	const char *closed = NULL;
	struct zones zones;

	if (cloudflare_zones(&boot->records.api, boot->pool, &zones, err) < 0)
		return -1;
	for (size_t i = 0; i < zones.n; i++) {
		/* By its name: while it moves from one account to another there are two. */
		bool is_named = named && strcmp(zones.v[i].name, named->zone) == 0;
		int refused = is_named ? 0 : look_at(boot, &zones.v[i], err);

		if (refused < 0)
			return -1;
		if (refused && !closed)
			closed = zones.v[i].name;
	}
	return closed ? err_set(err, ERR_CONFIG, "the token may not read those of zone '%s'",
				closed)
		      : 0;
}

int cloudflare_plan_left(struct boot *boot, struct err *err)
{
	struct api *api = &boot->records.api;
	unsigned tries = api->tries;
	int64_t wait_most_ms = api->wait_most_ms;

	if (!boot->records.open) {
		boot_note(boot,
			  "cluster.yaml names no dns: whether records of the cluster's are left at "
			  "%s is looked at where %s is set",
			  cloudflare_api.name, cloudflare_api.token_variable);
		return 0;
	}
	if (!boot->cluster->dns.cloudflare) {
		api->tries = TRIES;
		api->wait_most_ms = WAIT_MOST_MS;
	}
	/* The cluster's own zone has answered, or none is named: the rest of the plan stands. */
	if (look_at_all(boot, err) < 0)
		boot_note(boot,
			  "whether records of the cluster's are left in other zones is not known: "
			  "%s",
			  err->msg);
	err_clear(err);
	api->tries = tries;
	api->wait_most_ms = wait_most_ms;
	return 0;
}
