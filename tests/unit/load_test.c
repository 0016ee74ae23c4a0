#include "tests/unit/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "spec/check.h"
#include "spec/load.h"
#include "tests/unit/scratch.h"

static const char cluster_yaml[] =
	"version: 1\n"
	"domain: example.com\n"
	"nodes:\n"
	"  brave-panda: {priority: 110, address: 10.108.0.2}\n"
	"  misty-owl: {priority: 100, labels: {disk: ssd}}\n"
	"vip:\n"
	"  address: 203.0.113.10\n"
	"  move: digitalocean\n"
	"  interface: eth1\n"
	"  router_id: 51\n"
	"  advert_interval: 1s\n"
	"ingress:\n"
	"  runtime: system\n"
	"  http_port: 80\n"
	"  https_port: 443\n"
	"  caddy_port: 8080\n"
	"  tls: {mode: origin}\n"
	"  max_connections: 4096\n"
	"  rate_limit: {requests: 300, window: 10s}\n"
	"  client_address: cloudflare\n"
	"  compression: true\n"
	"  headers: {}\n"
	"  stats: {port: 8404, from: [10.108.0.0/20], user: admin, password: {secret: "
	"stats-password}}\n"
	"  images: {haproxy: \"haproxy:2.8-alpine\", caddy: \"caddy:2.7-alpine\"}\n"
	"  resources: {haproxy: {limits: {memory: 128M, cpus: 0.5}}, caddy: {limits: {memory: 64M, "
	"cpus: 0.3}}}\n"
	"network: {name: edge, subnet: 172.20.0.0/16}\n"
	"firewall: {ssh_from: [0.0.0.0/0], internal: [10.108.0.0/20]}\n"
	"rollout: {strategy: rolling, max_unavailable: 1, health_timeout: 5m}\n"
	"provider:\n"
	"  digitalocean: {region: sgp1, size: s-1vcpu-1gb, image: ubuntu-24-04-x64, vpc: shop, "
	"ssh_keys: [ops-laptop],"
	" monitoring: true}\n"
	"dns:\n"
	"  cloudflare: {zone: example.com, proxied: true}\n";

static const char api_yaml[] =
	"version: 1\n"
	"hosts: [api.example.com]\n"
	"image: registry.example.com/acme/api:1.4.2\n"
	"port: 8080\n"
	"env: {LOG_LEVEL: 3, DATABASE_URL: {secret: api-database-url}}\n"
	"volumes: [\"data:/var/lib/api\", \"./files/api.toml:/etc/api.toml:ro\", "
	"\"./files/:/files\"]\n"
	"health: {path: /health, interval: 30s, timeout: 5s, retries: 3, start_period: 20s}\n"
	"resources: {limits: {memory: 256M, cpus: 0.5}, reservations: {memory: 128M, cpus: 0.25}}\n"
	"nodes: all\n";

static const char minimal_cluster[] = "version: 1\nnodes: {one: {}, two: {}}\n";

struct fixture {
	struct scratch dir;
	struct spec *spec;
	struct diags diags;
	struct err err;
};

static struct fixture fixture;

static int setup(void **state)
{
	fixture = (struct fixture) {.dir = scratch_make()};
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	spec_free(f->spec);
	diags_release(&f->diags);
	scratch_release(&f->dir);
	return 0;
}

static void put_bytes(struct fixture *f, const char *path, const char *data, size_t len,
		      mode_t mode)
{
	assert_int_equal(file_replace_in(f->dir.fd, path, data, len, mode, &f->err), 0);
}

static void put(struct fixture *f, const char *path, const char *text)
{
	put_bytes(f, path, text, strlen(text), 0644);
}

static int load(struct fixture *f, const char *only)
{
	CLEANUP(source_freep) struct source *src = source_from_dir(f->dir.path, &f->err);

	assert_non_null(src);
	spec_freep(&f->spec);
	diags_release(&f->diags);
	return spec_load(src, only, &f->spec, &f->diags, &f->err);
}

static void load_valid(struct fixture *f)
{
	assert_int_equal(load(f, NULL), 0);
	diags_print(&f->diags, stderr);
	assert_int_equal(f->diags.n, 0);
	assert_non_null(f->spec);
}

static void expect_one(struct fixture *f, const char *path, const char *msg)
{
	assert_int_equal(load(f, NULL), 0);
	if (f->diags.n != 1 || strcmp(f->diags.v[0].msg, msg) != 0)
		diags_print(&f->diags, stderr);
	assert_int_equal(f->diags.n, 1);
	assert_string_equal(f->diags.v[0].path, path);
	assert_string_equal(f->diags.v[0].msg, msg);
}

/* --- what is read -------------------------------------------------------------------- */

static void put_shop(struct fixture *f)
{
	put(f, "clusters/shop/cluster.yaml", cluster_yaml);
	put(f, "clusters/shop/README.md", "notes\n");
	put(f, "clusters/shop/services/api/service.yaml", api_yaml);
	put(f, "clusters/shop/services/api/files/api.toml", "a = 1\n");
	put_bytes(f, "clusters/shop/services/api/files/run", "x\0y", 3, 0755);
	put(f, "clusters/shop/services/docs.yaml",
	    "version: 1\ndefault: true\nrespond: {status: 503, body: \"Back\\nsoon\"}\n");
	put(f, "clusters/shop/services/app/service.yaml",
	    "version: 1\nhosts: app.example.com\ncompose: ./compose.yaml\nentry: web\nport: "
	    "3000\npublish: 20555\n"
	    "nodes: {labels: {disk: ssd}}\n");
	put(f, "clusters/shop/services/app/compose.yaml",
	    "x-base: &base {image: !!str acme/web}\nservices:\n  web: {<<: *base}\n");
	put(f, "clusters/shop/services/site/service.yaml",
	    "version: 1\nhosts: [\"*.example.com\"]\nstatic: ./public/\nnodes: [misty-owl]\n");
	put(f, "clusters/shop/services/site/public/index.html", "hello\n");
}

static void test_cluster(void **state)
{
	struct fixture *f = *state;
	const struct cluster *cluster;

	put_shop(f);
	load_valid(f);
	assert_int_equal(f->spec->n_clusters, 1);
	assert_null(spec_cluster(f->spec, "other"));
	cluster = spec_cluster(f->spec, "shop");
	assert_string_equal(cluster->path, "clusters/shop/cluster.yaml");
	assert_int_equal(cluster->node_map.n, 2);
	assert_string_equal(cluster_node(cluster, 0)->name, "brave-panda");
	assert_int_equal(cluster_node(cluster, 1)->pos.line, 5);
	assert_int_equal(cluster->vip->move, VIP_MOVE_DIGITALOCEAN);
	assert_int_equal(cluster->vip->advert_interval_ms, 1000);
	assert_int_equal(cluster->ingress.tls.mode, TLS_ORIGIN);
	assert_int_equal(cluster->ingress.rate_limit->requests, 300);
	assert_int_equal(cluster->ingress.health_port, 8405);
	assert_int_equal(cluster->ingress.client_address, CLIENT_CLOUDFLARE);
	assert_string_equal(cluster->ingress.stats.password.secret, "stats-password");
	assert_int_equal(cluster->ingress.resources.haproxy.limits.memory_bytes, 128 << 20);
	assert_int_equal(cluster->ingress.resources.caddy.limits.cpus_milli, 300);
	assert_string_equal(cluster->firewall->internal.v[0], "10.108.0.0/20");
	assert_int_equal(cluster->rollout.health_timeout_ms, 300000);
	assert_string_equal(cluster->provider.digitalocean->ssh_keys.v[0], "ops-laptop");
	assert_true(cluster->dns.cloudflare->proxied);
}

static void test_cluster_defaults(void **state)
{
	struct fixture *f = *state;
	const struct cluster *cluster;

	put(f, "clusters/shop/cluster.yaml", minimal_cluster);
	load_valid(f);
	cluster = &f->spec->clusters[0];
	assert_null(cluster->domain);
	assert_null(cluster->vip);
	assert_null(cluster->firewall);
	assert_null(cluster->provider.digitalocean);
	assert_null(cluster->ingress.rate_limit);
	assert_int_equal(cluster->ingress.runtime, RUNTIME_SYSTEM);
	assert_int_equal(cluster->ingress.tls.mode, TLS_FILES);
	assert_int_equal(cluster->ingress.caddy_port, 8080);
	assert_true(cluster->ingress.compression);
	assert_string_equal(cluster->ingress.images.caddy, "caddy:2.7-alpine");
	assert_string_equal(cluster->network.subnet, "172.20.0.0/16");
	assert_int_equal(cluster->rollout.strategy, ROLLOUT_ROLLING);
	assert_int_equal(cluster->n_services, 0);
}

static void test_rate_limit_of_defaults(void **state)
{
	struct fixture *f = *state;

	put(f, "clusters/shop/cluster.yaml",
	    "version: 1\nnodes: {one: {}}\ningress: {rate_limit: {}}\n");
	load_valid(f);
	assert_int_equal(f->spec->clusters[0].ingress.rate_limit->requests, 300);
	assert_int_equal(f->spec->clusters[0].ingress.rate_limit->window_ms, 10000);
}

static void test_image_service(void **state)
{
	struct fixture *f = *state;
	const struct service *api;

	put_shop(f);
	load_valid(f);
	api = cluster_service(&f->spec->clusters[0], "api");
	assert_int_equal(api->kind, SERVICE_IMAGE);
	assert_string_equal(api->path, "clusters/shop/services/api/service.yaml");
	assert_string_equal(api->folder, "clusters/shop/services/api");
	assert_int_equal(api->image_pos.line, 3);
	assert_int_equal(api->publish, service_default_port("api"));
	assert_string_equal(api->env.v[0].value.text, "3");
	assert_string_equal(api->env.v[1].value.secret, "api-database-url");
	assert_int_equal(api->volumes.n, 3);
	assert_string_equal(api->mounts[0].source, "data");
	assert_false(api->mounts[0].is_path);
	assert_string_equal(api->mounts[1].source, "files/api.toml");
	assert_string_equal(api->mounts[1].target, "/etc/api.toml");
	assert_true(api->mounts[1].is_path && api->mounts[1].read_only);
	assert_string_equal(api->mounts[2].source, "files");
	assert_int_equal(api->n_files, 2);
	assert_string_equal(api->files[0].path, "files/api.toml");
	assert_string_equal(api->files[0].data, "a = 1\n");
	assert_false(api->files[0].executable);
	assert_int_equal(api->files[1].len, 3);
	assert_true(api->files[1].executable);
	assert_int_equal(api->health.start_period_ms, 20000);
	assert_true(api->nodes.all);
}

static void test_other_services(void **state)
{
	struct fixture *f = *state;
	const struct cluster *cluster;
	const struct service *app, *docs, *site;

	put_shop(f);
	load_valid(f);
	cluster = &f->spec->clusters[0];
	assert_int_equal(cluster->n_services, 4);
	assert_null(cluster_service(cluster, "nobody"));
	app = cluster_service(cluster, "app");
	assert_int_equal(app->kind, SERVICE_COMPOSE);
	assert_string_equal(app->compose, "compose.yaml");
	assert_string_equal(app->entry, "web");
	assert_non_null(app->compose_yaml);
	assert_int_equal(app->publish, 20555);
	assert_string_equal(app->hosts.v[0], "app.example.com");
	docs = cluster_service(cluster, "docs");
	assert_int_equal(docs->kind, SERVICE_RESPOND);
	assert_true(docs->is_default);
	assert_int_equal(docs->respond->status, 503);
	assert_string_equal(docs->respond->body, "Back\nsoon");
	assert_string_equal(docs->respond->content_type, "text/plain; charset=utf-8");
	assert_int_equal(docs->publish, 0);
	assert_null(docs->folder);
	site = cluster_service(cluster, "site");
	assert_int_equal(site->kind, SERVICE_STATIC);
	assert_string_equal(site->site, "public");
	assert_false(service_on_node(site, cluster_node(cluster, 0)));
	assert_true(service_on_node(site, cluster_node(cluster, 1)));
	assert_false(service_on_node(app, cluster_node(cluster, 0)));
	assert_true(service_on_node(app, cluster_node(cluster, 1)));
}

/* "a.yaml" sorts after "a-b.yaml", and "a" before "a-b". */
static void test_services_are_sorted_by_name(void **state)
{
	struct fixture *f = *state;

	put(f, "clusters/shop/cluster.yaml", minimal_cluster);
	put(f, "clusters/shop/services/a-b.yaml",
	    "version: 1\nhosts: a-b.example.com\nrespond: {}\n");
	put(f, "clusters/shop/services/a.yaml", "version: 1\nhosts: a.example.com\nrespond: {}\n");
	put(f, "clusters/shop/services/.gitkeep", "");
	load_valid(f);
	assert_string_equal(f->spec->clusters[0].services[0].name, "a");
	assert_non_null(cluster_service(&f->spec->clusters[0], "a-b"));
}

static void test_entry_is_the_service(void **state)
{
	struct fixture *f = *state;

	put(f, "clusters/shop/cluster.yaml", minimal_cluster);
	put(f, "clusters/shop/services/app/service.yaml",
	    "version: 1\nhosts: app.example.com\ncompose: compose.yaml\nport: 80\n");
	put(f, "clusters/shop/services/app/compose.yaml",
	    "services: {app: {image: acme/app}, db: {image: acme/db}}\n");
	load_valid(f);
	assert_string_equal(f->spec->clusters[0].services[0].entry, "app");
}

static void test_only_one_cluster(void **state)
{
	struct fixture *f = *state;

	put(f, "clusters/shop/cluster.yaml", minimal_cluster);
	put(f, "clusters/broken/cluster.yaml", "version: 9\n");
	assert_int_equal(load(f, "shop"), 0);
	assert_int_equal(f->diags.n, 0);
	assert_int_equal(f->spec->n_clusters, 1);
	assert_int_equal(load(f, "shp"), 0);
	assert_string_equal(f->diags.v[0].msg, "there is no cluster 'shp': did you mean 'shop'?");
	assert_int_equal(load(f, "elsewhere"), 0);
	assert_int_equal(f->diags.n, 1);
	assert_string_equal(f->diags.v[0].msg, "there is no cluster 'elsewhere'");
	assert_int_equal(load(f, NULL), 0);
	assert_int_equal(f->spec->n_clusters, 2);
	assert_true(f->diags.n > 0);
}

/* --- limits -------------------------------------------------------------------------- */

static void put_spaces(struct fixture *f, const char *path, size_t n)
{
	AUTO_FREE char *data = xmalloc(n);

	memset(data, ' ', n);
	put_bytes(f, path, data, n, 0644);
}

static void test_yaml_file_too_large(void **state)
{
	struct fixture *f = *state;

	put(f, "clusters/shop/cluster.yaml", minimal_cluster);
	put_spaces(f, "clusters/shop/services/api.yaml", (1 << 20) + 1);
	expect_one(f, "clusters/shop/services/api.yaml", "the file is larger than 1 MiB");
}

static void test_other_file_too_large(void **state)
{
	struct fixture *f = *state;

	put_shop(f);
	put_spaces(f, "clusters/shop/services/api/files/big", 16 << 20);
	load_valid(f);
	put_spaces(f, "clusters/shop/services/api/files/big", (16 << 20) + 1);
	expect_one(f, "clusters/shop/services/api/files/big", "the file is larger than 16 MiB");
}

static void test_compose_file_too_large(void **state)
{
	struct fixture *f = *state;

	put_shop(f);
	put_spaces(f, "clusters/shop/services/app/compose.yaml", (1 << 20) + 1);
	expect_one(f, "clusters/shop/services/app/compose.yaml",
		   "a YAML file cannot be larger than 1048576 bytes");
}

/* A repository that is made up while it is read: one too large to write it down for a test. */
struct large_source {
	struct source base;
	size_t clusters;
	size_t services; /* in each cluster */
	size_t files;    /* in each service's folder */
	size_t file_size;
	enum err_code list_fails;
	enum err_code read_fails;
};

static void add_entry(struct source_list *list, struct pool *pool, const char *name,
		      enum source_type type)
{
	list->v[list->n++] = (struct source_entry) {.name = pool_strdup(pool, name), .type = type};
}

static int large_list(struct source *src, const char *dir, struct pool *pool,
		      struct source_list *ret, struct err *err)
{
	const struct large_source *self = (const struct large_source *)src;
	bool is_top = strcmp(dir, "clusters") == 0;
	bool is_service = strstr(dir, "/services/") != NULL;
	bool is_services = !is_service && strstr(dir, "/services") != NULL;
	size_t n = is_top        ? self->clusters
		   : is_services ? self->services
		   : is_service  ? self->files
				 : 0;

	if (self->list_fails)
		return err_set(err, self->list_fails, "it fails");
	ret->n = 0;
	ret->v = pool_calloc(pool, n + 2, sizeof(*ret->v));
	for (size_t i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%05zu", i);
		add_entry(ret, pool, name, is_service ? SOURCE_FILE : SOURCE_DIR);
	}
	if (is_service) {
		add_entry(ret, pool, "service.yaml", SOURCE_FILE);
	} else if (!is_top && !is_services) {
		add_entry(ret, pool, "cluster.yaml", SOURCE_FILE);
		add_entry(ret, pool, "services", SOURCE_DIR);
	}
	return 1;
}

static int large_read(struct source *src, const char *path, size_t limit, struct pool *pool,
		      const char **ret_data, size_t *ret_len, struct err *err)
{
	static char zeros[16 << 20];
	const struct large_source *self = (const struct large_source *)src;

	if (self->read_fails)
		return err_set(err, self->read_fails, "it fails");
	if (strstr(path, "/cluster.yaml"))
		*ret_data = minimal_cluster;
	else if (strstr(path, "/service.yaml"))
		*ret_data = pool_printf(pool, "version: 1\nhosts: s%zu.example.com\nrespond: {}\n",
					pool_used(pool));
	else
		*ret_data = zeros;
	*ret_len = *ret_data == zeros ? self->file_size : strlen(*ret_data);
	assert_true(*ret_len <= limit);
	return 1;
}

static void large_free(struct source *src)
{
	(void)src;
}

static const struct source_ops large_ops = {large_list, large_read, large_free};

static void expect_full(struct fixture *f, struct large_source src, const char *msg)
{
	src.base.ops = &large_ops;
	assert_int_equal(spec_load(&src.base, NULL, &f->spec, &f->diags, &f->err), 0);
	assert_non_null(f->spec);
	diags_print(&f->diags, stderr);
	assert_int_equal(f->diags.n, 1);
	assert_string_equal(f->diags.v[0].msg, msg);
}

static void test_too_many_files(void **state)
{
	expect_full(
		*state, (struct large_source) {.clusters = 1, .services = 3, .files = 9000},
		"with this, the repository holds more than 20,000 files: the rest was not read");
}

static void test_too_many_bytes(void **state)
{
	expect_full(*state,
		    (struct large_source) {
			    .clusters = 1, .services = 2, .files = 9, .file_size = 16 << 20},
		    "with this, the repository holds more than 256 MiB: the rest was not read");
}

static void test_too_many_clusters(void **state)
{
	expect_full(
		*state, (struct large_source) {.clusters = 101},
		"with this, the repository holds more than 100 clusters: the rest was not read");
}

static void test_too_many_services(void **state)
{
	expect_full(
		*state, (struct large_source) {.clusters = 3, .services = 4000},
		"with this, the repository holds more than 10,000 services: the rest was not read");
}

static void test_too_many_entries(void **state)
{
	expect_full(*state, (struct large_source) {.list_fails = ERR_LIMIT},
		    "the folder has more than 10000 entries");
}

static void test_source_fails(void **state)
{
	struct fixture *f = *state;
	struct large_source list = {.base.ops = &large_ops, .list_fails = ERR_GIT};
	struct large_source read = {.base.ops = &large_ops, .clusters = 1, .read_fails = ERR_GIT};

	assert_int_equal(spec_load(&list.base, NULL, &f->spec, &f->diags, &f->err), -1);
	assert_int_equal(f->err.code, ERR_GIT);
	assert_null(f->spec);
	assert_int_equal(spec_load(&read.base, NULL, &f->spec, &f->diags, &f->err), -1);
	assert_null(f->spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cluster, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cluster_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate_limit_of_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_image_service, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_services, setup, teardown),
		cmocka_unit_test_setup_teardown(test_services_are_sorted_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entry_is_the_service, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_one_cluster, setup, teardown),
		cmocka_unit_test_setup_teardown(test_yaml_file_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_file_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compose_file_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_clusters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_services, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
