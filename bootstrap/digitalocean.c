#include "bootstrap/digitalocean.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "bootstrap/contact.h"

#define PER_PAGE "200"
/* A list that goes on for ever ends here: 100,000 elements. */
#define PAGES_MAX 500
#define ASSIGN_TRIES 6

const struct api_kind digitalocean_api = {
	.name = "DigitalOcean",
	.url = "https://api.digitalocean.com",
	.url_variable = "DIGITALOCEAN_API_URL",
	.token_variable = "DIGITALOCEAN_TOKEN",
	.permissions = "droplet, reserved_ip, firewall, vpc and tag: create, read, update, delete; "
		       "ssh_key, sizes, actions: read",
	.per_minute = 200,
};

const char *cluster_mark(struct pool *pool, const char *cluster)
{
	return pool_printf(pool, "dynia-cluster:%s", cluster);
}

const char *droplet_name(struct pool *pool, const char *cluster, const char *node)
{
	return pool_printf(pool, "%s-%s", cluster, node);
}

const char *address_tag(struct pool *pool, const char *cluster, const char *ip)
{
	char *tag = pool_printf(pool, ADDRESS_TAG "%s:%s", cluster, ip);

	/* A tag has no dots. */
	for (char *c = tag; *c; c++)
		if (*c == '.')
			*c = '-';
	return tag;
}

/* --- lists ----------------------------------------------------------------------------- */

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* The address of the next page is the API's own; the token goes to ours only, so its path and query
 * are all that is taken, and they must be the list's. */
static int next_path(const struct api *api, const json_t *answer, const char *path, char **ret,
		     struct err *err)
{
	const json_t *pages = json_object_get(json_object_get(answer, "links"), "pages");
	const json_t *link = json_object_get(pages, "next");
	const char *next = json_string_value(link);
	const char *at = next ? strstr(next, "/v2/") : NULL;
	size_t len = strcspn(path, "?");

	*ret = NULL;
	if (!link || json_is_null(link))
		return 0;
	if (!at || strncmp(at, path, len) != 0 || at[len] != '?' || strpbrk(at, " \t\r\n#\\"))
		return err_set(err, ERR_NETWORK, "%s: the next page of %.*s is another thing",
			       api->kind->name, (int)len, path);
	*ret = xstrdup(at);
	return 0;
}

static int one_page(const struct api *api, const json_t *answer, const char *key, each_fn *fn,
		    void *arg, struct err *err)
{
	const json_t *list, *item;
	size_t i;

	if (api_need_list(api, answer, key, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, item) if (fn(arg, item, err) < 0) return -1;
	return 0;
}

int digitalocean_each(struct api *api, const char *path, const char *key, each_fn *fn, void *arg,
		      struct err *err)
{
	AUTO_FREE char *at =
		xasprintf("%s%sper_page=" PER_PAGE, path, strchr(path, '?') ? "&" : "?");

	for (unsigned page = 0; page < PAGES_MAX; page++) {
		CLEANUP(release_json) json_t *answer = NULL;
		char *next;

		if (api_get(api, at, &answer, err) < 0 ||
		    one_page(api, answer, key, fn, arg, err) < 0 ||
		    next_path(api, answer, path, &next, err) < 0)
			return -1;
		if (!next)
			return 0;
		if (strcmp(next, at) == 0) {
			free(next);
			return err_set(err, ERR_NETWORK, "%s: the next page of %s is the same page",
				       api->kind->name, path);
		}
		free(at);
		at = next;
	}
	return err_set(err, ERR_LIMIT, "%s: %s has more than %d pages", api->kind->name, path,
		       PAGES_MAX);
}

/* --- droplets -------------------------------------------------------------------------- */

static int no_such(const struct api *api, const char *what, const char *key, struct err *err)
{
	return err_set(err, ERR_NETWORK, "%s's answer has a %s without '%s'", api->kind->name, what,
		       key);
}

static void take_addresses(const json_t *json, struct pool *pool, struct droplet *ret)
{
	const json_t *list = json_object_get(json_object_get(json, "networks"), "v4");
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *address = json_text(item, "ip_address", pool);
		const char *type = json_text(item, "type", pool);

		if (!address || !type || !is_ipv4(address))
			continue;
		if (strcmp(type, "public") == 0 && !ret->public_address)
			ret->public_address = address;
		else if (strcmp(type, "private") == 0 && !ret->private_address)
			ret->private_address = address;
	}
}

static void take_tags(const json_t *json, struct pool *pool, struct droplet *ret)
{
	const struct {
		const char *kind;
		const char **ret;
	} rows[] = {{CONTACT_TAG, &ret->contact}, {HOST_KEY_TAG, &ret->host_key}};
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(json, "tags"), i, item)
	{
		const char *tag = json_string_value(item);

		for (size_t k = 0; tag && k < ARRAY_SIZE(rows); k++) {
			const char *hex = key_tag_hex(tag, rows[k].kind);

			if (hex)
				*rows[k].ret = pool_strdup(pool, hex);
		}
	}
}

bool has_mark(const json_t *thing, const char *mark)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(thing, "tags"), i, item)
	{
		const char *tag = json_string_value(item);

		if (tag && strcasecmp(tag, mark) == 0)
			return true;
	}
	return false;
}

int droplet_read(const struct api *api, const json_t *json, struct pool *pool, struct droplet *ret,
		 struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->id = json_number(json, "id");
	ret->name = json_text(json, "name", pool);
	ret->status = json_text(json, "status", pool);
	ret->size = json_text(json, "size_slug", pool);
	ret->region = json_text(json_object_get(json, "region"), "slug", pool);
	ret->image = json_text(json_object_get(json, "image"), "slug", pool);
	ret->monthly =
		json_number_value(json_object_get(json_object_get(json, "size"), "price_monthly"));
	if (ret->id <= 0)
		return no_such(api, "droplet", "id", err);
	if (!ret->name)
		return no_such(api, "droplet", "name", err);
	if (!ret->status)
		return no_such(api, "droplet", "status", err);
	ret->size = ret->size ? ret->size : "";
	ret->region = ret->region ? ret->region : "";
	take_addresses(json, pool, ret);
	take_tags(json, pool, ret);
	return 0;
}

struct collecting {
	const struct api *api;
	struct pool *pool;
	const char *mark;
	void *v;
	size_t n;
	size_t alloc;
};

static int take_droplet(void *arg, const json_t *item, struct err *err)
{
	struct collecting *c = arg;
	struct droplet *v = c->v;

	if (!json_is_array(json_object_get(item, "tags")))
		return no_such(c->api, "droplet", "tags", err);
	/* What is not marked as ours is nothing that we know of, whatever a list says. */
	if (!has_mark(item, c->mark))
		return 0;
	GROW(v, c->n, c->alloc);
	c->v = v;
	return droplet_read(c->api, item, c->pool, &v[c->n++], err);
}

/* From the heap into the pool. */
static void *settle(struct collecting *c, size_t size)
{
	void *v = pool_calloc(c->pool, c->n + 1, size);

	if (c->n)
		memcpy(v, c->v, c->n * size);
	free(c->v);
	return v;
}

int droplets_list(struct api *api, const char *tag, struct pool *pool, struct droplets *ret,
		  struct err *err)
{
	struct collecting c = {.api = api, .pool = pool, .mark = tag};
	const char *path = pool_printf(pool, "/v2/droplets?tag_name=%s", api_escape(pool, tag));
	int failed = digitalocean_each(api, path, "droplets", take_droplet, &c, err);

	ret->v = settle(&c, sizeof(*ret->v));
	ret->n = c.n;
	return failed;
}

int droplets_find(const struct droplets *droplets, const char *name, struct droplet **ret,
		  struct err *err)
{
	*ret = NULL;
	for (size_t i = 0; i < droplets->n; i++) {
		struct droplet *droplet = &droplets->v[i];

		if (strcmp(droplet->name, name) != 0)
			continue;
		if (*ret)
			return err_set(err, ERR_CONFIG,
				       "two droplets are named '%s', %" PRId64 " and %" PRId64
				       ": dynia bootstrap plan says which of them goes, and "
				       "apply takes it away",
				       name, (*ret)->id, droplet->id);
		*ret = droplet;
	}
	return 0;
}

/* --- tags ------------------------------------------------------------------------------ */

int tag_look_for(struct api *api, const char *tag, struct pool *pool, struct err *err)
{
	const char *path = pool_printf(pool, "/v2/tags/%s", api_escape(pool, tag));
	CLEANUP(release_json) json_t *answer = NULL;

	if (api_get(api, path, &answer, err) == 0)
		return 1;
	if (api->status != 404)
		return -1;
	err_clear(err);
	return 0;
}

bool tag_is_loose(const json_t *tag)
{
	const json_t *count = json_object_get(json_object_get(tag, "resources"), "count");

	return json_is_integer(count) && json_integer_value(count) == 0;
}

/* --- reserved IPs ---------------------------------------------------------------------- */

int reserved_ip_read(const struct api *api, const json_t *json, const char *mark, struct pool *pool,
		     struct reserved_ip *ret, struct err *err)
{
	const json_t *droplet = json_object_get(json, "droplet");
	const char *region = json_text(json_object_get(json, "region"), "slug", pool);

	*ret = (struct reserved_ip) {
		.ip = json_text(json, "ip", pool),
		.region = region ? region : "",
		.droplet_id = json_number(droplet, "id"),
		.droplet_name = json_text(droplet, "name", pool),
		.is_foreign = json_is_object(droplet) && !has_mark(droplet, mark),
		.locked = json_is_true(json_object_get(json, "locked")),
	};
	if (!ret->ip || !is_ipv4(ret->ip))
		return no_such(api, "reserved IP", "ip", err);
	return 0;
}

static int take_reserved(void *arg, const json_t *item, struct err *err)
{
	struct collecting *c = arg;
	struct reserved_ip *v = c->v;

	GROW(v, c->n, c->alloc);
	c->v = v;
	return reserved_ip_read(c->api, item, c->mark, c->pool, &v[c->n++], err);
}

int reserved_ips_list(struct api *api, const char *mark, struct pool *pool,
		      struct reserved_ips *ret, struct err *err)
{
	struct collecting c = {.api = api, .pool = pool, .mark = mark};
	int failed =
		digitalocean_each(api, "/v2/reserved_ips", "reserved_ips", take_reserved, &c, err);

	ret->v = settle(&c, sizeof(*ret->v));
	ret->n = c.n;
	return failed;
}

static int look_at(struct api *api, const char *ip, const char *mark, struct pool *pool,
		   struct reserved_ip *ret, struct err *err)
{
	CLEANUP(release_json) json_t *answer = NULL;
	const char *path = pool_printf(pool, "/v2/reserved_ips/%s", api_escape(pool, ip));

	if (api_get(api, path, &answer, err) < 0) {
		if (api->status == 404)
			return err_set(err, ERR_CONFIG,
				       "%s is no reserved IP of this account: take it out of "
				       "vip.address, and dynia bootstrap apply reserves one",
				       ip);
		return -1;
	}
	return reserved_ip_read(api, json_object_get(answer, "reserved_ip"), mark, pool, ret, err);
}

static int assign(struct api *api, const char *ip, int64_t droplet_id, bool *ret_again,
		  struct err *err)
{
	CLEANUP(release_json)
	json_t *body = droplet_id ? json_pack("{ss sI}", "type", "assign", "droplet_id",
					      (json_int_t)droplet_id)
				  : json_pack("{ss}", "type", "unassign");
	CLEANUP(release_json) json_t *answer = NULL;
	AUTO_FREE char *path = xasprintf("/v2/reserved_ips/%s/actions", ip);

	return api_try(api, "POST", path, body, &answer, ret_again, err);
}

/* Refused: another run may have done it since we looked. The error stays as it is where it has not. */
static bool is_so(struct api *api, const char *ip, const char *mark, int64_t droplet_id,
		  struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	long status = api->status;
	struct err ignored = {0};
	struct reserved_ip now;

	if (look_at(api, ip, mark, pool, &now, &ignored) == 0 && now.droplet_id == droplet_id) {
		err_clear(err);
		return true;
	}
	if (api->status != 404)
		api->status = status;
	return false;
}

/* Looks again after each try: an answer that was lost, or an action that ended in an error, shows
 * in where the address is. */
int reserved_ip_hold(struct api *api, const char *ip, const char *mark, int64_t droplet_id,
		     int64_t deadline_ms, bool *ret_moved, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	int64_t end = clock_ms() + deadline_ms;
	unsigned tried = 0;

	if (ret_moved)
		*ret_moved = false;
	for (;;) {
		struct reserved_ip now;
		bool again = false;

		if (look_at(api, ip, mark, pool, &now, err) < 0)
			return -1;
		if (now.is_foreign)
			return err_set(
				err, ERR_CONFIG,
				"the reserved IP %s is assigned to droplet '%s', which does not "
				"bear the tag '%s': unassign it, or name another address",
				ip, now.droplet_name ? now.droplet_name : "?", mark);
		if (now.droplet_id == droplet_id && !now.locked)
			return 0;
		if (clock_ms() > end || tried > ASSIGN_TRIES)
			return err_set(err, ERR_NETWORK,
				       "reserved IP %s does not move to droplet %" PRId64
				       ": look at its actions in the control panel, then run it "
				       "again",
				       ip, droplet_id);
		if (!now.locked) {
			tried++;
			if (assign(api, ip, droplet_id, &again, err) < 0) {
				if (again ? api_pause(api, tried, err) < 0
					  : !is_so(api, ip, mark, droplet_id, err))
					return -1;
				continue;
			}
			if (ret_moved)
				*ret_moved = true;
		}
		clock_sleep_ms(api->wait_ms);
	}
}
