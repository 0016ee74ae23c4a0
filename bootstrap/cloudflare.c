#include "bootstrap/cloudflare.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"

#define PER_PAGE 1000
#define PAGES_MAX 500
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

static int take_page(const struct api *api, const json_t *list, struct pool *pool,
		     struct dns_records *records, size_t *alloc, struct err *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		GROW(records->v, records->n, *alloc);
		if (dns_record_read(api, item, pool, &records->v[records->n++], err) < 0)
			return -1;
	}
	return 0;
}

/* Where it is not told how many there are, the one that is not full. */
static bool is_last(const json_t *info, unsigned page, size_t n)
{
	int64_t pages = json_number(info, "total_pages");

	return !n || (pages > 0 ? pages <= page : n < PER_PAGE);
}

static int list_pages(struct api *api, const char *zone_id, struct pool *pool,
		      struct dns_records *found, struct err *err)
{
	size_t alloc = 0;

	for (unsigned page = 1; page <= PAGES_MAX; page++) {
		const char *path = pool_printf(pool, "/zones/%s/dns_records?per_page=%d&page=%u",
					       zone_id, PER_PAGE, page);
		CLEANUP(release_json) json_t *answer = NULL;
		const json_t *list;

		if (api_get(api, path, &answer, err) < 0 ||
		    api_need_list(api, answer, "result", &list, err) < 0 ||
		    take_page(api, list, pool, found, &alloc, err) < 0)
			return -1;
		if (is_last(json_object_get(answer, "result_info"), page, json_array_size(list)))
			return 0;
	}
	return err_set(err, ERR_LIMIT, "the zone has more than %d records", PAGES_MAX * PER_PAGE);
}

int cloudflare_records(struct api *api, const char *zone_id, struct pool *pool,
		       struct dns_records *ret, struct err *err)
{
	struct dns_records found = {0};
	int failed = list_pages(api, zone_id, pool, &found, err);

	ret->n = found.n;
	ret->v = pool_calloc(pool, found.n + 1, sizeof(*ret->v));
	if (found.n)
		memcpy(ret->v, found.v, found.n * sizeof(*ret->v));
	free(found.v);
	return failed;
}
