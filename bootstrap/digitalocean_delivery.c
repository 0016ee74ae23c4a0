/* Which of a cluster's droplets credentials are brought to, and the tags that such droplets leave behind. */
#include <string.h>

#include "base/cleanup.h"
#include "bootstrap/contact.h"
#include "bootstrap/deliver.h"
#include "bootstrap/digitalocean_parts.h"
#include "bootstrap/provider.h"

static int add_delivery(struct boot *boot, struct boot_node *node, struct err *err)
{
	struct boot_step *step;

	if (deliver_check(boot->cluster, boot->options.credentials, node->node->name, err) < 0)
		return -1;
	step = boot_add(boot, BOOT_DELIVER, BOOT_SEND, "credentials", node->node->name,
			&work_deliver);
	step->node = node;
	return 0;
}

int delivery_plan_first(struct boot *boot, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf waiting = STRBUF_INIT;
	bool has_keys = boot_config(boot)->ssh_keys.n > 0;

	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];

		if (node->droplet && !node->droplet->contact)
			continue;
		if (!boot->options.credentials) {
			if (node->droplet || has_keys)
				strbuf_addf(&waiting, "%s%s", waiting.len ? ", " : "",
					    node->node->name);
			continue;
		}
		if (!node->droplet && !has_keys)
			return err_set(err, ERR_CONFIG,
				       "--credentials: nobody can bring them to '%s': "
				       "provider.digitalocean.ssh_keys names no key that may log "
				       "in. Name yours",
				       node->node->name);
		if (add_delivery(boot, node, err) < 0)
			return -1;
	}
	if (waiting.len && deliver_is_needed(boot->cluster))
		boot_note(boot,
			  "no credentials were brought to %s: dynia bootstrap credentials "
			  "--credentials DIR does that",
			  waiting.buf);
	return 0;
}

int delivery_plan(struct boot *boot, struct err *err)
{
	for (size_t i = 0; i < boot->n_nodes; i++) {
		struct boot_node *node = &boot->nodes[i];
		const char *only = boot->options.only_node;

		if (only && strcmp(only, node->node->name) != 0)
			continue;
		if (!node->droplet)
			boot_note(boot, "node '%s' has no droplet: dynia bootstrap apply makes it",
				  node->node->name);
		else if (add_delivery(boot, node, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_known_by(const struct droplet *droplet, const char *tag)
{
	const char *contact = key_tag_hex(tag, CONTACT_TAG);
	const char *host_key = key_tag_hex(tag, HOST_KEY_TAG);

	return (contact && droplet->contact && strcmp(contact, droplet->contact) == 0) ||
	       (host_key && droplet->host_key && strcmp(host_key, droplet->host_key) == 0);
}

void delivery_plan_loose_tags(struct boot *boot)
{
	struct boot_cloud *cloud = &boot->cloud;

	for (size_t i = 0; i < cloud->loose_tags.n; i++) {
		const char *tag = pool_strdup(boot->pool, cloud->loose_tags.v[i]);
		struct boot_step *step;
		bool known = false;

		for (size_t k = 0; k < cloud->droplets.n && !known; k++)
			known = is_known_by(&cloud->droplets.v[k], tag);
		if (known)
			continue;
		step = boot_add(boot, BOOT_LAST, BOOT_DELETE, "tag", tag, &work_delete_loose_tag);
		step->key = tag;
		step->because = "its droplet is gone";
	}
}
