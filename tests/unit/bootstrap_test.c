#include "bootstrap/bootstrap.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bootstrap/cloudflare.h"
#include "bootstrap/dns.h"
#include "bootstrap/names.h"
#include "tests/unit/test.h"

#define MARK "dynia-cluster:shop"

static const struct api no_ocean = {.kind = &digitalocean_api};
static const struct api no_flare = {.kind = &cloudflare_api};

static void release_json(json_t **json)
{
	json_decref(*json);
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (!json)
		fail_msg("%s: %s", text, error.text);
	return json;
}

/* --- what a stranger sends ------------------------------------------------------------------ */

static void test_a_droplet(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(release_json)
	json_t *json =
		parse("{\"id\": 3164494, \"name\": \"shop-\\u001b[31mx\", \"status\": \"active\","
		      " \"size_slug\": \"s\", \"region\": {\"slug\": \"sgp1\"},"
		      " \"size\": {\"price_monthly\": 6}, \"networks\": {\"v4\": ["
		      " 7, {\"ip_address\": 9, \"type\": \"public\"},"
		      " {\"ip_address\": \"1.2.3.4; reboot\", \"type\": \"public\"},"
		      " {\"ip_address\": \"203.0.113.20\", \"type\": \"public\"},"
		      " {\"ip_address\": \"203.0.113.21\", \"type\": \"public\"},"
		      " {\"ip_address\": \"10.108.0.2\", \"type\": \"private\"}]}}");
	struct droplet droplet;
	struct err err = {0};

	(void)state;
	assert_int_equal(droplet_read(&no_ocean, json, pool, &droplet, &err), 0);
	assert_int_equal(droplet.id, 3164494);
	assert_string_equal(droplet.name, "shop-?[31mx");
	assert_string_equal(droplet.public_address, "203.0.113.20");
	assert_string_equal(droplet.private_address, "10.108.0.2");
	assert_true(droplet.monthly > 5.9 && droplet.monthly < 6.1);
}

static void test_what_is_no_droplet(void **state)
{
	static const char *const texts[] = {
		"[]",
		"{}",
		"{\"id\": \"3164494\", \"name\": \"a\", \"status\": \"new\"}",
		"{\"id\": -1, \"name\": \"a\", \"status\": \"new\"}",
		"{\"id\": 1, \"name\": null, \"status\": \"new\"}",
		"{\"id\": 1, \"name\": [\"a\"], \"status\": \"new\"}",
		"{\"id\": 1, \"name\": \"a\", \"status\": 1}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		CLEANUP(release_json) json_t *json = parse(texts[i]);
		struct droplet droplet;
		struct err err = {0};

		assert_int_equal(droplet_read(&no_ocean, json, pool, &droplet, &err), -1);
		assert_int_equal(err.code, ERR_NETWORK);
	}
}

static void test_what_is_no_record(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"id\": \"../../zones\", \"name\": \"a\", \"type\": \"A\"}",
		"{\"id\": \"\", \"name\": \"a\", \"type\": \"A\"}",
		"{\"id\": \"023e105f4ecef8ad9ca31a8372d0c353a\", \"name\": \"a\", \"type\": \"A\"}",
		"{\"id\": \"02\", \"name\": 1, \"type\": \"A\"}",
		"{\"id\": \"02\", \"name\": \"a\", \"type\": {}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		CLEANUP(release_json) json_t *json = parse(texts[i]);
		struct dns_record record;
		struct err err = {0};

		assert_int_equal(dns_record_read(&no_flare, json, pool, &record, &err), -1);
	}
}

static void test_what_is_no_reserved_ip(void **state)
{
	static const char *const texts[] = {"null", "{}", "{\"ip\": 1}", "{\"ip\": \"a/../b\"}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		CLEANUP(release_json)
		json_t *json = json_loads(texts[i], JSON_DECODE_ANY, &(json_error_t) {0});
		struct reserved_ip address;
		struct err err = {0};

		assert_int_equal(reserved_ip_read(&no_ocean, json, MARK, pool, &address, &err), -1);
	}
}

static void test_escape(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)state;
	assert_string_equal(api_escape(pool, "dynia-cluster:shop"), "dynia-cluster%3Ashop");
	assert_string_equal(api_escape(pool, "a/b?c&d \xc3\xa9"), "a%2Fb%3Fc%26d%20%C3%A9");
}

/* --- records -------------------------------------------------------------------------------- */

#define WANT(n, a)                                                                                 \
	{                                                                                          \
		.name = (n), .address = (a), .of = "service 'x'", .proxied = true                  \
	}
#define RECORD(i, n, t, c, m, p)                                                                   \
	{                                                                                          \
		.id = (i), .name = (n), .type = (t), .content = (c), .comment = (m),               \
		.proxied = (p)                                                                     \
	}

static int compare(struct dns_want *wants, size_t n_wants, struct dns_record *records,
		   size_t n_records, struct pool *pool, struct dns_changes *ret, struct err *err)
{
	const struct dns_wants w = {wants, n_wants};
	const struct dns_records r = {records, n_records};

	return dns_compare(&w, &r, MARK, pool, ret, err);
}

static void test_records_that_differ(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct dns_want wants[] = {WANT("a.x", "203.0.113.1"), WANT("b.x", "203.0.113.1"),
				   WANT("c.x", "203.0.113.1"), WANT("d.x", NULL),
				   WANT("e.x", "fd00::1")};
	struct dns_record records[] = {
		RECORD("1", "a.x", "A", "203.0.113.1", MARK, true),  /* right */
		RECORD("2", "b.x", "A", "203.0.113.9", MARK, true),  /* another address */
		RECORD("3", "c.x", "A", "203.0.113.1", MARK, false), /* not proxied */
		RECORD("4", "d.x", "A", "203.0.113.4", MARK, true),  /* not known: left */
		RECORD("5", "e.x", "A", "203.0.113.5", MARK, true),  /* of another type */
		RECORD("6", "f.x", "A", "203.0.113.6", MARK, true),  /* nobody wants it */
		RECORD("7", "g.x", "A", "203.0.113.7", "", true),    /* not ours */
		RECORD("8", "a.x", "TXT", "v=1", "", false),         /* not ours, not in the way */
	};
	struct dns_changes changes;
	struct err err = {0};
	char text[64] = "";

	(void)state;
	assert_int_equal(compare(wants, ARRAY_SIZE(wants), records, ARRAY_SIZE(records), pool,
				 &changes, &err),
			 0);
	for (size_t i = 0; i < changes.n; i++) {
		const struct dns_change *change = &changes.v[i];
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%c%s ", "+~-"[change->verb],
			 change -> record ? change -> record -> id : change -> want -> name);
	}
	assert_string_equal(text, "~3 ~2 +e.x -5 -6 ");
}

static void test_records_in_the_way(void **state)
{
	static const struct {
		const char *type;
		const char *content;
		bool proxied;
		bool conflict;
	} cases[] = {
		{"A", "203.0.113.9", true, true},  {"CNAME", "else.x", false, true},
		{"AAAA", "fd00::1", true, true},   {"A", "203.0.113.1", true, false},
		{"A", "203.0.113.1", false, true}, {"TXT", "203.0.113.1", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(pool_freep) struct pool *pool = pool_new();
		struct dns_want wants[] = {WANT("a.x", "203.0.113.1")};
		struct dns_record records[] = {RECORD("1", "a.x", cases[i].type, cases[i].content,
						      "dynia-cluster:blog", cases[i].proxied)};
		struct dns_changes changes;
		struct err err = {0};

		assert_int_equal(compare(wants, 1, records, 1, pool, &changes, &err),
				 cases[i].conflict ? -1 : 0);
		if (!cases[i].conflict)
			continue;
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "a.x"));
		assert_non_null(strstr(err.msg, cases[i].content));
		assert_non_null(strstr(err.msg, "cluster 'blog'"));
	}
}

static void test_names(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct cluster cluster = {.name = "shop"};
	char *seen[4096] = {NULL};

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		const char *name = node_name_propose(&cluster, i, pool);

		seen[i] = (char *)name;
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(seen[k], name);
	}
	assert_string_equal(node_name_first("shop", pool), node_name_propose(&cluster, 0, pool));
}

/* --- addresses that a token may go to ---------------------------------------------------------- */

static void test_where_a_token_goes(void **state)
{
	static const struct {
		const char *url;
		bool good;
	} cases[] = {
		{"https://api.digitalocean.com", true},
		{"https://proxy.example:8443/do/", true},
		{"http://127.0.0.1:8080", true},
		{"http://localhost:8080", true},
		{"http://[::1]:8080", true},
		{"http://api.digitalocean.com", false},
		{"http://127.0.0.1.evil.example", false},
		{"http://127.0.0.1@evil.example", false},
		{"https://a@evil.example", false},
		{"ftp://127.0.0.1", false},
		{"https://", false},
		{"https://a b", false},
		{"https://a?b", false},
		{"http://localhost.evil.example", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(api_release) struct api api = API_INIT;
		struct err err = {0};

		setenv(digitalocean_api.url_variable, cases[i].url, 1);
		if ((api_open(&api, &digitalocean_api, "token", &err) == 0) != cases[i].good)
			fail_msg("%s: %s", cases[i].url, err.msg);
	}
	unsetenv(digitalocean_api.url_variable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_droplet),
		cmocka_unit_test(test_what_is_no_droplet),
		cmocka_unit_test(test_what_is_no_record),
		cmocka_unit_test(test_what_is_no_reserved_ip),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_records_that_differ),
		cmocka_unit_test(test_records_in_the_way),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_where_a_token_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
