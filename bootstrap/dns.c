#include "bootstrap/dns.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"

#define CONFLICTS_SHOWN 5
#define TTL_AUTOMATIC 1

const char *dns_type(const char *address)
{
	return is_ipv4(address) ? "A" : "AAAA";
}

/* --- what is wanted -------------------------------------------------------------------- */

static bool is_below(const char *name, const char *zone)
{
	size_t len = strlen(name), zone_len = strlen(zone);

	return len >= zone_len && strcmp(name + len - zone_len, zone) == 0 &&
	       (len == zone_len || name[len - zone_len - 1] == '.');
}

static void add_host(const struct cluster *cluster, const struct dns_addresses *addresses,
		     const char *host, const char *of, struct dns_wants *ret)
{
	struct dns_want want = {.name = host,
				.of = of,
				.proxied = cluster->dns.cloudflare->proxied};

	if (addresses->has_vip) {
		want.address = addresses->service;
		ret->v[ret->n++] = want;
		return;
	}
	for (size_t i = 0; i < cluster->node_map.n; i++) {
		want.address = addresses->nodes[i];
		want.node = cluster_node(cluster, i);
		ret->v[ret->n++] = want;
	}
}

static int add_node(const struct cluster *cluster, const struct dns_addresses *addresses, size_t i,
		    size_t n_hosts, struct pool *pool, struct dns_wants *ret, struct err *err)
{
	const char *zone = cluster->dns.cloudflare->zone;
	const char *domain =
		cluster->domain && is_below(cluster->domain, zone) ? cluster->domain : zone;
	const struct node *node = cluster_node(cluster, i);
	struct dns_want want = {
		.name = pool_printf(pool, "%s.%s", node->name, domain),
		.of = pool_printf(pool, "node '%s'", node->name),
		.node = node,
		.address = addresses->nodes[i],
	};

	for (size_t k = 0; k < n_hosts; k++)
		if (strcmp(ret->v[k].name, want.name) == 0)
			return err_set(err, ERR_CONFIG,
				       "host '%s' of %s is the name of the record of %s: give the "
				       "service another",
				       want.name, ret->v[k].of, want.of);
	ret->v[ret->n++] = want;
	return 0;
}

int dns_wanted(const struct cluster *cluster, const struct dns_addresses *addresses,
	       struct pool *pool, struct dns_wants *ret, struct err *err)
{
	size_t n_nodes = cluster->node_map.n, n_hosts = 0;

	for (size_t i = 0; i < cluster->n_services; i++)
		n_hosts += cluster->services[i].hosts.n;
	ret->n = 0;
	ret->v = pool_calloc(pool, n_hosts * (n_nodes + 1) + n_nodes + 1, sizeof(*ret->v));
	for (size_t i = 0; i < cluster->n_services; i++) {
		const struct service *service = &cluster->services[i];
		const char *of = pool_printf(pool, "service '%s'", service->name);

		for (size_t k = 0; k < service->hosts.n; k++)
			add_host(cluster, addresses, service->hosts.v[k], of, ret);
	}
	n_hosts = ret->n;
	for (size_t i = 0; i < n_nodes; i++)
		if (add_node(cluster, addresses, i, n_hosts, pool, ret, err) < 0)
			return -1;
	return 0;
}

/* --- what differs ---------------------------------------------------------------------- */

static bool is_ours(const struct dns_record *record, const char *mark)
{
	return strcmp(record->comment, mark) == 0;
}

static bool is_same(const struct dns_want *want, const struct dns_record *record)
{
	return want->address && strcmp(record->type, dns_type(want->address)) == 0 &&
	       strcmp(record->content, want->address) == 0;
}

/* Excludes another record of that name, or answers in its place. */
static bool is_address_like(const struct dns_record *record)
{
	return strcmp(record->type, "A") == 0 || strcmp(record->type, "AAAA") == 0 ||
	       strcmp(record->type, "CNAME") == 0;
}

struct comparison {
	const struct dns_wants *wants;
	struct dns_record **sorted; /* by name */
	size_t n_sorted;
	const char *mark;
	bool *kept; /* for each of sorted: it is what is wanted, or will be */
	bool *met;  /* for each want */
	struct dns_changes *changes;
	struct strbuf conflicts;
	size_t n_conflicts;
};

static int by_name(const void *a, const void *b)
{
	const struct dns_record *x = *(struct dns_record *const *)a;
	const struct dns_record *y = *(struct dns_record *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->id, y->id);
}

static size_t first_of_name(const struct comparison *c, const char *name)
{
	size_t low = 0, high = c->n_sorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(c->sorted[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

#define EACH_OF_NAME(c, i, wanted)                                                                 \
	for (size_t i = first_of_name(c, wanted);                                                  \
	     i < (c)->n_sorted && strcmp((c)->sorted[i]->name, wanted) == 0; i++)

static void add_change(struct comparison *c, enum dns_verb verb, const struct dns_record *record,
		       const struct dns_want *want)
{
	c->changes->v[c->changes->n++] =
		(struct dns_change) {.verb = verb, .record = record, .want = want};
}

static void add_conflict(struct comparison *c, const struct dns_want *want,
			 const struct dns_record *record)
{
	if (c->n_conflicts++ >= CONFLICTS_SHOWN)
		return;
	strbuf_addf(&c->conflicts, "%s%s %s %s", c->n_conflicts > 1 ? ", " : "", record->name,
		    record->type, record->content);
	if (strncmp(record->comment, "dynia-cluster:", 14) == 0)
		strbuf_addf(&c->conflicts, " (of cluster '%s')", record->comment + 14);
	strbuf_addf(&c->conflicts, " for %s", want->of);
}

/* One of ours that somebody has changed by hand. */
static bool is_changed(const struct dns_want *want, const struct dns_record *record)
{
	return record->proxied != want->proxied || record->ttl > TTL_AUTOMATIC;
}

/* Records that say what is wanted already, whoever made them, and those of others that say
 * something else. */
static void match_exactly(struct comparison *c, size_t w)
{
	const struct dns_want *want = &c->wants->v[w];

	EACH_OF_NAME(c, i, want->name)
	{
		const struct dns_record *record = c->sorted[i];
		bool ours = is_ours(record, c->mark);

		if (ours && !want->address) {
			/* As it is, until the address is known. */
			c->kept[i] = true;
			c->met[w] = true;
		} else if (is_same(want, record) && (ours || record->proxied == want->proxied)) {
			if (ours && is_changed(want, record))
				add_change(c, DNS_CHANGE, record, want);
			c->kept[i] = true;
			c->met[w] = true;
		}
	}
}

static void find_conflicts(struct comparison *c, size_t w)
{
	const struct dns_want *want = &c->wants->v[w];

	/* Several wants of one name: said once. */
	if (w && strcmp(c->wants->v[w - 1].name, want->name) == 0)
		return;
	EACH_OF_NAME(c, i, want->name)
	{
		const struct dns_record *record = c->sorted[i];

		if (!is_ours(record, c->mark) && is_address_like(record) && !c->kept[i])
			add_conflict(c, want, record);
	}
}

/* One of ours with another address becomes the record; else it is made. */
static void match_loosely(struct comparison *c, size_t w)
{
	const struct dns_want *want = &c->wants->v[w];

	if (c->met[w])
		return;
	EACH_OF_NAME(c, i, want->name)
	{
		const struct dns_record *record = c->sorted[i];

		if (c->kept[i] || !is_ours(record, c->mark) ||
		    strcmp(record->type, dns_type(want->address ? want->address : "0.0.0.0")) != 0)
			continue;
		c->kept[i] = true;
		add_change(c, DNS_CHANGE, record, want);
		return;
	}
	add_change(c, DNS_CREATE, NULL, want);
}

static int compare_all(struct comparison *c, struct err *err)
{
	for (size_t w = 0; w < c->wants->n; w++)
		match_exactly(c, w);
	for (size_t w = 0; w < c->wants->n; w++)
		find_conflicts(c, w);
	if (c->n_conflicts > CONFLICTS_SHOWN)
		strbuf_addf(&c->conflicts, ", and %zu more", c->n_conflicts - CONFLICTS_SHOWN);
	if (c->n_conflicts)
		return err_set(
			err, ERR_CONFIG,
			"records that are not this cluster's stand in the way (remove them, or "
			"give them the comment '%s' and they become its own): %s",
			c->mark, c->conflicts.buf);
	for (size_t w = 0; w < c->wants->n; w++)
		match_loosely(c, w);
	for (size_t i = 0; i < c->n_sorted; i++)
		if (is_ours(c->sorted[i], c->mark) && !c->kept[i])
			add_change(c, DNS_REMOVE, c->sorted[i], NULL);
	return 0;
}

int dns_compare(const struct dns_wants *wants, const struct dns_records *records, const char *mark,
		struct pool *pool, struct dns_changes *ret, struct err *err)
{
	AUTO_FREE struct dns_record **sorted = xcalloc(records->n + 1, sizeof(struct dns_record *));
	AUTO_FREE bool *kept = xcalloc(records->n + 1, sizeof(bool));
	AUTO_FREE bool *met = xcalloc(wants->n + 1, sizeof(bool));
	struct comparison c = {
		.wants = wants,
		.sorted = sorted,
		.n_sorted = records->n,
		.mark = mark,
		.kept = kept,
		.met = met,
		.changes = ret,
		.conflicts = STRBUF_INIT,
	};
	int failed;

	for (size_t i = 0; i < records->n; i++)
		sorted[i] = &records->v[i];
	qsort(sorted, records->n, sizeof(*sorted), by_name);
	ret->n = 0;
	ret->v = pool_calloc(pool, records->n + 2 * wants->n + 1, sizeof(*ret->v));
	failed = compare_all(&c, err);
	strbuf_release(&c.conflicts);
	return failed;
}

/* --- bringing it about ------------------------------------------------------------------ */

static void release_json(json_t **json)
{
	json_decref(*json);
}

static json_t *record_json(const struct dns_want *want, const char *mark)
{
	return json_pack("{ss ss ss si sb ss}", "type", dns_type(want->address), "name", want->name,
			 "content", want->address, "ttl", TTL_AUTOMATIC, "proxied",
			 (int)want->proxied, "comment", mark);
}

/* The next of those that can be made now, removals first: an address may go from one name to
 * another. Returns how many are in it. */
static size_t fill_batch(const struct dns_changes *changes, const char *mark, json_t *batch)
{
	static const struct {
		enum dns_verb verb;
		const char *key;
	} kinds[] = {{DNS_REMOVE, "deletes"}, {DNS_CHANGE, "patches"}, {DNS_CREATE, "posts"}};
	size_t n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		json_t *list = json_array();

		for (size_t i = 0; i < changes->n && n < CLOUDFLARE_BATCH_MAX; i++) {
			const struct dns_change *change = &changes->v[i];
			json_t *item;

			if (change->verb != kinds[k].verb ||
			    (change->want && !change->want->address))
				continue;
			item = change->want ? record_json(change->want, mark) : json_object();
			if (change->record)
				json_object_set_new(item, "id", json_string(change->record->id));
			json_array_append_new(list, item);
			n++;
		}
		if (json_array_size(list))
			json_object_set_new(batch, kinds[k].key, list);
		else
			json_decref(list);
	}
	return n;
}

struct syncing {
	struct api *api;
	const char *zone_id;
	const struct dns_wants *wants;
	const char *mark;
	const char *comment; /* of the records that are looked at; NULL: all of them */
	size_t left;         /* changes at the last look */
	size_t sent;
};

/* 1: all is as wanted; 0: a batch was sent; -1: failed, and *ret_again whether another look helps. */
static int one_round(struct syncing *s, bool *ret_again, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(release_json) json_t *batch = json_object();
	CLEANUP(release_json) json_t *answer = NULL;
	const char *path = pool_printf(pool, "/zones/%s/dns_records/batch", s->zone_id);
	struct dns_records records;
	struct dns_changes changes;
	size_t n;

	*ret_again = false;
	if (cloudflare_records(s->api, s->zone_id, s->comment, pool, &records, err) < 0 ||
	    dns_compare(s->wants, &records, s->mark, pool, &changes, err) < 0)
		return -1;
	n = fill_batch(&changes, s->mark, batch);
	if (!n)
		return 1;
	if (changes.n >= s->left) {
		*ret_again = true;
		return err_set(err, ERR_NETWORK,
			       "Cloudflare takes changes of records and does not show them");
	}
	if (api_try(s->api, "POST", path, batch, &answer, ret_again, err) < 0) {
		/* 81044 to 81058: there, or gone, since we looked. */
		*ret_again = *ret_again || (s->api->code >= 81044 && s->api->code <= 81058);
		return -1;
	}
	s->left = changes.n;
	s->sent += n;
	return 0;
}

static int sync(struct syncing *s, struct err *err)
{
	unsigned tried = 0;

	for (;;) {
		bool again;
		int done = one_round(s, &again, err);

		if (done > 0)
			return 0;
		if (done < 0 && (!again || api_pause(s->api, ++tried, err) < 0))
			return -1;
	}
}

int dns_sync(struct api *api, const char *zone_name, const struct dns_wants *wants,
	     const char *mark, size_t *ret_changed, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct syncing s = {.api = api, .wants = wants, .mark = mark, .left = SIZE_MAX};
	int failed;

	*ret_changed = 0;
	if (cloudflare_zone(api, zone_name, pool, &s.zone_id, err) < 0)
		return -1;
	failed = sync(&s, err);
	*ret_changed = s.sent;
	return failed;
}

int dns_clear(struct api *api, const char *zone_id, const char *mark, struct err *err)
{
	const struct dns_wants none = {0};
	struct syncing s = {.api = api,
			    .zone_id = zone_id,
			    .wants = &none,
			    .mark = mark,
			    .comment = mark,
			    .left = SIZE_MAX};

	return sync(&s, err);
}
