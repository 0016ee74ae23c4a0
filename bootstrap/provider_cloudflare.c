/* The records of a cluster, as steps of a plan. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bootstrap/provider.h"

static bool is_named(const struct cluster *cluster)
{
	return cluster->dns.cloudflare != NULL;
}

/* Where it is not named, a token is of use and not needed. */
static int open_records(struct boot *boot, struct err *err)
{
	const char *token = getenv(cloudflare_api.token_variable);

	if (!is_named(boot->cluster) && (!token || !*token))
		return 0;
	if (api_open(&boot->records.api, &cloudflare_api, NULL, err) < 0)
		return -1;
	boot->records.open = true;
	return 0;
}

static void release(struct boot *boot)
{
	if (boot->records.open)
		api_release(&boot->records.api);
}

/* Records are read when they are compared: there is nothing else to look at. */
static int look(struct boot *boot, struct err *err)
{
	(void)boot;
	(void)err;
	return 0;
}

static const char *address_of(const struct dns_want *want, struct pool *pool)
{
	if (want->address)
		return want->address;
	return want->node ? pool_printf(pool, "the address of node '%s'", want->node->name)
			  : "the address of the cluster, once it is there";
}

static const char *describe(struct boot *boot, const struct dns_want *want)
{
	return pool_printf(boot->pool, "%s%s", address_of(want, boot->pool),
			   want->proxied ? ", proxied" : "");
}

static struct boot_node *node_of(const struct boot *boot, const struct node *node)
{
	for (size_t i = 0; i < boot->n_nodes; i++)
		if (boot->nodes[i].node == node)
			return &boot->nodes[i];
	return NULL;
}

/* Does this run bring about the address that is missing? node NULL: of the cluster. */
static bool will_be_known(const struct boot *boot, const struct boot_node *node)
{
	if (!boot->cloud.open || !node)
		return boot->cloud.open;
	return !node->droplet || strcmp(node->droplet->status, "new") == 0;
}

/* What they lead to by now, where the plan could not say. */
static void describe_again(struct boot *boot, const struct dns_wants *wants, struct boot_step *step)
{
	for (size_t i = 0; i < wants->n && step->verb != BOOT_DELETE; i++) {
		const struct dns_want *want = &wants->v[i];

		if (strcmp(want->name, step->name) == 0 &&
		    (step->node ? step->node->node : NULL) == want->node)
			step->detail = describe(boot, want);
	}
}

static int sync_wants(struct boot *boot, const struct dns_wants *wants, struct boot_step *steps,
		      size_t n, struct err *err)
{
	size_t changed;

	if (dns_sync(&boot->records.api, boot->cluster->dns.cloudflare->zone, wants, boot->mark,
		     &changed, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (steps[i].state == BOOT_RUNNING) {
			describe_again(boot, wants, &steps[i]);
			boot_set(boot, &steps[i], BOOT_DONE, "");
		}
	return 0;
}

/* Nothing to begin: all of them go in one batch. */
static int start_record(struct boot *boot, struct boot_step *step, struct err *err)
{
	(void)boot;
	(void)step;
	(void)err;
	return 0;
}

/* From the addresses as they are by now. */
static int sync_records(struct boot *boot, struct boot_step *steps, size_t n, struct err *err)
{
	struct dns_addresses addresses = boot_addresses(boot);
	struct dns_wants wants;

	if (dns_wanted(boot->cluster, &addresses, boot->pool, &wants, err) < 0)
		return -1;
	return sync_wants(boot, &wants, steps, n, err);
}

static int remove_records(struct boot *boot, struct boot_step *steps, size_t n, struct err *err)
{
	const struct dns_wants none = {0};

	return sync_wants(boot, &none, steps, n, err);
}

static const struct boot_work work_records = {start_record, sync_records};
static const struct boot_work work_remove_records = {start_record, remove_records};

static void add_step(struct boot *boot, const struct dns_change *change,
		     const struct boot_work *work)
{
	static const enum boot_verb verbs[] = {
		[DNS_CREATE] = BOOT_CREATE, [DNS_CHANGE] = BOOT_CHANGE, [DNS_REMOVE] = BOOT_DELETE};
	const struct dns_want *want = change->want;
	struct boot_node *node = want && want->node ? node_of(boot, want->node) : NULL;
	struct boot_step *step;

	if (want && !want->address && !will_be_known(boot, node))
		return;
	step = boot_add(boot, BOOT_RECORDS, verbs[change->verb], "record",
			want ? want->name : change->record->name, work);

	if (!want) {
		step->detail = pool_printf(boot->pool, "%s %s", change->record->type,
					   change->record->content);
		step->because = "nothing wants it any more";
		return;
	}
	step->detail = describe(boot, want);
	step->node = node;
	step->because = want->of;
}

static int compare(struct boot *boot, const struct dns_wants *wants, struct dns_changes *ret,
		   struct err *err)
{
	struct api *api = &boot->records.api;
	struct dns_records records;
	const char *zone;

	if (cloudflare_zone(api, boot->cluster->dns.cloudflare->zone, boot->pool, &zone, err) < 0 ||
	    cloudflare_records(api, zone, NULL, boot->pool, &records, err) < 0)
		return -1;
	return dns_compare(wants, &records, boot->mark, boot->pool, ret, err);
}

/* One of ours that has to follow an address that is not known yet is no change to be seen. */
static bool is_in(const struct dns_changes *changes, const struct dns_want *want)
{
	for (size_t i = 0; i < changes->n; i++)
		if (changes->v[i].want == want)
			return true;
	return false;
}

static void note_unknown(struct boot *boot)
{
	for (size_t i = 0; i < boot->n_nodes; i++) {
		const struct boot_node *node = &boot->nodes[i];

		if (!node->public_address && !will_be_known(boot, node))
			boot_note(boot,
				  "no record leads to node '%s': write its public_address to %s",
				  node->node->name, boot->cluster->path);
	}
}

static int plan(struct boot *boot, struct err *err)
{
	struct dns_addresses addresses = boot_addresses(boot);
	struct dns_wants wants;
	struct dns_changes changes;

	if (!is_named(boot->cluster))
		return cloudflare_plan_left(boot, err);
	if (dns_wanted(boot->cluster, &addresses, boot->pool, &wants, err) < 0 ||
	    compare(boot, &wants, &changes, err) < 0)
		return -1;
	for (size_t i = 0; i < changes.n; i++)
		add_step(boot, &changes.v[i], &work_records);
	for (size_t i = 0; i < wants.n; i++)
		if (!wants.v[i].address && !is_in(&changes, &wants.v[i]))
			add_step(boot,
				 &(struct dns_change) {.verb = DNS_CHANGE, .want = &wants.v[i]},
				 &work_records);
	note_unknown(boot);
	return cloudflare_plan_left(boot, err);
}

static int plan_destroy(struct boot *boot, struct err *err)
{
	const struct dns_wants none = {0};
	struct dns_changes changes;

	if (!is_named(boot->cluster))
		return cloudflare_plan_left(boot, err);
	if (compare(boot, &none, &changes, err) < 0)
		return -1;
	for (size_t i = 0; i < changes.n; i++) {
		add_step(boot, &changes.v[i], &work_remove_records);
		boot->steps[boot->n_steps - 1].because = "the cluster goes";
		boot->steps[boot->n_steps - 1].interrupts = true;
	}
	/* As long as a node runs that has a token, it keeps the records: right after the droplets, before what may yet fail. */
	if (boot->cloud.droplets.n) {
		struct boot_step *step =
			boot_add(boot, BOOT_REMOVE, BOOT_DELETE, "records",
				 boot->cluster->dns.cloudflare->zone, &work_remove_records);

		step->because = "those that a node made again before it went";
	}
	return cloudflare_plan_left(boot, err);
}

const struct boot_provider provider_cloudflare = {
	.name = "cloudflare",
	.is_named = is_named,
	.open = open_records,
	.release = release,
	.look = look,
	.plan = plan,
	.plan_destroy = plan_destroy,
};
