#include "reconciler/webhook.h"

#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

#define NOW 1614265330

static struct webhook_key key_of(const char *secret)
{
	struct webhook_key key;
	struct err err = {0};

	if (webhook_key_init(&key, secret, strlen(secret), "shop", &err) < 0)
		fail_msg("%s", err.msg);
	return key;
}

/* 1 good, 0 the body does not fit, -1 refused by its headers. */
static int judge(const struct webhook_key *key, const struct webhook_headers *h, const char *body,
		 struct webhook_id *ret)
{
	const char *why = NULL;
	struct webhook_check *check = webhook_begin(key, h, NOW, &why);

	if (!check) {
		assert_non_null(why);
		return -1;
	}
	assert_null(why);
	/* In two pieces, as it may come. */
	webhook_add(check, body, strlen(body) / 2);
	webhook_add(check, body + strlen(body) / 2, strlen(body) - strlen(body) / 2);
	return webhook_end(check, ret);
}

static void test_secrets(void **state)
{
	static const struct {
		const char *secret;
		const char *told;
	} bad[] = {
		{"", "16 to 1024"},
		{"fifteen-bytes--", "16 to 1024"},
		{"sixteen bytes \t.", "printable"},
		{"whsec_0123456789", "no signing token"},
		{"whsec_????????????????????????", "no signing token"},
		{"whsec_AAAAAAAA=AAAAAAAAAAAAAAA", "no signing token"},
	};
	struct webhook_key key;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(webhook_key_init(&key, bad[i].secret, strlen(bad[i].secret),
						  "shop", &err),
				 -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, bad[i].told));
	}
	key = key_of("0123456789abcdef");
	assert_int_equal(key.signing_len, 0);
}

/* The example of GitHub's documentation. */
static void test_github(void **state)
{
	const struct webhook_key key = key_of("It's a Secret to Everybody");
	struct webhook_headers h = {
		.hub_signature =
			"sha256="
			"757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"};
	struct webhook_id id;

	(void)state;
	assert_int_equal(judge(&key, &h, "Hello, World!", &id), 1);
	assert_false(id.relayed);
	assert_int_equal(id.digest[0], 0x75);
	assert_int_equal(judge(&key, &h, "Hello, World?", &id), 0);
	h.hub_signature += strlen("sha256=");
	assert_int_equal(judge(&key, &h, "Hello, World!", &id), -1);
	h = (struct webhook_headers) {.gitea_signature = h.hub_signature};
	assert_int_equal(judge(&key, &h, "Hello, World!", &id), 1);
}

/* The example of the Standard Webhooks libraries. */
static void test_signing_token(void **state)
{
	const struct webhook_key key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	struct webhook_headers h = {
		.webhook_id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
		.webhook_timestamp = "1614265330",
		.webhook_signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	};
	const char *body = "{\"test\": 2432232314}";
	struct webhook_id id;

	(void)state;
	assert_int_equal(judge(&key, &h, body, &id), 1);
	h.webhook_signature = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,AAAA "
			      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
	assert_int_equal(judge(&key, &h, body, &id), 1);
	h.webhook_timestamp = "1614265331";
	assert_int_equal(judge(&key, &h, body, &id), 0);
	h.webhook_timestamp = "1614265000";
	assert_int_equal(judge(&key, &h, body, &id), -1);
	h.webhook_timestamp = NULL;
	assert_int_equal(judge(&key, &h, body, &id), -1);
}

static void test_gitlab_token(void **state)
{
	const struct webhook_key key = key_of("0123456789abcdef");
	struct webhook_headers h = {.gitlab_token = "0123456789abcdef"};
	struct webhook_id one, two;

	(void)state;
	assert_int_equal(judge(&key, &h, "a", &one), 1);
	assert_int_equal(judge(&key, &h, "b", &two), 1);
	assert_memory_not_equal(one.digest, two.digest, sizeof(one.digest));
	h.gitlab_token = "0123456789abcde";
	assert_int_equal(judge(&key, &h, "a", &one), -1);
	h.gitlab_token = "";
	assert_int_equal(judge(&key, &h, "a", &one), -1);
}

static void test_relay(void **state)
{
	const struct webhook_key key = key_of("0123456789abcdef"),
				 other = key_of("another-secret-16");
	CLEANUP(strbuf_release) struct strbuf hook = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf signature = STRBUF_INIT;
	struct webhook_id id = {.digest = {1, 2, 3}}, got;
	struct webhook_key elsewhere = key;
	struct webhook_headers h;

	(void)state;
	elsewhere.cluster = "shop2";
	webhook_relay_headers(&key, &id, NOW + 10, &hook, &signature);
	h = (struct webhook_headers) {.dynia_hook = hook.buf, .dynia_signature = signature.buf};
	assert_int_equal(judge(&key, &h, "", &got), 1);
	assert_true(got.relayed);
	assert_memory_equal(got.digest, id.digest, sizeof(id.digest));
	assert_int_equal(judge(&other, &h, "", &got), -1);
	assert_int_equal(judge(&elsewhere, &h, "", &got), -1);
	hook.buf[hook.len - 1] ^= 1;
	assert_int_equal(judge(&key, &h, "", &got), -1);
	strbuf_clear(&hook);
	strbuf_clear(&signature);
	webhook_relay_headers(&key, &id, NOW - 1000, &hook, &signature);
	h = (struct webhook_headers) {.dynia_hook = hook.buf, .dynia_signature = signature.buf};
	assert_int_equal(judge(&key, &h, "", &got), -1);
}

/* A request that claims to be passed on is not rescued by what a forge would send. */
static void test_the_strongest_decides(void **state)
{
	const struct webhook_key key = key_of("0123456789abcdef");
	struct webhook_headers h = {.gitlab_token = "0123456789abcdef",
				    .hub_signature = "sha256=00"};
	struct webhook_id id;

	(void)state;
	assert_int_equal(judge(&key, &h, "", &id), -1);
	h = (struct webhook_headers) {.gitlab_token = "0123456789abcdef", .dynia_signature = "0"};
	assert_int_equal(judge(&key, &h, "", &id), -1);
	h = (struct webhook_headers) {0};
	assert_int_equal(judge(&key, &h, "", &id), -1);
}

static void test_seen_is_bounded(void **state)
{
	static struct webhook_seen seen;
	struct webhook_id id = {0};

	(void)state;
	for (unsigned i = 0; i < 3 * WEBHOOK_SEEN_MAX; i++) {
		memcpy(id.digest, &i, sizeof(i));
		assert_false(webhook_seen(&seen, &id));
		assert_true(webhook_seen(&seen, &id));
	}
	assert_int_equal(seen.n, WEBHOOK_SEEN_MAX);
	memset(&id, 0, sizeof(id));
	assert_false(webhook_seen(&seen, &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_github),
		cmocka_unit_test(test_signing_token),
		cmocka_unit_test(test_gitlab_token),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_the_strongest_decides),
		cmocka_unit_test(test_seen_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
