#include "reconciler/node_facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "gitsync/status_ref.h"
#include "reconciler/status.h"
#include "render/layout.h"

#define SYSTEM_CERTIFICATES "certificates of the machine"
#define OS_RELEASE_MAX (64 << 10)

/* --- this machine -------------------------------------------------------------------- */

/* dpkg's names, which is what people look for. */
static const char *debian_arch(const char *machine)
{
	static const struct {
		const char *kernel;
		const char *debian;
	} names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "armhf"}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i].kernel, machine) == 0)
			return names[i].debian;
	return machine;
}

/* NAME and VERSION_ID of os-release(5): "Ubuntu 24.04". */
static const char *os_name(struct pool *pool)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	const char *name = "Linux", *version = "";
	struct err ignored;
	char *line, *rest, *os;

	if (file_read("/etc/os-release", OS_RELEASE_MAX, &text, &ignored) < 0)
		return name;
	for (line = strtok_r(text.buf, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');
		size_t len;

		if (!value)
			continue;
		*value++ = '\0';
		len = strlen(value);
		if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
			value[len - 1] = '\0';
			value++;
		}
		if (strcmp(line, "NAME") == 0)
			name = value;
		else if (strcmp(line, "VERSION_ID") == 0)
			version = value;
	}
	os = pool_printf(pool, "%s%s%s", name, *version ? " " : "", version);
	str_mask_controls(os);
	return os;
}

static bool is_private(const char *address)
{
	return cidr_has("10.0.0.0/8", address) || cidr_has("172.16.0.0/12", address) ||
	       cidr_has("192.168.0.0/16", address);
}

/* Bridges and their ends are Docker's. */
static bool is_virtual(const char *interface)
{
	return strncmp(interface, "docker", 6) == 0 || strncmp(interface, "br-", 3) == 0 ||
	       strncmp(interface, "veth", 4) == 0;
}

/* The address's text in `ret`; false where the entry has none that counts. */
static bool ipv4_text(const struct ifaddrs *entry, char ret[INET_ADDRSTRLEN])
{
	const struct sockaddr_in *in = (const void *)entry->ifa_addr;

	return in && in->sin_family == AF_INET && !is_virtual(entry->ifa_name) &&
	       inet_ntop(AF_INET, &in->sin_addr, ret, INET_ADDRSTRLEN);
}

/* Has the interface an address of the internet? */
static bool leads_outside(const struct ifaddrs *list, const char *interface)
{
	char text[INET_ADDRSTRLEN];

	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		if (ipv4_text(i, text) && strcmp(i->ifa_name, interface) == 0 &&
		    !is_private(text) && !is_loopback(text) && !cidr_has("169.254.0.0/16", text))
			return true;
	return false;
}

const char *machine_address(const struct ifaddrs *list, struct pool *pool)
{
	const char *second = NULL;
	char text[INET_ADDRSTRLEN];

	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!ipv4_text(i, text) || !is_private(text))
			continue;
		if (!leads_outside(list, i->ifa_name))
			return pool_strdup(pool, text);
		if (!second)
			second = pool_strdup(pool, text);
	}
	return second;
}

static const char *own_address(struct pool *pool)
{
	struct ifaddrs *list;
	const char *found;

	if (getifaddrs(&list) < 0)
		return NULL;
	found = machine_address(list, pool);
	freeifaddrs(list);
	return found;
}

void machine_look(struct pool *pool, struct machine *ret)
{
	struct utsname uts;
	struct sysinfo info;

	ret->arch = uname(&uts) == 0 ? pool_strdup(pool, debian_arch(uts.machine)) : "unknown";
	ret->os = os_name(pool);
	ret->memory_bytes = sysinfo(&info) == 0 ? (int64_t)info.totalram * info.mem_unit : 0;
	ret->address = own_address(pool);
}

/* --- the others ---------------------------------------------------------------------- */

/* A stranger's word: no address that is this machine's own, nobody's or everybody's (RFC 6890). */
static const char *address_or_null(const char *text)
{
	static const char *const special[] = {
		"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
		"::/127",    "fe80::/10",   "ff00::/8",
	};

	if (!text || !is_address(text))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (cidr_has(special[i], text))
			return NULL;
	return text;
}

/* The first that claims an address has it: a second one would take its requests. */
static bool is_taken(const struct peer_fact *peers, size_t n, const char *address)
{
	for (size_t i = 0; i < n; i++)
		if (peers[i].address && strcmp(peers[i].address, address) == 0)
			return true;
	return false;
}

int peers_read(struct mirror *m, const char *cluster, struct pool *pool, struct peer_fact **ret,
	       size_t *ret_n, struct err *err)
{
	struct status_entries entries = {0};

	if (status_ref_list(m, cluster, pool, &entries, err) < 0)
		return -1;
	*ret = pool_calloc(pool, entries.n + 1, sizeof(**ret));
	*ret_n = 0;
	for (size_t i = 0; i < entries.n; i++) {
		struct node_status status;
		struct err ignored;
		const char *json, *address;
		size_t len;

		if (status_ref_read(m, entries.v[i].oid, pool, &json, &len, &ignored) < 0 ||
		    status_from_json(json, len, pool, &status, &ignored) < 0)
			continue;
		address = address_or_null(status.address);
		if (address && is_taken(*ret, *ret_n, address))
			address = NULL;
		(*ret)[(*ret_n)++] = (struct peer_fact) {
			.name = entries.v[i].node,
			.address = address,
			.public_address = address_or_null(status.public_address),
		};
	}
	return 0;
}

/* --- all of it ----------------------------------------------------------------------- */

void node_facts_release(struct node_facts *nf)
{
	json_decref(nf->inputs);
	nf->inputs = NULL;
}

/* Where the program is. One whose file was replaced, as a package that is unpacked does, has its successor there. */
static const char *program_path(struct pool *pool)
{
	static const char replaced[] = " (deleted)";
	const size_t tail = sizeof(replaced) - 1;
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t len = n > 0 ? (size_t)n : 0;

	if (len > tail && memcmp(path + len - tail, replaced, tail) == 0)
		len -= tail;
	return len ? pool_memdup(pool, path, len) : "/usr/bin/dynia";
}

static bool has_ipv6(void)
{
	return access("/proc/net/if_inet6", R_OK) == 0;
}

/* This node's own address counts at once, not only when its status has been round the server. */
static void put_own_address(struct node_facts *nf, const char *node, struct pool *pool)
{
	struct peer_fact *all = pool_calloc(pool, nf->n_peers + 1, sizeof(*all));
	const char *own = nf->machine.address;
	size_t n = 0;

	for (size_t i = 0; i < nf->n_peers; i++) {
		struct peer_fact peer = nf->peers[i];

		if (strcmp(peer.name, node) == 0)
			continue;
		if (peer.address && own && strcmp(peer.address, own) == 0)
			peer.address = NULL;
		all[n++] = peer;
	}
	all[n++] = (struct peer_fact) {.name = node, .address = nf->machine.address};
	nf->peers = all;
	nf->n_peers = n;
}

static void set_input(json_t *inputs, const char *label, const char *value)
{
	json_object_set_new(inputs, label, json_string(value ? value : ""));
}

static void describe(struct node_facts *nf, const char *cluster, const char *node,
		     struct pool *pool)
{
	const struct facts *f = &nf->facts;

	nf->inputs = json_object();
	set_input(nf->inputs, INPUT_VERSION, DYNIA_VERSION);
	set_input(nf->inputs, "cluster", cluster);
	set_input(nf->inputs, "name", node);
	set_input(nf->inputs, "root", f->root);
	set_input(nf->inputs, INPUT_PROGRAM, f->program);
	set_input(nf->inputs, "ipv6", f->ipv6 ? "true" : "false");
	set_input(nf->inputs, "secrets.yaml", nf->secrets.digest);
	set_input(nf->inputs, "certificates", nf->certificates.digest);
	set_input(nf->inputs, SYSTEM_CERTIFICATES, nf->system_certificates.digest);
	for (size_t i = 0; i < nf->n_peers; i++)
		set_input(nf->inputs, pool_printf(pool, "address of %s", nf->peers[i].name),
			  nf->peers[i].address);
}

static int read_certificates(const struct root *root, int runtime, struct pool *pool,
			     struct certificates *ret, struct err *err)
{
	const char *folder = layout_path(LAYOUT_CERTIFICATES, runtime);

	return certificates_read(root->fd, folder, PLACEHOLDER_PEM, pool, ret, err);
}

const struct certificates *node_certificates(const struct node_facts *nf, int runtime)
{
	return runtime == RUNTIME_SYSTEM ? &nf->system_certificates : &nf->certificates;
}

int node_facts_gather(const struct root *root, struct mirror *m, const char *cluster,
		      const char *node, bool with_peers, struct pool *pool, struct node_facts *ret,
		      struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	machine_look(pool, &ret->machine);
	if (secrets_read(root, pool, &ret->secrets, err) < 0)
		return -1;
	if (read_certificates(root, RUNTIME_PROCESS, pool, &ret->certificates, err) < 0 ||
	    read_certificates(root, RUNTIME_SYSTEM, pool, &ret->system_certificates, err) < 0)
		return -1;
	if (with_peers && m) {
		if (peers_read(m, cluster, pool, &ret->peers, &ret->n_peers, err) < 0)
			return -1;
		put_own_address(ret, node, pool);
	}
	ret->facts = (struct facts) {
		.root = root->path,
		.program = program_path(pool),
		.ipv6 = has_ipv6(),
		.certificates = "", /* candidate_render() says which */
		.peers = ret->peers,
		.n_peers = ret->n_peers,
		.secret = secrets_lookup,
		.secret_arg = &ret->secrets,
	};
	describe(ret, cluster, node, pool);
	return 0;
}

/* A digest is no use to a reader: only that the thing changed is said. */
static bool is_opaque(const char *label)
{
	return strcmp(label, "secrets.yaml") == 0 || strcmp(label, "certificates") == 0 ||
	       strcmp(label, SYSTEM_CERTIFICATES) == 0;
}

static void add_lost_inputs(const json_t *from, const json_t *to, struct causes *ret)
{
	const char *label;
	json_t *value;

	json_object_foreach((json_t *)from, label, value)
	{
		const char *was = json_string_value(value);

		if (was && *was && !json_object_get(to, label))
			causes_add(ret, NULL, false, "node: %s %s → (none)", label, was);
	}
}

void inputs_causes(const json_t *from, const json_t *to, struct causes *ret)
{
	const char *label;
	json_t *value;

	if (!from)
		return;
	add_lost_inputs(from, to, ret);
	json_object_foreach((json_t *)to, label, value)
	{
		const char *now = json_string_value(value);
		const char *was = json_string_value(json_object_get(from, label));

		if (was && strcmp(was, now) == 0)
			continue;
		if (is_opaque(label))
			causes_add(ret, NULL, false, "node: %s changed", label);
		else
			causes_add(ret, NULL, false, "node: %s %s → %s", label,
				   was && *was ? was : "(none)", *now ? now : "(none)");
	}
}
