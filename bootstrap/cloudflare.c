#include "bootstrap/cloudflare.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"

#define PER_PAGE 1000
#define PAGES_MAX 500
#define ZONES_PER_PAGE 50
#define ID_MAX 32

const struct api_kind cloudflare_api = {
	.name = "Cloudflare",
	.url = "https://api.cloudflare.com/client/v4",
	.url_variable = "CLOUDFLARE_API_URL",
	.token_variable = "CLOUDFLARE_API_TOKEN",
	.permissions = "Zone:Read and DNS:Edit on the zone",
	.per_minute = 200,
};

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* Becomes part of a path. */
static bool is_id(const char *id)
{
	return id && *id && strlen(id) <= ID_MAX && !id[strspn(id, "0123456789abcdef")];
}

int cloudflare_zone(struct api *api, const char *name, struct pool *pool, const char **ret_id,
		    struct err *err)
{
	const char *path = pool_printf(pool, "/zones?name=%s", api_escape(pool, name));
	CLEANUP(release_json) json_t *answer = NULL;
	const json_t *list, *zone;
	size_t i;

	if (api_get(api, path, &answer, err) < 0 ||
	    api_need_list(api, answer, "result", &list, err) < 0)
		return -1;
	json_array_foreach(list, i, zone)
	{
		const char *found = json_text(zone, "name", pool);
		const char *id = json_text(zone, "id", pool);

		if (!found || strcmp(found, name) != 0 || !is_id(id))
			continue;
		*ret_id = id;
		return 0;
	}
	return err_set(err, ERR_CONFIG,
		       "Cloudflare shows no zone '%s' to this token: is dns.cloudflare.zone right, "
		       "and is the zone among the token's resources?",
		       name);
}

int dns_record_read(const struct api *api, const json_t *json, struct pool *pool,
		    struct dns_record *ret, struct err *err)
{
	const char *comment = json_text(json, "comment", pool);

	*ret = (struct dns_record) {
		.id = json_text(json, "id", pool),
		.name = json_text(json, "name", pool),
		.type = json_text(json, "type", pool),
		.content = json_text(json, "content", pool),
		.comment = comment ? comment : "",
		.ttl = json_number(json, "ttl"),
		.proxied = json_is_true(json_object_get(json, "proxied")),
	};
	if (!is_id(ret->id) || !ret->name || !ret->type)
		return err_set(err, ERR_NETWORK,
			       "%s's answer has a record without id, name or type",
			       api->kind->name);
	/* Some types have their content in data only; it is of no interest here. */
	if (!ret->content)
		ret->content = "";
	return 0;
}

/* --- lists ------------------------------------------------------------------------------------ */

typedef int take_fn(void *arg, const json_t *item, struct err *err);

/* Where it is not told how many there are, the one that is not full. */
static bool is_last(const json_t *info, unsigned page, unsigned per_page, size_t n)
{
	int64_t pages = json_number(info, "total_pages");

	return !n || (pages > 0 ? pages <= page : n < per_page);
}

/* 1: that was the last page; 0: there are more. */
static int one_page(struct api *api, const char *path, unsigned per_page, unsigned page,
		    take_fn *take, void *arg, struct err *err)
{
	CLEANUP(release_json) json_t *answer = NULL;
	const json_t *list, *item;
	size_t i;

	if (api_get(api, path, &answer, err) < 0 ||
	    api_need_list(api, answer, "result", &list, err) < 0)
		return -1;
	json_array_foreach(list, i, item) if (take(arg, item, err) < 0) return -1;
	return is_last(json_object_get(answer, "result_info"), page, per_page,
		       json_array_size(list));
}

struct taking {
	struct api *api;
	struct pool *pool;
	struct dns_records records;
	size_t alloc;
	struct zones *zones;
};

static int take_record(void *arg, const json_t *item, struct err *err)
{
	struct taking *t = arg;
	struct dns_records *records = &t->records;

	GROW(records->v, records->n, t->alloc);
	return dns_record_read(t->api, item, t->pool, &records->v[records->n++], err);
}

static int list_records(struct taking *t, const char *zone_id, const char *comment, struct err *err)
{
	for (unsigned page = 1; page <= PAGES_MAX; page++) {
		const char *path =
			pool_printf(t->pool, "/zones/%s/dns_records?per_page=%d&page=%u%s%s",
				    zone_id, PER_PAGE, page, comment ? "&comment.exact=" : "",
				    comment ? api_escape(t->pool, comment) : "");
		int last = one_page(t->api, path, PER_PAGE, page, take_record, t, err);

		if (last)
			return last < 0 ? -1 : 0;
	}
	return err_set(err, ERR_LIMIT, "the zone has more than %d records", PAGES_MAX * PER_PAGE);
}

int cloudflare_records(struct api *api, const char *zone_id, const char *comment, struct pool *pool,
		       struct dns_records *ret, struct err *err)
{
	struct taking t = {.api = api, .pool = pool};
	int failed = list_records(&t, zone_id, comment, err);

	ret->n = t.records.n;
	ret->v = pool_calloc(pool, ret->n + 1, sizeof(*ret->v));
	if (ret->n)
		memcpy(ret->v, t.records.v, ret->n * sizeof(*ret->v));
	free(t.records.v);
	return failed;
}

/* What is no zone is passed over: nothing is looked for in it. */
static int take_zone(void *arg, const json_t *item, struct err *err)
{
	struct taking *t = arg;
	const char *id = json_text(item, "id", t->pool);
	const char *name = json_text(item, "name", t->pool);

	if (!name || !is_id(id))
		return 0;
	if (t->zones->n == CLOUDFLARE_ZONES_MAX)
		return err_set(err, ERR_LIMIT, "the token sees more than %d zones",
			       CLOUDFLARE_ZONES_MAX);
	t->zones->v[t->zones->n++] = (struct zone) {.id = id, .name = name};
	return 0;
}

int cloudflare_zones(struct api *api, struct pool *pool, struct zones *ret, struct err *err)
{
	struct taking t = {.api = api, .pool = pool, .zones = ret};
	int last = 0;

	ret->n = 0;
	ret->v = pool_calloc(pool, CLOUDFLARE_ZONES_MAX, sizeof(*ret->v));
	for (unsigned page = 1; !last && page <= PAGES_MAX; page++) {
		const char *path =
			pool_printf(pool, "/zones?per_page=%d&page=%u", ZONES_PER_PAGE, page);

		last = one_page(api, path, ZONES_PER_PAGE, page, take_zone, &t, err);
	}
	return last < 0 ? -1 : 0;
}
