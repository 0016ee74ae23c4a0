#include "tests/unit/test.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/strbuf.h"
#include "render/layout.h"
#include "render/render.h"
#include "spec/load.h"
#include "tests/unit/scratch.h"

#define CLUSTER "clusters/shop/cluster.yaml"

static const char cluster_yaml[] = "version: 1\n"
				   "domain: example.com\n"
				   "nodes:\n"
				   "  one: {address: 10.108.0.2}\n"
				   "  two: {address: 10.108.0.3}\n"
				   "  three: {}\n";
static const char respond_yaml[] = "version: 1\nhosts: [front.example.com]\n"
				   "respond: {status: 200, body: hello}\n";

/* A repository in the scratch folder, what was loaded of it, and what was rendered from that. */
struct fixture {
	struct scratch dir;
	struct spec *spec;
	struct pool *pool;
	struct fileset set;
	struct facts facts;
};

static void setup(struct fixture *f)
{
	f->dir = scratch_make();
	f->spec = NULL;
	f->pool = pool_new();
	fileset_init(&f->set, f->pool);
	f->facts = (struct facts) {.root = "",
				   .program = "/usr/bin/dynia",
				   .ipv6 = true,
				   .certificates = ""};
}

static void teardown(struct fixture *f)
{
	fileset_release(&f->set);
	pool_free(f->pool);
	spec_freep(&f->spec);
	scratch_release(&f->dir);
}

static void put(struct fixture *f, const char *path, const char *text)
{
	struct err err;

	assert_int_equal(file_replace_in(f->dir.fd, path, text, strlen(text), 0644, &err), 0);
}

static int render_err(struct fixture *f, const char *node, struct err *err)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(source_freep) struct source *src = source_from_dir(f->dir.path, err);
	struct cluster *cluster;

	assert_non_null(src);
	spec_freep(&f->spec);
	fileset_release(&f->set);
	assert_int_equal(spec_load(src, NULL, &f->spec, &diags, err), 0);
	if (diags.n)
		fail_msg("%s:%u: %s", diags.v[0].path, diags.v[0].line, diags.v[0].msg);
	cluster = spec_cluster(f->spec, "shop");
	return render_node(cluster, cluster_find_node(cluster, node), &f->facts, &f->set, err);
}

static void render(struct fixture *f, const char *node)
{
	struct err err = {0};

	if (render_err(f, node, &err) < 0)
		fail_msg("%s", err.msg);
}

static const struct out_file *file(struct fixture *f, const char *path)
{
	const struct out_file *out = fileset_find(&f->set, path);

	if (!out)
		fail_msg("'%s' was not rendered", path);
	return out;
}

/* Each line of the file without its indent, so that a test names whole lines. */
static bool has_line(struct fixture *f, const char *path, const char *line)
{
	const struct out_file *out = file(f, path);
	size_t len = strlen(line);

	for (const char *p = out->data; *p;) {
		const char *end = strchrnul(p, '\n');

		p += strspn(p, " \t");
		if ((size_t)(end - p) == len && memcmp(p, line, len) == 0)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

#define assert_line(f, path, line)                                                                 \
	do {                                                                                       \
		if (!has_line(f, path, line))                                                      \
			fail_msg("no line '%s' in:\n%s", line, file(f, path)->data);               \
	} while (0)

static size_t count_lines(const struct out_file *out)
{
	size_t n = 0;

	for (size_t i = 0; i < out->len; i++)
		n += out->data[i] == '\n';
	return n;
}

static void test_runtimes(void **state)
{
	static const struct {
		const char *runtime;
		const char *cfg;
		const char *line;
	} cases[] = {
		{"system", "/etc/haproxy/haproxy.cfg",
		 "stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners"},
		{"container", "/opt/dynia/haproxy/haproxy.cfg",
		 "stats socket /r/run/dynia/haproxy/admin.sock mode 600 level admin expose-fd "
		 "listeners"},
		{"process", "/opt/dynia/haproxy/haproxy.cfg",
		 "stats socket /r/run/dynia/haproxy.sock mode 600 level admin expose-fd listeners"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(teardown) struct fixture f;
		bool is_system = strcmp(cases[i].runtime, "system") == 0;

		setup(&f);
		f.facts.root = is_system ? "" : "/r";
		put(&f, CLUSTER,
		    pool_printf(f.pool, "%singress: {runtime: %s}\n", cluster_yaml,
				cases[i].runtime));
		render(&f, "one");
		assert_line(&f, cases[i].cfg, cases[i].line);
		assert_int_equal(has_line(&f, cases[i].cfg, "user haproxy"), is_system);
		assert_int_equal(fileset_find(&f.set,
					      "/etc/systemd/system/caddy.service.d/dynia.conf") !=
					 NULL,
				 is_system);
		assert_int_equal(fileset_find(&f.set, "/opt/dynia/ingress/compose.yaml") != NULL,
				 strcmp(cases[i].runtime, "container") == 0);
	}
}

static void test_same_input_same_bytes(void **state)
{
	CLEANUP(teardown) struct fixture f;
	CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT;
	char digest[65];

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	put(&f, "clusters/shop/services/front.yaml", respond_yaml);
	for (int round = 0; round < 2; round++) {
		CLEANUP(strbuf_release) struct strbuf all = STRBUF_INIT;

		render(&f, "two");
		for (size_t i = 0; i < f.set.n; i++)
			strbuf_addf(&all, "%s %o\n%s", f.set.v[i].path, f.set.v[i].mode,
				    f.set.v[i].data);
		if (round)
			assert_string_equal(all.buf, first.buf);
		else
			strbuf_addstr(&first, all.buf);
	}
	memcpy(digest, f.set.haproxy_config, sizeof(digest));
	assert_line(&f, "/etc/haproxy/haproxy.cfg",
		    pool_printf(f.pool, "setenv " CONFIG_VARIABLE " %s", digest));
	f.facts.certificates = "another";
	render(&f, "two");
	assert_string_not_equal(digest, f.set.haproxy_config);
}

/* The digest is of the file as it would be with zeros in its place. */
static void test_caddy_digest(void **state)
{
	CLEANUP(teardown) struct fixture f;
	char want[65];
	char *text, *at;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	render(&f, "one");
	text = pool_strdup(f.pool, file(&f, "/etc/caddy/Caddyfile")->data);
	at = strstr(text, f.set.caddy_config);
	assert_non_null(at);
	memset(at, '0', 64);
	sha256_hex(text, strlen(text), want);
	assert_string_equal(want, f.set.caddy_config);
}

static void test_servers(void **state)
{
	static const struct peer_fact peers[] = {{"three", "10.108.0.4", NULL}};
	static const char cfg[] = "/etc/haproxy/haproxy.cfg";
	CLEANUP(teardown) struct fixture f;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	render(&f, "one");
	assert_line(&f, cfg, "server one 127.0.0.1:8080");
	assert_line(&f, cfg, "server two 10.108.0.3:8080 backup");
	assert_null(strstr(file(&f, cfg)->data, "server three"));
	f.facts.peers = peers;
	f.facts.n_peers = 1;
	render(&f, "one");
	assert_line(&f, cfg, "server three 10.108.0.4:8080 backup");
}

/* Not on every node: a backend of those that have it, by host, before what is for all. */
static void test_placement(void **state)
{
	static const char cfg[] = "/etc/haproxy/haproxy.cfg";
	CLEANUP(teardown) struct fixture f;
	const char *text, *exact, *everywhere, *wildcard, *backend;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	put(&f, "clusters/shop/services/front.yaml", respond_yaml);
	put(&f, "clusters/shop/services/two.yaml",
	    "version: 1\nhosts: [two.example.com, \"*.example.com\"]\nnodes: [two]\n"
	    "respond: {body: two}\n");
	put(&f, "clusters/shop/services/also.yaml",
	    "version: 1\nhosts: [also.example.com]\nnodes: [two]\nrespond: {body: also}\n");
	render(&f, "one");
	text = file(&f, cfg)->data;
	exact = strstr(text, "-m str -- two.example.com");
	everywhere = strstr(text, "everywhere_host req.hdr(host),host_only,lower -m str -- front");
	wildcard = strstr(text, "-m reg -- '^[^.]+\\.example\\.com$'");
	assert_non_null(exact);
	assert_true(exact < everywhere && everywhere < wildcard);
	assert_line(&f, cfg, "server two 10.108.0.3:8080");
	assert_line(&f, cfg, "default_backend be_caddy");
	backend = strstr(text, "\nbackend be_caddy_");
	assert_non_null(backend);
	assert_null(strstr(backend + 1, "\nbackend be_caddy_"));
	assert_null(strstr(file(&f, "/etc/caddy/Caddyfile")->data, "@two"));
	render(&f, "two");
	assert_line(&f, "/etc/caddy/Caddyfile", "@two_host {");
	assert_line(&f, "/etc/caddy/Caddyfile", "@two_wildcard {");
}

static void test_placed_default(void **state)
{
	CLEANUP(teardown) struct fixture f;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	put(&f, "clusters/shop/services/front.yaml", respond_yaml);
	put(&f, "clusters/shop/services/rest.yaml",
	    "version: 1\ndefault: true\nnodes: [two]\nrespond: {body: rest}\n");
	render(&f, "one");
	assert_non_null(
		strstr(file(&f, "/etc/haproxy/haproxy.cfg")->data, "default_backend be_caddy_"));
	assert_line(&f, "/etc/haproxy/haproxy.cfg", "use_backend be_caddy if everywhere_host");
	assert_line(&f, "/etc/caddy/Caddyfile", "respond * 421");
	render(&f, "two");
	assert_line(&f, "/etc/caddy/Caddyfile", "respond * rest 200");
}

static void test_headers(void **state)
{
	static const char cfg[] = "/etc/haproxy/haproxy.cfg";
	CLEANUP(teardown) struct fixture f;

	(void)state;
	setup(&f);
	put(&f, CLUSTER,
	    pool_printf(f.pool,
			"%singress:\n  headers: {x-frame-options: \"\", Referrer-Policy: "
			"no-referrer, X-Load: \"%%[env(HOME)]\"}\n",
			cluster_yaml));
	render(&f, "one");
	assert_null(strstr(file(&f, cfg)->data, "X-Frame-Options"));
	assert_null(strstr(file(&f, cfg)->data, "strict-origin"));
	assert_line(&f, cfg, "http-after-response set-header Referrer-Policy no-referrer");
	assert_line(&f, cfg, "http-after-response set-header X-Load '%%[env(HOME)]'");
	assert_line(&f, cfg, "http-after-response set-header X-Content-Type-Options nosniff");
}

static const char *password(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "stats-password") == 0 ? "pass'word" : NULL;
}

static void test_secrets(void **state)
{
	static const char cfg[] = "/etc/haproxy/haproxy.cfg";
	static const char compose[] = "/opt/dynia/compose/api/compose.yaml";
	CLEANUP(teardown) struct fixture f;
	struct err err;

	(void)state;
	setup(&f);
	put(&f, CLUSTER,
	    pool_printf(f.pool,
			"%singress: {stats: {user: admin, password: {secret: stats-password}}}\n",
			cluster_yaml));
	put(&f, "clusters/shop/services/api.yaml",
	    "version: 1\nhosts: [api.example.com]\nimage: local/api:1\nport: 80\n"
	    "env: {PLAIN: \"$HOME\", KEY: {secret: api-key}}\n");
	render(&f, "one");
	assert_line(&f, compose, "\"KEY\": \"(secret api-key)\"");
	assert_line(&f, compose, "\"PLAIN\": \"$$HOME\"");
	assert_true(file(&f, compose)->secret);
	assert_int_equal(file(&f, compose)->mode, 0600);
	assert_true(file(&f, cfg)->secret);
	assert_int_equal(file(&f, cfg)->mode, 0600);

	f.facts.secret = password;
	assert_int_equal(render_err(&f, "one", &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "'api-key'"));
	assert_non_null(strstr(err.msg, "env.KEY"));
	assert_null(strstr(err.msg, "pass'word"));
	put(&f, "clusters/shop/services/api.yaml", respond_yaml);
	render(&f, "one");
	assert_line(&f, cfg, "user admin insecure-password 'pass'\\''word'");
}

static const char *label(struct fixture *f, const char *path)
{
	const char *at = strstr(file(f, path)->data, "dynia.files: ");

	return at ? pool_memdup(f->pool, at, strlen("dynia.files: \"\"") + 64) : NULL;
}

static void test_files_label(void **state)
{
	static const char compose[] = "/opt/dynia/compose/api/compose.yaml";
	CLEANUP(teardown) struct fixture f;
	const char *before;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	put(&f, "clusters/shop/services/api/service.yaml",
	    "version: 1\nhosts: [api.example.com]\nimage: local/api:1\nport: 80\n"
	    "volumes: [\"data:/data\", \"./files:/files:ro\"]\n");
	put(&f, "clusters/shop/services/api/files/a.conf", "a");
	put(&f, "clusters/shop/services/api/README.md", "a");
	render(&f, "one");
	before = label(&f, compose);
	assert_non_null(before);
	assert_string_equal(file(&f, "/opt/dynia/compose/api/files/a.conf")->data, "a");
	assert_line(&f, compose, "source: \"/opt/dynia/compose/api/files\"");
	put(&f, "clusters/shop/services/api/README.md", "b");
	render(&f, "one");
	assert_string_equal(label(&f, compose), before);
	put(&f, "clusters/shop/services/api/files/a.conf", "b");
	render(&f, "one");
	assert_string_not_equal(label(&f, compose), before);
}

static void test_compose_override(void **state)
{
	static const char override[] = "/opt/dynia/compose/api/compose.dynia.yaml";
	static const char user[] = "version: \"3.8\"\nservices:\n  web:\n    image: x:1\n";
	CLEANUP(teardown) struct fixture f;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	put(&f, "clusters/shop/services/api/service.yaml",
	    "version: 1\nhosts: [api.example.com]\ncompose: ./compose.yaml\nentry: web\nport: 80\n"
	    "publish: 20123\nresources: {limits: {memory: 64M}}\n");
	put(&f, "clusters/shop/services/api/compose.yaml", user);
	render(&f, "one");
	assert_string_equal(file(&f, "/opt/dynia/compose/api/compose.yaml")->data, user);
	assert_line(&f, override, "version: \"3.8\"");
	assert_line(&f, override, "mem_limit: 67108864");
	assert_line(&f, override, "- \"127.0.0.1:20123:80\"");
	put(&f, "clusters/shop/services/api/compose.yaml", user + strlen("version: \"3.8\"\n"));
	render(&f, "one");
	assert_line(&f, override, "mem_limit: 67108864");
	assert_null(strstr(file(&f, override)->data, "version"));
}

static void test_static_site(void **state)
{
	CLEANUP(teardown) struct fixture f;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	put(&f, "clusters/shop/services/docs/service.yaml",
	    "version: 1\nhosts: [docs.example.com]\nstatic: ./site\nnodes: [one]\n");
	put(&f, "clusters/shop/services/docs/site/a/index.html", "hi");
	put(&f, "clusters/shop/services/docs/site2/x", "no");
	render(&f, "one");
	assert_int_equal(file(&f, "/opt/dynia/sites/docs/a/index.html")->program, PROGRAM_SITE);
	assert_null(fileset_find(&f.set, "/opt/dynia/sites/docs/x"));
	assert_line(&f, "/etc/caddy/Caddyfile", "root * /opt/dynia/sites/docs");
	render(&f, "two");
	assert_null(fileset_find(&f.set, "/opt/dynia/sites/docs/a/index.html"));
}

static void test_path_twice(void **state)
{
	CLEANUP(teardown) struct fixture f;
	struct err err;

	(void)state;
	setup(&f);
	put(&f, CLUSTER, cluster_yaml);
	put(&f, "clusters/shop/services/api/service.yaml",
	    "version: 1\nhosts: [api.example.com]\nimage: local/api:1\nport: 80\n");
	put(&f, "clusters/shop/services/api/compose.yaml", "mine");
	assert_int_equal(render_err(&f, "one", &err), -1);
	assert_non_null(strstr(err.msg, "'/opt/dynia/compose/api/compose.yaml'"));
}

static void test_keepalived(void **state)
{
	static const char conf[] = "/etc/keepalived/keepalived.conf";
	CLEANUP(teardown) struct fixture f;
	struct err err;

	(void)state;
	setup(&f);
	put(&f, CLUSTER,
	    pool_printf(f.pool,
			"%svip: {address: 203.0.113.10, move: digitalocean, interface: eth1, "
			"router_id: 71}\n"
			"provider: {digitalocean: {region: sgp1}}\n",
			cluster_yaml));
	render(&f, "two");
	assert_line(&f, conf, "priority 240");
	assert_line(&f, conf, "advert_int 1.00");
	assert_line(&f, conf, "unicast_src_ip 10.108.0.3");
	assert_line(&f, conf, "10.108.0.2");
	assert_line(&f, conf, "192.0.2.71/32 dev lo");
	assert_line(&f, conf, "notify_master \"/usr/bin/dynia vrrp master\" root root");
	assert_line(&f, conf, "script \"/usr/bin/dynia check ingress --port 8405\"");
	put(&f, CLUSTER,
	    pool_printf(f.pool,
			"%svip: {address: 10.108.0.9, interface: eth1, advert_interval: 250ms}\n",
			cluster_yaml));
	render(&f, "one");
	assert_line(&f, conf, "10.108.0.9 dev eth1");
	assert_line(&f, conf, "advert_int 0.25");
	f.facts.program = "/opt/my tools/dynia";
	assert_int_equal(render_err(&f, "one", &err), -1);
	assert_non_null(strstr(err.msg, "keepalived: "));
}

static void test_firewall(void **state)
{
	static const char ufw[] = "/opt/dynia/firewall/ufw.rules";
	CLEANUP(teardown) struct fixture f;

	(void)state;
	setup(&f);
	put(&f, CLUSTER,
	    pool_printf(f.pool,
			"%svip: {address: 10.108.0.9, interface: eth1}\n"
			"firewall: {ssh_from: [192.0.2.0/24]}\n",
			cluster_yaml));
	render(&f, "one");
	assert_line(&f, ufw, "limit from 192.0.2.0/24 to any port 22 proto tcp comment dynia-ssh");
	assert_line(&f, ufw, "allow 443/tcp comment dynia-https");
	assert_line(&f, ufw,
		    "allow from 10.108.0.3 to any port 8080 proto tcp comment dynia-caddy");
	assert_line(&f, ufw,
		    "allow in on eth1 from 10.108.0.3 to any proto vrrp comment dynia-vrrp");
	assert_null(strstr(file(&f, ufw)->data, "reset"));
	assert_line(&f, "/opt/dynia/firewall/docker-user.rules",
		    "-A DOCKER-USER -d 169.254.169.254/32 -j DROP");
	put(&f, CLUSTER,
	    pool_printf(f.pool, "%sfirewall: {internal: [10.108.0.0/20]}\n", cluster_yaml));
	render(&f, "one");
	assert_line(&f, ufw,
		    "allow from 10.108.0.0/20 to any port 8080 proto tcp comment dynia-caddy");
	assert_line(&f, "/opt/dynia/firewall/docker-user.rules",
		    "-A DOCKER-USER -s 10.108.0.0/20 -j RETURN");
}

static void test_caddy_in_public(void **state)
{
	static const char caddy[] = "/etc/caddy/Caddyfile";
	CLEANUP(teardown) struct fixture f;
	struct err err;

	(void)state;
	setup(&f);
	put(&f, "clusters/shop/services/front.yaml", respond_yaml);
	put(&f, CLUSTER, pool_printf(f.pool, "%singress: {tls: {mode: caddy}}\n", cluster_yaml));
	render(&f, "one");
	assert_null(fileset_find(&f.set, "/etc/haproxy/haproxy.cfg"));
	assert_line(&f, caddy, "https://front.example.com {");
	assert_line(&f, caddy, "header * Strict-Transport-Security max-age=31536000");
	put(&f, CLUSTER,
	    pool_printf(f.pool, "%singress: {tls: {mode: caddy}, headers: {-Server: x}}\n",
			cluster_yaml));
	assert_int_equal(render_err(&f, "one", &err), -1);
	assert_non_null(strstr(err.msg, "'-Server'"));
}

/* One address a node on one machine: everything of a node is on its own loopback address. */
static void test_loopback_nodes(void **state)
{
	CLEANUP(teardown) struct fixture f;
	static const char cfg[] = "/opt/dynia/haproxy/haproxy.cfg";

	(void)state;
	setup(&f);
	put(&f, CLUSTER,
	    "version: 1\ndomain: example.com\nnodes: {one: {address: 127.0.0.2}, two: {address: "
	    "127.0.0.3}}\ningress: {runtime: process, http_port: 8000, https_port: 8443}\n");
	render(&f, "two");
	assert_line(&f, cfg, "bind 127.0.0.3:8000");
	assert_line(&f, cfg, "server one 127.0.0.2:8080 backup");
	assert_null(strstr(file(&f, cfg)->data, "v6only"));
	assert_null(strstr(file(&f, cfg)->data, "127.0.0.1:"));
	assert_line(&f, "/opt/dynia/caddy/Caddyfile", "bind 127.0.0.3");
}

static void put_words(struct fixture *f, const char *word)
{
	put(f, CLUSTER,
	    pool_printf(f->pool,
			"%singress:\n  headers: {X-Word: '%s'}\n  stats: {user: admin, password: "
			"'%s'}\n",
			cluster_yaml, word, word));
	put(f, "clusters/shop/services/front.yaml",
	    pool_printf(f->pool, "version: 1\nhosts: [front.example.com]\nrespond: {body: '%s'}\n",
			word));
	put(f, "clusters/shop/services/api.yaml",
	    pool_printf(f->pool,
			"version: 1\nhosts: [api.example.com]\nimage: x:1\nport: 80\n"
			"env: {WORD: '%s'}\nhealth: {command: ['%s']}\n",
			word, word));
}

/* Whatever a word holds, every file has the lines that it has with a harmless one. */
static void test_words_stay_words(void **state)
{
	static const char *const paths[] = {"/etc/haproxy/haproxy.cfg", "/etc/caddy/Caddyfile",
					    "/opt/dynia/compose/api/compose.yaml"};
	static const char *const words[] = {
		"a b",         "{env.HOME}", "%[env(HOME)]", "\"",      "`",
		"# c",         "\\",         "a\\\"b",       "${HOME}", "- x: y",
		"&a *a !!int", "''",         "}\\n{",        "<<EOF",   "a {b} `c` \"d\" \\ e",
		"@x",          "*",
	};
	CLEANUP(teardown) struct fixture f;
	size_t want[ARRAY_SIZE(paths)];

	(void)state;
	setup(&f);
	put_words(&f, "harmless");
	render(&f, "one");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		want[i] = count_lines(file(&f, paths[i]));
	for (size_t j = 0; j < ARRAY_SIZE(words); j++) {
		put_words(&f, words[j]);
		render(&f, "one");
		for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
			assert_int_equal(count_lines(file(&f, paths[i])), want[i]);
	}
}

static void test_word_is_refused(void **state)
{
	static const char *const words[] = {"}", "`\\", "`\\\""};
	CLEANUP(teardown) struct fixture f;
	struct err err;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		put_words(&f, words[i]);
		assert_int_equal(render_err(&f, "one", &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_int_equal(strncmp(err.msg, "caddy: ", 7), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runtimes),
		cmocka_unit_test(test_same_input_same_bytes),
		cmocka_unit_test(test_caddy_digest),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_placement),
		cmocka_unit_test(test_placed_default),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_files_label),
		cmocka_unit_test(test_compose_override),
		cmocka_unit_test(test_static_site),
		cmocka_unit_test(test_path_twice),
		cmocka_unit_test(test_keepalived),
		cmocka_unit_test(test_firewall),
		cmocka_unit_test(test_caddy_in_public),
		cmocka_unit_test(test_loopback_nodes),
		cmocka_unit_test(test_words_stay_words),
		cmocka_unit_test(test_word_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
