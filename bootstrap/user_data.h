/*
 * What turns a bare droplet into a node: a cloud-config for cloud-init. It installs dynia and what
 * dynia runs, writes /etc/dynia/agent.yaml, and starts the agent.
 *
 * Whoever is on the droplet can read it for as long as the droplet lives (the metadata service asks
 * for no password), so it holds no lasting secret: credentials are named by their files, which reach
 * the node by another way (bootstrap/deliver.h), and the contact key (bootstrap/contact.h) is worth
 * nothing from then on.
 */
#ifndef BOOTSTRAP_USER_DATA_H
#define BOOTSTRAP_USER_DATA_H

#include "base/err.h"
#include "base/pool.h"
#include "spec/model.h"

/* DigitalOcean takes no more. */
#define USER_DATA_MAX 65536

/* In the pool. contact_key: a private key, or NULL: none. ERR_CONFIG where cluster.yaml does not say how a node gets its package or finds its
 * repository. */
int user_data_text(const struct cluster *cluster, const struct node *node, const char *contact_key,
		   struct pool *pool, const char **ret, struct err *err);

#endif
