/*
 * Credentials from the operator's folder to the nodes, through the real ssh: on its standard input,
 * never in an argument, and only to a host that has proved who it is (bootstrap/contact.h).
 *
 * The folder holds files with the names that they have in /etc/dynia on a node: what cluster.yaml names
 * below provider.digitalocean.agent (token, id_ed25519, webhook-secret, …), and secrets.yaml. A file in
 * a subfolder with a node's name is for that node, instead of the one above it.
 *
 * The other end is `dynia credentials install` (reconciler/credentials.h). The message is JSON:
 * {"version": 1, "cluster": …, "node": …, "files": {NAME: TEXT}}; the answer
 * {"version": 1, "host_key": "ssh-ed25519 …", "changed": [NAME, …]}.
 */
#ifndef BOOTSTRAP_DELIVER_H
#define BOOTSTRAP_DELIVER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "spec/model.h"

/* Where they are on a node; only there can they be delivered to. */
#define CREDENTIALS_FOLDER "/etc/dynia/"
#define CREDENTIALS_MESSAGE_MAX ((size_t)4 << 20)

/* Does cluster.yaml name a file that a node needs and user-data does not bring? */
bool deliver_is_needed(const struct cluster *cluster);
/* The folder has what the node needs, readable by nobody else, and nothing that nobody asks for. */
int deliver_check(const struct cluster *cluster, const char *folder, const char *node,
		  struct err *err);
/* The message for the node; to be wiped. */
int deliver_message(const struct cluster *cluster, const char *folder, const char *node,
		    struct strbuf *ret, struct err *err);

#endif
