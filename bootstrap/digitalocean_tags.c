/* The tags at DigitalOcean by which things are known: made, given to a droplet, taken away. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "bootstrap/contact.h"
#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/provider.h"

#define TAG_TRIES 5

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* --- tag --------------------------------------------------------------------------------- */

struct finding_tag {
	struct boot *boot;
	int64_t droplet;
	const char *tag;
	bool no_droplet; /* what find_tagged() found */
};

static int find_any_tag(void *arg, struct err *err)
{
	struct finding_tag *f = arg;

	return tag_look_for(&f->boot->cloud.api, f->tag, f->boot->pool, err);
}

int tag_make(struct boot *boot, const char *tag, struct err *err)
{
	struct finding_tag f = {.boot = boot, .tag = tag};
	CLEANUP(release_json) json_t *body = json_pack("{ss}", "name", tag);
	CLEANUP(release_json) json_t *answer = NULL;

	return api_create(&boot->cloud.api, "/v2/tags", body, find_any_tag, &f, &answer, err) < 0
		       ? -1
		       : 0;
}

static int start_tag(struct boot *boot, struct boot_step *step, struct err *err)
{
	return tag_make(boot, step->name, err) < 0 ? -1 : boot_done(boot, step);
}

/* --- the tags by which a droplet is known -------------------------------------------------- */

static int delete_tag(struct boot *boot, const char *kind, const char *hex, struct err *err)
{
	const char *tag = key_tag(boot->pool, kind, boot->cluster->name, hex);
	const char *path = pool_printf(boot->pool, "/v2/tags/%s", api_escape(boot->pool, tag));

	return api_send(&boot->cloud.api, "DELETE", path, NULL, NULL, err);
}

/* Does the droplet have it? */
static int find_tagged(void *arg, struct err *err)
{
	struct finding_tag *f = arg;
	struct api *api = &f->boot->cloud.api;
	const char *path = pool_printf(f->boot->pool, "/v2/droplets/%" PRId64, f->droplet);
	CLEANUP(release_json) json_t *answer = NULL;
	const json_t *item;
	size_t i;

	if (api_get(api, path, &answer, err) < 0) {
		f->no_droplet = api->status == 404;
		return -1;
	}
	json_array_foreach(json_object_get(json_object_get(answer, "droplet"), "tags"), i, item)
	{
		const char *tag = json_string_value(item);

		if (tag && strcmp(tag, f->tag) == 0)
			return 1;
	}
	return 0;
}

/* Until it has been given to the droplet the tag is on nothing, and another run, which takes it for one that was left
 * behind, may delete it, also a moment too late, when the droplet has it: then it is made once more. */
static int add_tag(struct boot *boot, int64_t droplet, const char *tag, struct err *err)
{
	struct finding_tag f = {.boot = boot, .droplet = droplet, .tag = tag};
	struct api *api = &boot->cloud.api;
	const char *path =
		pool_printf(boot->pool, "/v2/tags/%s/resources", api_escape(boot->pool, tag));
	CLEANUP(release_json)
	json_t *resources =
		json_pack("{s[{ss ss}]}", "resources", "resource_id",
			  pool_printf(boot->pool, "%" PRId64, droplet), "resource_type", "droplet");

	for (unsigned tried = 0; tried < TAG_TRIES; tried++) {
		CLEANUP(release_json) json_t *answer = NULL;
		int found;

		if (tag_make(boot, tag, err) < 0)
			return -1;
		if (api_create(api, path, resources, find_tagged, &f, &answer, err) < 0) {
			if (api->status != 404 || f.no_droplet)
				return -1;
			err_clear(err);
			continue;
		}
		found = find_any_tag(&f, err);
		if (found)
			return found < 0 ? -1 : 0;
	}
	return err_set(
		err, ERR_NETWORK,
		"tag '%s' was gone %d times as soon as it was made: run it again when nobody "
		"else does",
		tag, TAG_TRIES);
}

int droplet_pin(struct boot *boot, struct droplet *droplet, const char *host_key, struct err *err)
{
	if (!droplet->host_key &&
	    add_tag(boot, droplet->id,
		    key_tag(boot->pool, HOST_KEY_TAG, boot->cluster->name, host_key), err) < 0)
		return -1;
	droplet->host_key = host_key;
	if (droplet->contact && delete_tag(boot, CONTACT_TAG, droplet->contact, err) < 0)
		return -1;
	droplet->contact = NULL;
	return 0;
}

int droplet_unpin(struct boot *boot, int64_t id, struct err *err)
{
	for (size_t i = 0; i < boot->cloud.droplets.n; i++) {
		const struct droplet *droplet = &boot->cloud.droplets.v[i];

		if (droplet->id != id)
			continue;
		if (droplet->contact && delete_tag(boot, CONTACT_TAG, droplet->contact, err) < 0)
			return -1;
		if (droplet->host_key && delete_tag(boot, HOST_KEY_TAG, droplet->host_key, err) < 0)
			return -1;
	}
	return 0;
}

/* --- what goes ----------------------------------------------------------------------------- */

static int start_delete_tag(struct boot *boot, struct boot_step *step, struct err *err)
{
	return cloud_delete_at(boot, step, "/v2/tags", err);
}

/* Somebody else may have given it to a droplet since. */
static int start_delete_loose_tag(struct boot *boot, struct boot_step *step, struct err *err)
{
	const char *path =
		pool_printf(boot->pool, "/v2/tags/%s", api_escape(boot->pool, step->key));
	CLEANUP(release_json) json_t *answer = NULL;

	if (api_get(&boot->cloud.api, path, &answer, err) < 0) {
		if (boot->cloud.api.status != 404)
			return -1;
		err_clear(err);
		return boot_done(boot, step);
	}
	if (tag_is_loose(json_object_get(answer, "tag")))
		return cloud_delete_at(boot, step, "/v2/tags", err);
	step->detail = "kept: a droplet has it now";
	return boot_done(boot, step);
}

const struct boot_work work_tag = {.start = start_tag};
const struct boot_work work_delete_tag = {.start = start_delete_tag};
const struct boot_work work_delete_loose_tag = {.start = start_delete_loose_tag};
