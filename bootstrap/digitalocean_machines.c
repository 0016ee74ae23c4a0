/* A cluster's droplets: which node has which, what a new one is made of, and the steps to those that are wanted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strvec.h"
#include "bootstrap/contact.h"
#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/drain.h"
#include "bootstrap/provider.h"
#include "bootstrap/user_data.h"

#define HOST_LABEL_MAX 63

int machines_take_size(void *arg, const json_t *item, struct err *err)
{
	struct boot *boot = arg;
	struct boot_cloud *cloud = &boot->cloud;
	const char *slug = json_text(item, "slug", boot->pool);

	(void)err;
	if (!slug)
		return 0;
	cloud->sizes = xreallocarray(cloud->sizes, cloud->n_sizes + 1, sizeof(*cloud->sizes));
	cloud->sizes[cloud->n_sizes++] = (struct size) {
		.slug = slug,
		.monthly = json_number_value(json_object_get(item, "price_monthly")),
		/* One that is sold out, or given up, is still listed. */
		.regions = json_is_false(json_object_get(item, "available"))
				   ? NULL
				   : json_object_get(item, "regions"),
	};
	json_array_append(cloud->answers, (json_t *)item);
	return 0;
}

/* --- which is whose --------------------------------------------------------------------------- */

/* It has what only one that is at work has: a reserved IP, or credentials that were brought to it. */
static bool is_in_use(const struct boot *boot, const struct droplet *droplet)
{
	for (size_t i = 0; i < boot->cloud.addresses.n; i++)
		if (boot->cloud.addresses.v[i].droplet_id == droplet->id)
			return true;
	return droplet->host_key != NULL;
}

static bool is_off(const struct droplet *droplet)
{
	return strcmp(droplet->status, "active") != 0 && strcmp(droplet->status, "new") != 0;
}

/* Whoever made another at the same moment takes that back: it is the younger one. */
static bool is_before(const struct boot *boot, const struct droplet *a, const struct droplet *b)
{
	bool used = is_in_use(boot, a);

	return used != is_in_use(boot, b) ? used : a->id < b->id;
}

/* Nobody but a person can tell which of them it is: another one is in use, or is up while this one is off. */
static int check_double(const struct boot *boot, const struct droplet *droplet,
			const struct droplet *other, struct err *err)
{
	const char *why = is_in_use(boot, other)              ? "both are in use"
			  : is_off(droplet) && !is_off(other) ? "one is off"
							      : NULL;

	if (!why)
		return 0;
	return err_set(err, ERR_CONFIG,
		       "two droplets are named '%s', %" PRId64 " (%s%s) and %" PRId64
		       " (%s%s), and "
		       "%s: destroy the one that is not wanted, or take the tag '%s' off it, at "
		       "https://cloud.digitalocean.com/droplets/ID, then run it again",
		       droplet->name, droplet->id, droplet->status,
		       is_in_use(boot, droplet) ? ", in use" : "", other->id, other->status,
		       is_in_use(boot, other) ? ", in use" : "", why, boot->mark);
}

static int match(struct boot *boot, struct boot_node *node, struct err *err)
{
	struct boot_cloud *cloud = &boot->cloud;
	struct droplets *all = &cloud->droplets;

	node->droplet = NULL;
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i].name, node->name) == 0 &&
		    (!node->droplet || is_before(boot, &all->v[i], node->droplet)))
			node->droplet = &all->v[i];
	/* All go: which of two is the node's does not matter then. */
	for (size_t i = 0; i < all->n && !boot->destroying; i++) {
		if (strcmp(all->v[i].name, node->name) != 0 || &all->v[i] == node->droplet)
			continue;
		if (check_double(boot, node->droplet, &all->v[i], err) < 0)
			return -1;
		cloud->doubles[cloud->n_doubles++] = all->v[i].id;
		if (boot->options.deliver_only)
			boot_note(
				boot,
				"two droplets are named '%s': dynia bootstrap apply takes %" PRId64
				" away",
				node->name, all->v[i].id);
	}
	return 0;
}

bool machines_is_double(const struct boot *boot, int64_t id)
{
	for (size_t i = 0; i < boot->cloud.n_doubles; i++)
		if (boot->cloud.doubles[i] == id)
			return true;
	return false;
}

int machines_match(struct boot *boot, struct err *err)
{
	boot->cloud.n_doubles = 0;
	boot->cloud.doubles =
		pool_calloc(boot->pool, boot->cloud.droplets.n + 1, sizeof(*boot->cloud.doubles));
	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];

		if (match(boot, node, err) < 0)
			return -1;
		if (node->droplet && !node->node->public_address)
			node->public_address = node->droplet->public_address;
		node->old_id = 0;
		if (!boot->options.replace || strcmp(boot->options.replace, node->node->name) != 0)
			continue;
		node->old_id = node->droplet ? node->droplet->id : 0;
		node->droplet = NULL;
		node->public_address = node->node->public_address;
	}
	return 0;
}

/* --- what a droplet is made of --------------------------------------------------------------- */

static bool has_region(const struct size *size, const char *region)
{
	const json_t *item;
	size_t i;

	json_array_foreach(size->regions, i, item)
	{
		const char *slug = json_string_value(item);

		if (slug && strcmp(slug, region) == 0)
			return true;
	}
	return false;
}

static const struct size *find_size(const struct boot *boot, const char *slug)
{
	for (size_t i = 0; i < boot->cloud.n_sizes; i++)
		if (strcmp(boot->cloud.sizes[i].slug, slug) == 0)
			return &boot->cloud.sizes[i];
	return NULL;
}

static int check_size(const struct boot *boot, const struct boot_node *node,
		      const struct size **ret, struct err *err)
{
	CLEANUP(strvec_release) struct strvec slugs = STRVEC_INIT;
	const char *near;

	*ret = find_size(boot, node->size);
	if (*ret && has_region(*ret, node->region))
		return 0;
	if (*ret)
		return err_set(
			err, ERR_CONFIG,
			"node '%s': DigitalOcean has no size '%s' in region '%s' now: choose "
			"another size or region",
			node->node->name, node->size, node->region);
	for (size_t i = 0; i < boot->cloud.n_sizes; i++)
		strvec_push(&slugs, boot->cloud.sizes[i].slug);
	near = slugs.n ? nearest_word(node->size, (const char *const *)slugs.v) : NULL;
	return err_set(err, ERR_CONFIG, "node '%s': DigitalOcean has no size '%s'%s%s%s",
		       node->node->name, node->size, near ? ": did you mean '" : "",
		       near ? near : "", near ? "'?" : "");
}

static bool any_to_create(const struct boot *boot)
{
	for (size_t i = 0; i < boot->n_nodes; i++)
		if (!boot->nodes[i].droplet)
			return true;
	return false;
}

struct finding_keys {
	struct boot *boot;
	bool *found;
	const char *twice; /* a wanted name that two keys have; NULL: none */
	struct strbuf names;
};

static int take_key(void *arg, const json_t *item, struct err *err)
{
	struct finding_keys *f = arg;
	const struct spec_strings *wanted = &boot_config(f->boot)->ssh_keys;
	const char *name = json_text(item, "name", f->boot->pool);
	const char *fingerprint = json_text(item, "fingerprint", f->boot->pool);
	int64_t id = json_number(item, "id");
	bool taken = false;

	(void)err;
	strbuf_addf(&f->names, "%s%s", f->names.len ? ", " : "", name ? name : "");
	for (size_t i = 0; i < wanted->n; i++) {
		bool is_it = (name && strcmp(wanted->v[i], name) == 0) ||
			     (fingerprint && strcmp(wanted->v[i], fingerprint) == 0);

		if (!is_it || id <= 0)
			continue;
		if (f->found[i]) {
			f->twice = wanted->v[i];
			continue;
		}
		f->found[i] = true;
		/* Once, also where it is named and its fingerprint, too. */
		if (!taken)
			json_array_append_new(f->boot->cloud.key_ids, json_integer(id));
		taken = true;
	}
	return 0;
}

int machines_find_keys(struct boot *boot, struct err *err)
{
	const struct spec_strings *wanted = &boot_config(boot)->ssh_keys;
	AUTO_FREE bool *found = xcalloc(wanted->n + 1, sizeof(*found));
	struct finding_keys f = {.boot = boot, .found = found, .names = STRBUF_INIT};
	int failed = 0;

	if (!any_to_create(boot))
		return 0;
	boot->cloud.key_ids = json_array();
	if (!wanted->n) {
		boot_note(boot, "provider.digitalocean.ssh_keys names no key: nobody will be able "
				"to log in to a new droplet but by the console");
		return 0;
	}
	failed = digitalocean_each(&boot->cloud.api, "/v2/account/keys", "ssh_keys", take_key, &f,
				   err);
	for (size_t i = 0; i < wanted->n && !failed; i++)
		if (!found[i])
			failed = err_set(err, ERR_CONFIG,
					 "provider.digitalocean.ssh_keys: the account has no key "
					 "'%s'; it has: %.300s",
					 wanted->v[i], f.names.len ? f.names.buf : "none");
	if (f.twice && !failed)
		failed = err_set(
			err, ERR_CONFIG,
			"provider.digitalocean.ssh_keys: the account has two keys '%s': write the "
			"fingerprint of the one that is meant",
			f.twice);
	strbuf_release(&f.names);
	return failed;
}

/* --- the plan -------------------------------------------------------------------------- */

/* An image that is written as a number has another name in the API. */
static bool is_of_another_image(const struct boot *boot, const struct droplet *droplet)
{
	const char *wanted = boot_config(boot)->image;

	return droplet->image && wanted[strspn(wanted, "0123456789")] &&
	       strcmp(droplet->image, wanted) != 0;
}

static void note_difference(struct boot *boot, const struct boot_node *node)
{
	const struct droplet *droplet = node->droplet;
	const char *image = boot_config(boot)->image;
	bool other_image = is_of_another_image(boot, droplet);

	if (strcmp(droplet->size, node->size) == 0 && strcmp(droplet->region, node->region) == 0 &&
	    !other_image)
		return;
	boot_note(boot,
		  "droplet '%s' is %s in %s, %s, and cluster.yaml says %s in %s, %s: --replace %s "
		  "makes it so",
		  node->name, droplet->size, droplet->region, other_image ? droplet->image : image,
		  node->size, node->region, image, node->node->name);
}

int machines_plan(struct boot *boot, struct err *err)
{
	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];
		struct contact contact = {0};
		const struct size *size;
		struct boot_step *step;
		const char *ignored;

		if (node->droplet) {
			if (strcmp(node->droplet->status, "new") == 0) {
				step = boot_add(boot, BOOT_MACHINES, BOOT_WAIT, "droplet",
						node->name, &work_droplet);
				step->node = node;
			} else if (strcmp(node->droplet->status, "active") != 0) {
				boot_note(boot,
					  "droplet '%s' is %s: power it on, or take another with "
					  "--replace %s",
					  node->name, node->droplet->status, node->node->name);
			}
			note_difference(boot, node);
			continue;
		}
		if (strlen(node->name) > HOST_LABEL_MAX)
			return err_set(
				err, ERR_CONFIG,
				"node '%s': its droplet's name '%s' is longer than %d characters, "
				"the most of a host name: give the node a shorter one",
				node->node->name, node->name, HOST_LABEL_MAX);
		/* A key like the one that it will get: the whole must fit. */
		if (check_size(boot, node, &size, err) < 0 ||
		    (boot_config(boot)->ssh_keys.n &&
		     contact_new(boot->pool, boot->cluster->name, &contact, err) < 0) ||
		    user_data_text(boot->cluster, node->node, contact.private_key, boot->pool,
				   &ignored, err) < 0)
			return -1;
		step = boot_add(boot, BOOT_MACHINES, BOOT_CREATE, "droplet", node->name,
				&work_droplet);
		step->node = node;
		step->detail = pool_printf(boot->pool, "%s in %s, %s", node->size, node->region,
					   boot_config(boot)->image);
		step->because = node->old_id ? "--replace" : "";
		step->monthly = size->monthly;
	}
	return 0;
}

void machines_add_delete(struct boot *boot, enum boot_phase phase, const struct droplet *droplet,
			 const char *because)
{
	struct boot_step *step =
		boot_add(boot, phase, BOOT_DELETE, "droplet", droplet->name, &work_delete_droplet);

	step->id = droplet->id;
	step->detail = pool_printf(boot->pool, "%s in %s%s%s", droplet->size, droplet->region,
				   droplet->public_address ? ", " : "",
				   droplet->public_address ? droplet->public_address : "");
	step->because = because;
	step->monthly = -droplet->monthly;
	step->interrupts = true;
}

static void plan_double(struct boot *boot, const struct droplet *droplet)
{
	const struct boot_node *node = boot->nodes;

	while (strcmp(node->name, droplet->name) != 0)
		node++;
	machines_add_delete(boot, BOOT_REMOVE, droplet,
			    pool_printf(boot->pool,
					"it is %" PRId64 ", and %" PRId64
					" of the same name is the node's",
					droplet->id,
					node->droplet ? node->droplet->id : node->old_id));
}

void machines_plan_removals(struct boot *boot)
{
	bool any = false;

	for (size_t i = 0; i < boot->cloud.droplets.n; i++) {
		const struct droplet *droplet = &boot->cloud.droplets.v[i];

		if (!boot_is_extra(boot, droplet))
			continue;
		if (!any)
			drain_plan_removal(boot);
		any = true;
		machines_add_delete(boot, BOOT_REMOVE, droplet, "cluster.yaml names no such node");
	}
	if (!any && boot->cloud.n_doubles)
		drain_plan(boot, BOOT_DRAIN);
	for (size_t i = 0; i < boot->cloud.droplets.n; i++)
		if (machines_is_double(boot, boot->cloud.droplets.v[i].id))
			plan_double(boot, &boot->cloud.droplets.v[i]);
}

void machines_plan_replacement(struct boot *boot)
{
	for (size_t i = 0; i < boot->cloud.droplets.n; i++) {
		const struct droplet *droplet = &boot->cloud.droplets.v[i];

		for (size_t k = 0; k < boot->n_nodes; k++) {
			if (boot->nodes[k].old_id != droplet->id)
				continue;
			drain_plan(boot, BOOT_LEAVE);
			machines_add_delete(boot, BOOT_LEAVE, droplet, "--replace");
		}
	}
}
