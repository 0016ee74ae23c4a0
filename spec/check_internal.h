/* What the files of the cross-checks share. */
#ifndef SPEC_CHECK_INTERNAL_H
#define SPEC_CHECK_INTERNAL_H

#include "base/diag.h"
#include "spec/model.h"

/* Reports at a key of cluster.yaml, as "ingress.stats.port". */
void report_cluster(struct diags *diags, const struct cluster *cluster, const char *key,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Reports at a place of a service's file; line 0 stands for its beginning. */
void report_service(struct diags *diags, const struct service *service, struct spec_pos pos,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Reports at a node's name in cluster.yaml. */
void report_node(struct diags *diags, const struct cluster *cluster, const struct node *node,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Rules about nodes, in check_nodes.c. */
void check_node_count(const struct cluster *cluster, struct diags *diags);
void check_node_addresses(const struct cluster *cluster, struct diags *diags);
void check_node_loopback(const struct cluster *cluster, struct diags *diags);
void check_node_priorities(const struct cluster *cluster, struct diags *diags);
void check_node_provider(const struct cluster *cluster, struct diags *diags);
void check_provider(const struct cluster *cluster, struct diags *diags);
void check_network(const struct cluster *cluster, struct diags *diags);
void check_rollout(const struct cluster *cluster, struct diags *diags);
void check_vip(const struct cluster *cluster, struct diags *diags);

/* Rules about services, in check_services.c. */
void check_hosts(const struct cluster *cluster, struct diags *diags);
void check_default_service(const struct cluster *cluster, struct diags *diags);
void check_host_zone(const struct cluster *cluster, struct diags *diags);
void check_wildcard_certificates(const struct cluster *cluster, struct diags *diags);
void check_service_nodes(const struct cluster *cluster, struct diags *diags);
void check_service_resources(const struct cluster *cluster, struct diags *diags);

/* In check_ports.c. */
void check_ports(const struct cluster *cluster, struct diags *diags);

/* Reservations above limits, for whoever has resources. `key` is where they stand in the file. */
void check_resources(struct diags *diags, const char *path, const struct yaml_node *yaml,
		     const char *key, const struct resources *resources);

#endif
