/* cluster.yaml, row by row. */
#include <assert.h>

#include "spec/model.h"
#include "spec/table_shared.h"
#include "spec/tables.h"
#include "spec/words.h"

#define PORT .min = 1, .max = 65535

/* Docker refuses to start a container with less than 6 MiB. */
#define MEMORY_MIN (6 << 20)

static const struct field limits_fields[] = {
	{"memory", FIELD_SIZE, FIELD_AT(struct limits, memory_bytes), .min = MEMORY_MIN,
	 .help = "the most memory; a container that wants more is killed",
	 .example = "memory: 256M"},
	{"cpus", FIELD_MILLI, FIELD_AT(struct limits, cpus_milli), .min = 10, .max = 1024000,
	 .help = "the most processor time, in processors", .example = "cpus: 0.5"},
	{"pids", FIELD_INT, FIELD_AT(struct limits, pids), .min = 1, .max = 4194304,
	 .help = "the most processes and threads", .example = "pids: 200"},
	FIELD_END,
};

static const struct field reservations_fields[] = {
	{"memory", FIELD_SIZE, FIELD_AT(struct reservations, memory_bytes), .min = MEMORY_MIN,
	 .help = "the memory that is kept for it when the node runs short",
	 .example = "memory: 128M"},
	{"cpus", FIELD_MILLI, FIELD_AT(struct reservations, cpus_milli), .min = 10, .max = 1024000,
	 .help = "the processor time that it gets where others want it too, in processors",
	 .example = "cpus: 0.25"},
	FIELD_END,
};

const struct field resources_fields[] = {
	{"limits", FIELD_STRUCT, FIELD_AT(struct resources, limits), .fields = limits_fields,
	 .help = "what it can never exceed; what is absent is not limited"},
	{"reservations", FIELD_STRUCT, FIELD_AT(struct resources, reservations),
	 .fields = reservations_fields,
	 .help = "what it is sure to get; never more than the limit"},
	FIELD_END,
};

static const struct field node_fields[] = {
	{"priority", FIELD_INT, FIELD_AT(struct node, priority), .min = 1, .max = 254,
	 .help = "the VRRP priority: the highest healthy node holds the address; by default 250 "
		 "for the first node "
		 "and 10 less for each one after it",
	 .example = "priority: 110"},
	{"address", FIELD_STRING, FIELD_AT(struct node, address), .check = check_address,
	 .help = "the address on the nodes' own network; by default the one that the node "
		 "publishes in its status",
	 .example = "address: 10.108.0.2"},
	{"public_address", FIELD_STRING, FIELD_AT(struct node, public_address),
	 .check = check_address,
	 .help = "the address by which the world reaches the node; by default the one that it "
		 "publishes",
	 .example = "public_address: 203.0.113.20"},
	{"labels", FIELD_MAP_STRINGS, FIELD_AT(struct node, labels), .max = 63,
	 .check = check_label, .check_key = check_label, .pattern = PATTERN_WORD,
	 .help = "words to choose nodes by in a service's nodes", .example = "labels: {disk: ssd}"},
	{"size", FIELD_STRING, FIELD_AT(struct node, size), .check = check_word,
	 .pattern = PATTERN_WORD, .help = "another size of machine than provider.digitalocean.size",
	 .example = "size: s-2vcpu-4gb"},
	{"region", FIELD_STRING, FIELD_AT(struct node, region), .check = check_word,
	 .pattern = PATTERN_WORD, .help = "another region than provider.digitalocean.region",
	 .example = "region: sgp1"},
	FIELD_END,
};

static const char *const vip_moves[] = {
	[VIP_MOVE_VRRP] = "vrrp", [VIP_MOVE_DIGITALOCEAN] = "digitalocean", NULL};

static const struct field vip_fields[] = {
	{"address", FIELD_STRING, FIELD_AT(struct vip, address), .check = check_address,
	 .help = "the address that moves to the node that serves; may be absent with move: "
		 "digitalocean, and dynia bootstrap reserves one",
	 .example = "address: 203.0.113.10"},
	{"move", FIELD_CHOICE, FIELD_AT(struct vip, move), .choices = vip_moves, .def = "vrrp",
	 .help = "how it moves: vrrp, an address on the nodes' own network; digitalocean, a "
		 "reserved IP that is "
		 "assigned by the API"},
	{"interface", FIELD_STRING, FIELD_AT(struct vip, interface), .required = true,
	 .check = check_interface, .pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$",
	 .help = "the network interface on which the nodes speak VRRP to one another, unicast",
	 .example = "interface: eth1"},
	{"router_id", FIELD_INT, FIELD_AT(struct vip, router_id), .min = 1, .max = 255, .def = "51",
	 .help = "the VRRP router id: another one for each cluster that shares a network"},
	{"advert_interval", FIELD_DURATION, FIELD_AT(struct vip, advert_interval_ms), .min = 10,
	 .max = 40950, .def = "1s",
	 .help = "how often the holder says that it is there; a dead node is noticed after three "
		 "of them. Keep 1s in "
		 "a cloud, where a machine may pause"},
	FIELD_END,
};

static const char *const tls_modes[] = {
	[TLS_ORIGIN] = "origin", [TLS_ACME] = "acme", [TLS_FILES] = "files",
	[TLS_CADDY] = "caddy",   [TLS_OFF] = "off",   NULL};

static const struct field tls_fields[] = {
	{"mode", FIELD_CHOICE, FIELD_AT(struct tls, mode), .choices = tls_modes, .def = "files",
	 .help = "where certificates are from: origin, a Cloudflare origin certificate; acme, one "
		 "that the node asks "
		 "for; files, what you put on the node; caddy, Caddy gets them and answers without "
		 "HAProxy; off, no "
		 "TLS"},
	{"email", FIELD_STRING, FIELD_AT(struct tls, email), .check = check_email,
	 .help = "the contact of the ACME account, for acme and caddy",
	 .example = "email: ops@example.com"},
	FIELD_END,
};

static const struct field rate_limit_fields[] = {
	{"requests", FIELD_INT, FIELD_AT(struct rate_limit, requests), .min = 1, .max = 1000000,
	 .def = "300",
	 .help = "how many requests a client address may make in the window; more are answered "
		 "429"},
	{"window", FIELD_DURATION, FIELD_AT(struct rate_limit, window_ms), .min = 1000,
	 .max = 86400000, .def = "10s", .help = "the time over which requests are counted"},
	FIELD_END,
};

static const struct field stats_fields[] = {
	{"port", FIELD_INT, FIELD_AT(struct stats, port), PORT, .def = "8404",
	 .help = "where HAProxy's read-only statistics page answers"},
	{"from", FIELD_STRINGS, FIELD_AT(struct stats, from), .unique = true, .check = check_cidr,
	 .pattern = PATTERN_CIDR,
	 .help = "prefixes that may see it; by default loopback only. Needs user and password",
	 .example = "from: [10.108.0.0/20]"},
	{"user", FIELD_STRING, FIELD_AT(struct stats, user), .check = check_user,
	 .pattern = "^[A-Za-z0-9._@+-]+$", .help = "the user name of the page",
	 .example = "user: admin"},
	{"password", FIELD_VALUE, FIELD_AT(struct stats, password), .check = check_text,
	 .help = "the password of the page", .example = "password: {secret: stats-password}"},
	FIELD_END,
};

static const struct field images_fields[] = {
	{"haproxy", FIELD_STRING, FIELD_AT(struct images, haproxy), .def = "haproxy:2.8-alpine",
	 .check = check_image, .pattern = PATTERN_IMAGE,
	 .help = "the image of HAProxy, with runtime: container"},
	{"caddy", FIELD_STRING, FIELD_AT(struct images, caddy), .def = "caddy:2.7-alpine",
	 .check = check_image, .pattern = PATTERN_IMAGE,
	 .help = "the image of Caddy, with runtime: container"},
	FIELD_END,
};

static const struct field ingress_resources_fields[] = {
	{"haproxy", FIELD_STRUCT, FIELD_AT(struct ingress_resources, haproxy),
	 .fields = resources_fields, .help = "what HAProxy may use",
	 .example = "haproxy: {limits: {memory: 128M, cpus: 0.5}}"},
	{"caddy", FIELD_STRUCT, FIELD_AT(struct ingress_resources, caddy),
	 .fields = resources_fields, .help = "what Caddy may use",
	 .example = "caddy: {limits: {memory: 64M, cpus: 0.3}}"},
	FIELD_END,
};

static const char *const runtimes[] = {[RUNTIME_SYSTEM] = "system",
				       [RUNTIME_CONTAINER] = "container",
				       [RUNTIME_PROCESS] = "process",
				       NULL};
static const char *const client_addresses[] = {[CLIENT_DIRECT] = "direct",
					       [CLIENT_CLOUDFLARE] = "cloudflare",
					       [CLIENT_PROXY_PROTOCOL] = "proxy_protocol",
					       NULL};

static const struct field ingress_fields[] = {
	{"runtime", FIELD_CHOICE, FIELD_AT(struct ingress, runtime),
	 FIELD_POS(struct ingress, runtime_pos), .choices = runtimes, .def = "system",
	 .help = "how HAProxy and Caddy run: system, the distribution's units; container, under "
		 "compose, on the "
		 "host's network; process, children of the agent"},
	{"http_port", FIELD_INT, FIELD_AT(struct ingress, http_port), PORT, .def = "80",
	 .help = "where HTTP answers: with a redirect to HTTPS, or with the sites where tls.mode "
		 "is off"},
	{"https_port", FIELD_INT, FIELD_AT(struct ingress, https_port), PORT, .def = "443",
	 .help = "where HTTPS answers"},
	{"caddy_port", FIELD_INT, FIELD_AT(struct ingress, caddy_port), PORT, .def = "8080",
	 .help = "where Caddy listens for the HAProxy of this and of the other nodes"},
	{"health_port", FIELD_INT, FIELD_AT(struct ingress, health_port), PORT, .def = "8405",
	 .help = "where HAProxy says on loopback that it is alive"},
	{"tls", FIELD_STRUCT, FIELD_AT(struct ingress, tls), FIELD_POS(struct tls, pos),
	 .fields = tls_fields, .help = "certificates", .example = "tls: {mode: origin}"},
	{"max_connections", FIELD_INT, FIELD_AT(struct ingress, max_connections), .min = 1,
	 .max = 1000000, .def = "4096",
	 .help = "the most connections that HAProxy takes at a time"},
	{"rate_limit", FIELD_STRUCT_PTR, FIELD_AT(struct ingress, rate_limit),
	 .size = sizeof(struct rate_limit), FIELD_POS(struct rate_limit, pos),
	 .fields = rate_limit_fields,
	 .help = "how much one client address may ask for; absent: as much as it wants; {}: the "
		 "defaults",
	 .example = "rate_limit: {requests: 300, window: 10s}"},
	{"client_address", FIELD_CHOICE, FIELD_AT(struct ingress, client_address),
	 FIELD_POS(struct ingress, client_address_pos), .choices = client_addresses,
	 .def = "direct",
	 .help = "whom to believe about the client's address: direct, the connection; cloudflare, "
		 "the header that "
		 "Cloudflare's networks send; proxy_protocol, the PROXY header of what stands in "
		 "front"},
	{"proxies", FIELD_STRINGS, FIELD_AT(struct ingress, proxies), .unique = true,
	 .check = check_cidr, .pattern = PATTERN_CIDR,
	 .help = "with client_address: proxy_protocol, the prefixes whose PROXY header is believed",
	 .example = "proxies: [10.108.0.0/20]"},
	{"compression", FIELD_BOOL, FIELD_AT(struct ingress, compression), .def = "true",
	 .help = "compress answers where the client understands it"},
	{"headers", FIELD_MAP_STRINGS, FIELD_AT(struct ingress, headers), .max = 4096,
	 .check = check_header_value, .check_key = check_header_name,
	 .help = "response headers that are added to, or replace, the security headers that are on "
		 "by default; \"\" "
		 "takes one away",
	 .example = "headers: {X-Frame-Options: DENY, Referrer-Policy: \"\"}"},
	{"stats", FIELD_STRUCT, FIELD_AT(struct ingress, stats), FIELD_POS(struct stats, pos),
	 .fields = stats_fields, .help = "HAProxy's statistics page",
	 .example =
		 "stats: {from: [10.108.0.0/20], user: admin, password: {secret: stats-password}}"},
	{"images", FIELD_STRUCT, FIELD_AT(struct ingress, images), .fields = images_fields,
	 .help = "the images of the ingress, with runtime: container"},
	{"resources", FIELD_STRUCT, FIELD_AT(struct ingress, resources),
	 .fields = ingress_resources_fields, .help = "what the ingress may use"},
	FIELD_END,
};

static const struct field network_fields[] = {
	{"name", FIELD_STRING, FIELD_AT(struct network, name), .def = "edge", .max = 64,
	 .check = check_word, .pattern = PATTERN_WORD,
	 .help = "the name of the Docker network that every service joins"},
	{"subnet", FIELD_STRING, FIELD_AT(struct network, subnet), .def = "172.20.0.0/16",
	 .check = check_subnet, .pattern = PATTERN_CIDR,
	 .help = "its addresses: a private prefix that nothing else on the node uses"},
	FIELD_END,
};

static const struct field firewall_fields[] = {
	{"ssh_from", FIELD_STRINGS, FIELD_AT(struct firewall, ssh_from), .unique = true,
	 .check = check_cidr, .pattern = PATTERN_CIDR,
	 .help = "prefixes from which SSH is let in; none where it is absent",
	 .example = "ssh_from: [198.51.100.0/24]"},
	{"internal", FIELD_STRINGS, FIELD_AT(struct firewall, internal), .unique = true,
	 .check = check_cidr, .pattern = PATTERN_CIDR,
	 .help = "the nodes' own network: prefixes from which they reach one another",
	 .example = "internal: [10.108.0.0/20]"},
	FIELD_END,
};

static const char *const strategies[] = {
	[ROLLOUT_ROLLING] = "rolling", [ROLLOUT_ALL] = "all", NULL};

static const struct field rollout_fields[] = {
	{"strategy", FIELD_CHOICE, FIELD_AT(struct rollout, strategy), .choices = strategies,
	 .def = "rolling",
	 .help = "rolling: a node takes a revision once those before it are healthy with it; all: "
		 "every node at once"},
	{"max_unavailable", FIELD_INT, FIELD_AT(struct rollout, max_unavailable), .min = 1,
	 .max = 1000, .def = "1", .help = "how many nodes may be without health at a time"},
	{"health_timeout", FIELD_DURATION, FIELD_AT(struct rollout, health_timeout_ms), .min = 1000,
	 .max = 86400000, .def = "5m",
	 .help = "how long a node may take to become healthy before it returns to what worked"},
	FIELD_END,
};

static const struct field registry_fields[] = {
	{"username", FIELD_STRING, FIELD_AT(struct registry, username), .required = true,
	 .check = check_text, .help = "who asks", .example = "username: acme"},
	{"password", FIELD_VALUE, FIELD_AT(struct registry, password), .required = true,
	 .max = 4096, .help = "the password or token, one of the node's secrets",
	 .example = "password: {secret: registry-token}"},
	FIELD_END,
};

static const char *const volumes_policies[] = {
	[VOLUMES_KEEP] = "keep", [VOLUMES_REMOVE] = "remove", NULL};

static const struct field removed_services_fields[] = {
	{"volumes", FIELD_CHOICE, FIELD_AT(struct removed_services, volumes),
	 .choices = volumes_policies, .def = "keep",
	 .help = "what becomes of the named volumes of a service that is gone: keep or remove"},
	FIELD_END,
};

static const struct field package_fields[] = {
	{"url", FIELD_STRING, FIELD_AT(struct package, url), .max = 2048, .check = check_download,
	 .help = "where the Debian package is downloaded from; needs sha256",
	 .example = "url: https://downloads.example.com/dynia_0.1.0_amd64.deb"},
	{"sha256", FIELD_STRING, FIELD_AT(struct package, sha256), .check = check_sha256,
	 .pattern = "^[0-9a-f]{64}$",
	 .help = "the digest of that file: another one is not installed",
	 .example = "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	{"source", FIELD_STRING, FIELD_AT(struct package, source), .max = 1024,
	 .check = check_apt_source,
	 .help = "instead of url: the apt source that has the package; needs key",
	 .example = "source: deb https://apt.example.com stable main"},
	{"key", FIELD_STRING, FIELD_AT(struct package, key), .max = 16384, .multiline = true,
	 .check = check_apt_key, .help = "the key that signs the source, ASCII-armored"},
	FIELD_END,
};

static const struct field public_files_fields[] = {
	{"ca", FIELD_STRING, FIELD_AT(struct public_files, ca), .max = 12288, .multiline = true,
	 .check = check_certificates,
	 .help = "what ca_file holds: certificates of authorities, in PEM"},
	{"known_hosts", FIELD_STRING, FIELD_AT(struct public_files, known_hosts), .max = 8192,
	 .multiline = true, .check = check_known_hosts,
	 .help = "what credentials.known_hosts holds: lines as ssh-keyscan(1) prints them",
	 .example = "known_hosts: git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI..."},
	{"signers", FIELD_STRING, FIELD_AT(struct public_files, signers), .max = 8192,
	 .multiline = true, .check = check_signers,
	 .help = "what verify.signers holds: lines as ssh-keygen(1) has them under ALLOWED SIGNERS",
	 .example = "signers: ada@example.com namespaces=\"git\" ssh-ed25519 AAAAC3NzaC1lZDI1..."},
	{"keyring", FIELD_STRING, FIELD_AT(struct public_files, keyring), .max = 12288,
	 .multiline = true, .check = check_keyring,
	 .help = "what verify.keyring holds, in base64: gpg --export KEY | base64"},
	FIELD_END,
};

static_assert(offsetof(struct first_agent, config) == 0, "FIELDS_OF_EVERY_NODE");

static const struct field first_agent_fields[] = {
	FIELDS_OF_EVERY_NODE,
	{"files", FIELD_STRUCT, FIELD_AT(struct first_agent, files), .fields = public_files_fields,
	 .help = "what the files above hold where that is no secret: they are in the user-data, "
		 "which everybody on the droplet can read; the others are delivered by dynia "
		 "bootstrap credentials"},
	FIELD_END,
};

static const char *const cloud_firewalls[] = {[CLOUD_FIREWALL_AUTO] = "auto",
					      [CLOUD_FIREWALL_ALWAYS] = "always",
					      [CLOUD_FIREWALL_NEVER] = "never",
					      NULL};

static const struct field digitalocean_fields[] = {
	{"region", FIELD_STRING, FIELD_AT(struct digitalocean, region), .required = true,
	 .check = check_word, .pattern = PATTERN_WORD, .help = "the region of the droplets",
	 .example = "region: sgp1"},
	{"size", FIELD_STRING, FIELD_AT(struct digitalocean, size), .def = "s-1vcpu-1gb",
	 .check = check_word, .pattern = PATTERN_WORD, .help = "the size of the droplets"},
	{"image", FIELD_STRING, FIELD_AT(struct digitalocean, image), .def = "ubuntu-24-04-x64",
	 .check = check_word, .pattern = PATTERN_WORD, .help = "what a droplet boots"},
	{"vpc", FIELD_STRING, FIELD_AT(struct digitalocean, vpc), .check = check_word,
	 .pattern = PATTERN_WORD,
	 .help = "the name of the private network; by default the region's own",
	 .example = "vpc: shop"},
	{"ip_range", FIELD_STRING, FIELD_AT(struct digitalocean, ip_range), .check = check_cidr,
	 .pattern = PATTERN_CIDR,
	 .help = "the addresses of that network where bootstrap makes it; by default "
		 "DigitalOcean chooses",
	 .example = "ip_range: 10.108.0.0/20"},
	{"ssh_keys", FIELD_STRINGS, FIELD_AT(struct digitalocean, ssh_keys), .unique = true,
	 .check = check_text,
	 .help = "names or fingerprints of keys in the account that may log in",
	 .example = "ssh_keys: [ops-laptop]"},
	{"monitoring", FIELD_BOOL, FIELD_AT(struct digitalocean, monitoring), .def = "true",
	 .help = "have DigitalOcean's monitoring agent installed"},
	{"cloud_firewall", FIELD_CHOICE, FIELD_AT(struct digitalocean, cloud_firewall),
	 .choices = cloud_firewalls, .def = "auto",
	 .help = "a firewall before the droplets, by the rules of 'firewall': auto, where there "
		 "is no vip, for it knows TCP, UDP and ICMP only and would drop VRRP; always; "
		 "never"},
	{"package", FIELD_STRUCT_PTR, FIELD_AT(struct digitalocean, package),
	 .size = sizeof(struct package), FIELD_POS(struct package, pos), .fields = package_fields,
	 .help = "how a new droplet gets dynia, for dynia bootstrap",
	 .example = "package: {url: https://downloads.example.com/dynia_0.1.0_amd64.deb, sha256: "
		    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}"},
	{"agent", FIELD_STRUCT_PTR, FIELD_AT(struct digitalocean, agent),
	 .size = sizeof(struct first_agent), FIELD_POS(struct first_agent, pos),
	 .fields = first_agent_fields,
	 .help = "what a new droplet's agent.yaml says, for dynia bootstrap: the keys of "
		 "agent.yaml, but for version, cluster and node",
	 .example = "agent: {repository: https://github.com/acme/infra.git}"},
	FIELD_END,
};

static const struct field provider_fields[] = {
	{"digitalocean", FIELD_STRUCT_PTR, FIELD_AT(struct provider, digitalocean),
	 .size = sizeof(struct digitalocean), FIELD_POS(struct digitalocean, pos),
	 .fields = digitalocean_fields, .help = "the machines are droplets of DigitalOcean"},
	FIELD_END,
};

static const struct field cloudflare_fields[] = {
	{"zone", FIELD_STRING, FIELD_AT(struct cloudflare, zone), .required = true,
	 .check = check_hostname, .pattern = PATTERN_HOSTNAME,
	 .help = "the zone that every host is in", .example = "zone: example.com"},
	{"proxied", FIELD_BOOL, FIELD_AT(struct cloudflare, proxied), .def = "false",
	 .help = "let Cloudflare stand in front; needed for tls.mode origin"},
	FIELD_END,
};

static const struct field dns_fields[] = {
	{"cloudflare", FIELD_STRUCT_PTR, FIELD_AT(struct dns, cloudflare),
	 .size = sizeof(struct cloudflare), FIELD_POS(struct cloudflare, pos),
	 .fields = cloudflare_fields, .help = "the records are kept at Cloudflare",
	 .example = "cloudflare: {zone: example.com, proxied: true}"},
	FIELD_END,
};

const struct field cluster_table[] = {
	FIELD_VERSION(struct cluster),
	{"domain", FIELD_STRING, FIELD_AT(struct cluster, domain), .check = check_hostname,
	 .pattern = PATTERN_HOSTNAME, .help = "the cluster's own domain",
	 .example = "domain: example.com"},
	{"nodes", FIELD_MAP_STRUCTS, FIELD_AT(struct cluster, node_map),
	 .size = sizeof(struct node), .required = true, FIELD_POS(struct node, pos),
	 .fields = node_fields, .check_key = check_name, .pattern = PATTERN_NAME,
	 .help = "the machines by name; their order is that of a rolling rollout where VRRP does "
		 "not say",
	 .example = "nodes: {brave-panda: {address: 10.108.0.2}, misty-owl: {}}"},
	{"vip", FIELD_STRUCT_PTR, FIELD_AT(struct cluster, vip), .size = sizeof(struct vip),
	 FIELD_POS(struct vip, pos), .fields = vip_fields,
	 .help = "an address that moves to a healthy node; absent: none",
	 .example = "vip: {address: 203.0.113.10, interface: eth1}"},
	{"ingress", FIELD_STRUCT, FIELD_AT(struct cluster, ingress), FIELD_POS(struct ingress, pos),
	 .fields = ingress_fields, .help = "HAProxy and Caddy, which stand before the services"},
	{"network", FIELD_STRUCT, FIELD_AT(struct cluster, network), .fields = network_fields,
	 .help = "the Docker network of the services"},
	{"firewall", FIELD_STRUCT_PTR, FIELD_AT(struct cluster, firewall),
	 .size = sizeof(struct firewall), FIELD_POS(struct firewall, pos),
	 .fields = firewall_fields, .help = "what is let in; absent: the firewall is left alone"},
	{"rollout", FIELD_STRUCT, FIELD_AT(struct cluster, rollout), .fields = rollout_fields,
	 .help = "how a new revision reaches the nodes"},
	{"registries", FIELD_MAP_STRUCTS, FIELD_AT(struct cluster, registry_map),
	 .size = sizeof(struct registry), FIELD_POS(struct registry, pos),
	 .fields = registry_fields, .check_key = check_registry, .pattern = PATTERN_REGISTRY,
	 .help = "logins for private registries, by HOST or HOST:PORT; docker.io is Docker Hub",
	 .example = "registries: {registry.example.com: {username: acme, password: {secret: "
		    "registry-token}}}"},
	{"removed_services", FIELD_STRUCT, FIELD_AT(struct cluster, removed_services),
	 .fields = removed_services_fields, .help = "what becomes of what a removed service leaves",
	 .example = "removed_services: {volumes: remove}"},
	{"provider", FIELD_STRUCT, FIELD_AT(struct cluster, provider), .fields = provider_fields,
	 .help = "who runs the machines, for dynia bootstrap and for an address that an API moves"},
	{"dns", FIELD_STRUCT, FIELD_AT(struct cluster, dns), .fields = dns_fields,
	 .help = "who keeps the records of the hosts, for dynia bootstrap"},
	FIELD_END,
};
