/*
 * What a repository says, as C structs: filled by the tables (spec/tables.h), checked across files
 * by spec/check.h, read by render/ and the reconciler. Everything hangs in the pool of one struct
 * spec.
 *
 * A member's unit is in its name. Absent strings are NULL. Every default is filled in.
 */
#ifndef SPEC_MODEL_H
#define SPEC_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "spec/table.h"
#include "spec/yaml.h"

/* --- shared pieces ------------------------------------------------------------------- */

struct limits {
	int64_t memory_bytes; /* 0: none */
	int64_t cpus_milli;
	int64_t pids;
};

struct reservations {
	int64_t memory_bytes;
	int64_t cpus_milli;
};

struct resources {
	struct limits limits;
	struct reservations reservations;
};

/* --- agent.yaml ---------------------------------------------------------------------- */

struct credentials {
	struct spec_pos pos;
	const char *username;
	const char *password_file;
	const char *ssh_key;
	const char *known_hosts;
};

struct verify {
	struct spec_pos pos;
	const char *signers; /* one of the two at least */
	const char *keyring;
};

struct status_config {
	const char *repository;          /* NULL: the same as the definitions */
	struct credentials *credentials; /* NULL: the definitions' on the same host, else none */
	int64_t heartbeat_ms;
	int64_t keep;
	const char *signing_key; /* NULL: status commits are not signed */
};

struct webhook_config {
	struct spec_pos pos;
	const char *secret_file; /* one of the two */
	const char *secret;      /* a name in secrets.yaml */
};

struct agent_config {
	int64_t version;
	struct spec_strings repository; /* tried in order */
	const char *branch;
	const char *cluster;
	const char *node; /* NULL: the host name, less the cluster's name before it */
	int64_t interval_ms;
	int64_t deadline_ms;
	struct credentials *credentials; /* NULL: none */
	const char *ca_file;             /* NULL: the machine's authorities */
	const char *proxy;               /* NULL: none */
	struct verify *verify;           /* NULL: none */
	struct status_config status;
	const char *docker; /* the Engine API's socket */
	const char *listen;
	struct webhook_config *webhook; /* NULL: none */
};

/* --- cluster.yaml -------------------------------------------------------------------- */

struct node {
	const char *name; /* first: the engine puts the map's key here */
	struct spec_pos pos;
	int64_t priority; /* 0: by position, 250, 240, … */
	const char *address;
	const char *public_address;
	struct spec_pairs labels;
	const char *size; /* provider overrides, NULL: the cluster's */
	const char *region;
};

enum vip_move { VIP_MOVE_VRRP, VIP_MOVE_DIGITALOCEAN };

struct vip {
	struct spec_pos pos;
	const char *address;
	int move; /* enum vip_move */
	const char *interface;
	int64_t router_id;
	int64_t advert_interval_ms;
};

enum runtime { RUNTIME_SYSTEM, RUNTIME_CONTAINER, RUNTIME_PROCESS };
enum tls_mode { TLS_ORIGIN, TLS_ACME, TLS_FILES, TLS_CADDY, TLS_OFF };
enum client_address { CLIENT_DIRECT, CLIENT_CLOUDFLARE, CLIENT_PROXY_PROTOCOL };

struct tls {
	struct spec_pos pos;
	int mode;          /* enum tls_mode */
	const char *email; /* acme and caddy: the account's contact, or NULL */
};

struct rate_limit {
	struct spec_pos pos;
	int64_t requests;
	int64_t window_ms;
};

struct stats {
	struct spec_pos pos;
	int64_t port;
	struct spec_strings from; /* prefixes, besides loopback */
	const char *user;
	struct spec_value password;
};

struct images {
	const char *haproxy;
	const char *caddy;
};

struct ingress_resources {
	struct resources haproxy;
	struct resources caddy;
};

struct ingress {
	struct spec_pos pos;
	int runtime; /* enum runtime */
	struct spec_pos runtime_pos;
	int64_t http_port;
	int64_t https_port;
	int64_t caddy_port;
	int64_t health_port; /* loopback: what keepalived and the agent ask */
	struct tls tls;
	int64_t max_connections;
	struct rate_limit *rate_limit; /* NULL: none */
	int client_address;            /* enum client_address */
	struct spec_pos client_address_pos;
	struct spec_strings proxies; /* proxy_protocol: prefixes whose header is believed */
	bool compression;
	struct spec_pairs headers; /* value "" takes a default header away */
	struct stats stats;
	struct images images;
	struct ingress_resources resources;
};

struct network {
	const char *name;
	const char *subnet;
};

struct firewall {
	struct spec_pos pos;
	struct spec_strings ssh_from;
	struct spec_strings internal;
};

enum rollout_strategy { ROLLOUT_ROLLING, ROLLOUT_ALL };

struct rollout {
	int strategy; /* enum rollout_strategy */
	int64_t max_unavailable;
	int64_t health_timeout_ms;
};

/* Where images come from that not everybody may have. */
struct registry {
	const char *name; /* HOST or HOST:PORT; first: the engine puts the map's key here */
	struct spec_pos pos;
	const char *username;
	struct spec_value password;
};

enum volumes_policy { VOLUMES_KEEP, VOLUMES_REMOVE };

struct removed_services {
	int volumes; /* enum volumes_policy */
};

/* How a new machine gets dynia: a file with its digest, or an apt source with its key. */
struct package {
	struct spec_pos pos;
	const char *url;
	const char *sha256;
	const char *source;
	const char *key;
};

/* Files of a new machine's that are no secret; NULL: not brought. */
struct public_files {
	const char *ca;          /* to ca_file */
	const char *known_hosts; /* to credentials.known_hosts */
	const char *signers;     /* to verify.signers */
	const char *keyring;     /* to verify.keyring; base64 */
};

/* What a new machine's agent.yaml says, less its version, cluster and node. */
struct first_agent {
	struct agent_config config; /* first: FIELDS_OF_EVERY_NODE */
	struct public_files files;
	struct spec_pos pos;
};

enum cloud_firewall { CLOUD_FIREWALL_AUTO, CLOUD_FIREWALL_ALWAYS, CLOUD_FIREWALL_NEVER };

struct digitalocean {
	struct spec_pos pos;
	const char *region;
	const char *size;
	const char *image;
	const char *vpc;
	const char *ip_range;
	struct spec_strings ssh_keys;
	bool monitoring;
	int cloud_firewall;        /* enum cloud_firewall */
	struct package *package;   /* NULL: none */
	struct first_agent *agent; /* NULL: none */
};

struct provider {
	struct digitalocean *digitalocean; /* NULL: none */
};

struct cloudflare {
	struct spec_pos pos;
	const char *zone;
	bool proxied;
};

struct dns {
	struct cloudflare *cloudflare; /* NULL: none */
};

/* --- a service ----------------------------------------------------------------------- */

struct health {
	struct spec_pos pos;
	const char *path; /* asked through the ingress with the service's host; NULL: not asked */
	struct spec_strings command; /* asked inside the container; empty: not asked */
	int64_t interval_ms;
	int64_t timeout_ms;
	int64_t retries;
	int64_t start_period_ms;
};

enum update_order { UPDATE_AUTO, UPDATE_START_FIRST, UPDATE_STOP_FIRST };

struct update {
	int order; /* enum update_order */
	struct spec_pos order_pos;
};

struct respond {
	struct spec_pos pos;
	int64_t status;
	const char *body;
	const char *content_type;
};

/* One file of a service's folder. */
struct service_file {
	const char *path; /* relative to the service's folder */
	const char *data;
	size_t len;
	bool executable;
};

/* One parsed element of `volumes:`. */
struct volume {
	const char *source; /* a named volume, or a path relative to the service's folder with the
			       "./" taken off */
	const char *target;
	bool is_path;
	bool read_only;
};

enum service_kind { SERVICE_IMAGE, SERVICE_COMPOSE, SERVICE_STATIC, SERVICE_RESPOND };

struct service {
	const char *name;
	const char *path; /* of its YAML file in the repository */
	const struct yaml_node *yaml;
	int64_t version;
	enum service_kind kind;

	struct spec_strings hosts;
	bool is_default;
	struct spec_pos default_pos;

	const char *image;
	const char *compose; /* relative to the service's folder */
	const struct yaml_node
		*compose_yaml; /* that file, parsed leniently; NULL for the other kinds */
	const char *entry;     /* the compose service that answers */
	const char *site;      /* static: relative to the service's folder */
	struct respond *respond;
	struct spec_pos image_pos, compose_pos, entry_pos, site_pos;

	int64_t port;    /* in the container; 0 where there is none */
	int64_t publish; /* on the node's loopback; filled in from the name where not given */
	struct spec_pos publish_pos;
	struct spec_pos port_pos;
	struct spec_env env;
	struct spec_strings volumes;
	struct volume *mounts; /* volumes.n of them, parsed */
	struct health health;
	struct resources resources;
	struct spec_pos resources_pos;
	struct update update;
	struct spec_selector nodes;
	struct spec_pos nodes_pos;

	const char *folder; /* "clusters/shop/services/api", or NULL for a service of one file */
	struct service_file *files; /* of that folder (less service.yaml), sorted by path */
	size_t n_files;
};

struct cluster {
	const char *name;
	const char *path; /* of cluster.yaml */
	const struct yaml_node *yaml;

	int64_t version;
	const char *domain;
	struct spec_map node_map; /* struct node; see cluster_node() */
	struct vip *vip;          /* NULL: none */
	struct ingress ingress;
	struct network network;
	struct firewall *firewall; /* NULL: left alone */
	struct rollout rollout;
	struct spec_map registry_map; /* struct registry; see cluster_registry() */
	struct removed_services removed_services;
	struct provider provider;
	struct dns dns;

	struct service *services; /* sorted by name */
	size_t n_services;
};

struct spec {
	struct pool *pool;
	struct cluster *clusters; /* sorted by name */
	size_t n_clusters;
};

struct cluster *spec_cluster(const struct spec *spec, const char *name);
/* The nodes in the order of the file. */
struct node *cluster_node(const struct cluster *cluster, size_t i);
struct node *cluster_find_node(const struct cluster *cluster, const char *name);
struct service *cluster_service(const struct cluster *cluster, const char *name);
/* The login for an image's registry, or NULL: anybody may have the image. */
const struct registry *cluster_registry(const struct cluster *cluster, const char *image);
/* Does the service run in containers? */
bool service_has_containers(const struct service *service);
/* Is its new container started beside the old one, where it can be? */
bool service_starts_first(const struct service *service);
/* Does the service run on the node? */
bool service_on_node(const struct service *service, const struct node *node);
/* VRRP priority: the given one, or 250 less 10 for each node before it. */
int64_t node_priority(const struct cluster *cluster, const struct node *node);

#endif
