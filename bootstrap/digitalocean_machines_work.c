/* Droplets: created all at the same time and waited for, and deleted. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bootstrap/contact.h"
#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/provider.h"
#include "bootstrap/user_data.h"

/* A list of droplets that is older than this is read again before one is created. */
#define LIST_FRESH_MS 30000

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* --- droplets ---------------------------------------------------------------------------- */

struct finding_droplet {
	struct boot *boot;
	struct boot_node *node;
	unsigned asked;
};

static int list_again(struct boot *boot, struct err *err)
{
	struct boot_cloud *cloud = &boot->cloud;

	if (droplets_list(&cloud->api, boot->mark, boot->pool, &cloud->droplets, err) < 0)
		return -1;
	cloud->listed_ms = clock_ms();
	return 0;
}

static bool is_listed(const struct boot *boot, int64_t id)
{
	for (size_t i = 0; i < boot->cloud.droplets.n; i++)
		if (boot->cloud.droplets.v[i].id == id)
			return true;
	return false;
}

/* The droplet of the node in the list, but for one that goes. Of several the oldest: whoever made another
 * at the same moment takes that back. */
static void take_from_list(struct boot *boot, struct boot_node *node)
{
	struct droplets *all = &boot->cloud.droplets;

	node->droplet = NULL;
	for (size_t i = 0; i < all->n; i++) {
		struct droplet *droplet = &all->v[i];

		if (droplet->id != node->old_id && !machines_is_double(boot, droplet->id) &&
		    strcmp(droplet->name, node->name) == 0 &&
		    (!node->droplet || droplet->id < node->droplet->id))
			node->droplet = droplet;
	}
}

/* Before the first try the list will do, where it is fresh; before another one it is read again. */
static int find_droplet(void *arg, struct err *err)
{
	struct finding_droplet *f = arg;
	bool stale = clock_ms() - f->boot->cloud.listed_ms > LIST_FRESH_MS;

	if ((f->asked++ || stale) && list_again(f->boot, err) < 0)
		return -1;
	take_from_list(f->boot, f->node);
	return f->node->droplet != NULL;
}

static json_t *droplet_json(const struct boot *boot, const struct boot_node *node, const char *text,
			    const char *contact_tag)
{
	return json_pack("{ss ss ss ss sO sb s[ss*] ss ss*}", "name", node->name, "region",
			 node->region, "size", node->size, "image", boot_config(boot)->image,
			 "ssh_keys", boot->cloud.key_ids, "monitoring",
			 (int)boot_config(boot)->monitoring, "tags", boot->mark, contact_tag,
			 "user_data", text, "vpc_uuid", boot->cloud.vpc);
}

static int start_droplet(struct boot *boot, struct boot_step *step, struct err *err)
{
	struct finding_droplet f = {.boot = boot, .node = step->node};
	CLEANUP(release_json) json_t *body = NULL;
	CLEANUP(release_json) json_t *answer = NULL;
	struct contact contact = {0};
	const json_t *links;
	const char *text;
	int found;

	if (step->verb == BOOT_WAIT)
		return 0;
	/* Where no key of a person's is on it, nobody will come by ssh. */
	if (boot_config(boot)->ssh_keys.n &&
	    contact_new(boot->pool, boot->cluster->name, &contact, err) < 0)
		return -1;
	if (user_data_text(boot->cluster, step->node->node, contact.private_key, boot->pool, &text,
			   err) < 0)
		return -1;
	body = droplet_json(boot, step->node, text, contact.tag);
	found = api_create(&boot->cloud.api, "/v2/droplets", body, find_droplet, &f, &answer, err);
	if (found < 0)
		return err_wrap(err, "droplet '%s'", step->name);
	step->id = json_number(json_object_get(answer, "droplet"), "id");
	links = json_object_get(json_object_get(answer, "links"), "actions");
	step->action = json_number(json_array_get(links, 0), "id");
	boot_set(boot, step, BOOT_RUNNING, found ? "is there, and starts" : "starts");
	return 0;
}

static int delete_droplet(struct boot *boot, int64_t id, struct err *err)
{
	const char *path = pool_printf(boot->pool, "/v2/droplets/%" PRId64, id);

	if (api_send(&boot->cloud.api, "DELETE", path, NULL, NULL, err) < 0)
		return -1;
	return droplet_unpin(boot, id, err);
}

/* --- until they are up --------------------------------------------------------------------- */

/* Another run, which did not see this one's, made the node's droplet first: the API itself has nothing against two
 * of one name. Nothing has been on ours yet. */
static int take_back(struct boot *boot, struct boot_step *step, struct err *err)
{
	if (delete_droplet(boot, step->id, err) < 0)
		return err_wrap(err, "droplet '%s', which another run made, too", step->name);
	step->id = step->action = 0;
	boot_set(boot, step, BOOT_RUNNING, "another run made it: this one's is taken back");
	return 0;
}

static int look_at_action(struct boot *boot, struct boot_step *step, struct err *err)
{
	CLEANUP(release_json) json_t *answer = NULL;
	const char *path = pool_printf(boot->pool, "/v2/actions/%" PRId64, step->action);
	const char *status;

	if (api_get(&boot->cloud.api, path, &answer, err) < 0)
		return -1;
	status = json_text(json_object_get(answer, "action"), "status", boot->pool);
	if (status && strcmp(status, "errored") == 0)
		boot_set(
			boot, step, BOOT_FAILED,
			pool_printf(boot->pool,
				    "DigitalOcean could not create it: try again with --replace %s",
				    step->node->node->name));
	return 0;
}

/* Was another made by this run? It is not taken back before it is seen, with the mark on it, and not forgotten either. */
static bool is_beside(const struct boot_step *step, const struct droplet *droplet)
{
	return step->id && step->id != droplet->id;
}

static int look_at_droplet(struct boot *boot, struct boot_step *step, bool with_action,
			   struct err *err)
{
	struct boot_node *node = step->node;
	const struct droplet *droplet;

	take_from_list(boot, node);
	droplet = node->droplet;
	if (droplet && is_beside(step, droplet) && is_listed(boot, step->id) &&
	    take_back(boot, step, err) < 0)
		return -1;
	if (droplet && !is_beside(step, droplet) && strcmp(droplet->status, "active") == 0 &&
	    droplet->public_address) {
		if (!node->node->public_address)
			node->public_address = droplet->public_address;
		step->detail =
			pool_printf(boot->pool, "%s%s%s", droplet->public_address,
				    droplet->private_address ? ", " : "",
				    droplet->private_address ? droplet->private_address : "");
		return boot_done(boot, step);
	}
	if (clock_ms() - step->began_ms > boot->options.machine_ms) {
		boot_set(boot, step, BOOT_FAILED,
			 pool_printf(boot->pool,
				     "is not up in time: look at its console, then --replace %s",
				     node->node->name));
		return 0;
	}
	return with_action && step->action ? look_at_action(boot, step, err) : 0;
}

/* One list for all of them, however many, and the action of one of them in turn: within the rate limit. */
static int poll_droplets(struct boot *boot, struct boot_step *steps, size_t n, struct err *err)
{
	size_t turn = boot->cloud.polls++ % n;

	clock_sleep_ms(boot->cloud.api.wait_ms);
	boot_tick(boot);
	if (list_again(boot, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (steps[i].state == BOOT_RUNNING &&
		    look_at_droplet(boot, &steps[i], i == turn, err) < 0)
			return -1;
	return 0;
}

/* --- those that go -------------------------------------------------------------------------- */

/* Does it bear the mark still? A question, a drain or other droplets have taken their time since the plan. */
static int look_whether_ours(struct boot *boot, int64_t id, bool *ret, struct err *err)
{
	const struct boot_cloud *cloud = &boot->cloud;

	if (clock_ms() - cloud->listed_ms > cloud->api.wait_ms && list_again(boot, err) < 0)
		return -1;
	*ret = is_listed(boot, id);
	return 0;
}

static int start_delete_droplet(struct boot *boot, struct boot_step *step, struct err *err)
{
	struct boot_node *node = boot_node_of(boot, step->id);
	bool ours;

	if (look_whether_ours(boot, step->id, &ours, err) < 0)
		return -1;
	if (!ours) {
		step->detail = "is gone, or does not bear the cluster's tag any more";
		return boot_done(boot, step);
	}
	if (delete_droplet(boot, step->id, err) < 0)
		return err_wrap(err, "droplet '%s'", step->name);
	if (node)
		node->droplet = NULL;
	return boot_done(boot, step);
}

const struct boot_work work_droplet = {start_droplet, poll_droplets};
const struct boot_work work_delete_droplet = {.start = start_delete_droplet};
