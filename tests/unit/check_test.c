/* Each rule's refusal is a case of tests/cases/invalid; here is what the rules must let through. */
#include "tests/unit/test.h"

#include <string.h>

#include "base/cleanup.h"
#include "spec/check.h"
#include "spec/load.h"
#include "tests/unit/scratch.h"

struct row {
	const char *cluster; /* behind version and nodes */
	const char *a;       /* behind version: a service, or NULL */
	const char *b;
};

static void put(const struct scratch *dir, const char *path, const char *before, const char *text)
{
	CLEANUP(strbuf_release) struct strbuf data = STRBUF_INIT;
	struct err err = {0};

	strbuf_addf(&data, "version: 1\n%s%s", before, text);
	assert_int_equal(file_replace_in(dir->fd, path, data.buf, data.len, 0644, &err), 0);
}

static void check_valid(const struct row *row)
{
	static const char nodes[] = "nodes:\n  one: {address: 10.0.0.1, labels: {disk: ssd}}\n  "
				    "two: {address: 10.0.0.2}\n";
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(source_freep) struct source *src = NULL;
	CLEANUP(spec_freep) struct spec *spec = NULL;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	struct err err = {0};

	put(&dir, "clusters/c/cluster.yaml", nodes, row->cluster);
	if (row->a)
		put(&dir, "clusters/c/services/a.yaml", "", row->a);
	if (row->b)
		put(&dir, "clusters/c/services/b.yaml", "", row->b);
	src = source_from_dir(dir.path, &err);
	assert_non_null(src);
	assert_int_equal(spec_load(src, NULL, &spec, &diags, &err), 0);
	diags_print(&diags, stderr);
	assert_int_equal(diags.n, 0);
}

static void test_what_is_allowed(void **state)
{
	static const struct row rows[] = {
		{"", NULL, NULL},
		/* the same port where no node has both */
		{"", "hosts: a.x.org\nimage: a\nport: 80\npublish: 20000\nnodes: [one]\n",
		 "hosts: b.x.org\nimage: a\nport: 80\npublish: 20000\nnodes: [two]\n"},
		/* a wildcard beside a host that it would hold, and a default */
		{"", "hosts: [\"*.x.org\"]\nrespond: {}\n",
		 "hosts: a.x.org\ndefault: true\nrespond: {}\n"},
		{"", "hosts: a.x.org\nrespond: {}\nnodes: {labels: {disk: ssd}}\n", NULL},
		{"  three: {address: 10.0.0.3, public_address: 10.0.0.3}\n", NULL, NULL},
		{"rollout: {strategy: all, max_unavailable: 5}\n", NULL, NULL},
		{"vip: {address: 10.0.0.9, interface: eth0}\n", NULL, NULL},
		{"vip: {address: 192.0.2.1, interface: eth0, move: digitalocean}\n"
		 "provider: {digitalocean: {region: sgp1}}\n",
		 NULL, NULL},
		{"ingress: {runtime: process}\n", NULL, NULL},
		{"ingress: {tls: {mode: origin}}\ndns: {cloudflare: {zone: x.org, proxied: "
		 "true}}\n",
		 "hosts: [x.org, \"*.x.org\"]\nrespond: {}\n", NULL},
		{"ingress: {tls: {mode: acme, email: ops@x.org}, rate_limit: {}}\n",
		 "hosts: a.x.org\nrespond: {}\n", NULL},
		{"ingress: {tls: {mode: caddy, email: ops@x.org}}\n",
		 "hosts: a.x.org\nrespond: {}\n", NULL},
		{"ingress: {client_address: proxy_protocol, proxies: [10.0.0.0/8]}\n", NULL, NULL},
		{"ingress: {stats: {user: a, password: {secret: b}}}\n", NULL, NULL},
		{"ingress: {http_port: 18080, https_port: 18443, caddy_port: 80, stats: {port: "
		 "443}}\n",
		 NULL, NULL},
		{"",
		 "hosts: a.x.org\nimage: a\nport: 80\nresources: {reservations: {memory: 64M, "
		 "cpus: 1}}\n",
		 NULL},
		{"", "hosts: a.x.org\nimage: a\nport: 80\nhealth: {interval: 5s, timeout: 5s}\n",
		 NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_valid(&rows[i]);
}

/* They are on nodes already: to change one would move a running service. */
static void test_default_ports_never_change(void **state)
{
	(void)state;
	assert_int_equal(service_default_port("api"), 22631);
	assert_int_equal(service_default_port("docs"), 32178);
	assert_int_equal(service_default_port("web"), 21201);
}

static void test_default_ports_are_in_range(void **state)
{
	char name[] = "aaa";

	(void)state;
	for (name[0] = 'a'; name[0] <= 'z'; name[0]++)
		for (name[1] = 'a'; name[1] <= 'z'; name[1]++)
			for (name[2] = 'a'; name[2] <= 'z'; name[2]++)
				assert_in_range(service_default_port(name), PUBLISH_FIRST,
						PUBLISH_LAST);
}

static void test_node_priority(void **state)
{
	struct node nodes[30] = {[1] = {.priority = 99}};
	const struct cluster cluster = {.node_map = {nodes, 30}};

	(void)state;
	assert_int_equal(node_priority(&cluster, &nodes[0]), 250);
	assert_int_equal(node_priority(&cluster, &nodes[1]), 99);
	assert_int_equal(node_priority(&cluster, &nodes[2]), 230);
	assert_int_equal(node_priority(&cluster, &nodes[24]), 10);
	assert_int_equal(node_priority(&cluster, &nodes[29]), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_allowed),
		cmocka_unit_test(test_default_ports_never_change),
		cmocka_unit_test(test_default_ports_are_in_range),
		cmocka_unit_test(test_node_priority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
