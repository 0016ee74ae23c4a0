#include "base/parse.h"

#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

#define WRONG INT64_MIN

struct number_case {
	const char *text;
	int64_t want; /* or WRONG */
};

typedef int parse_fn(const char *s, int64_t *ret, struct err *err);

static void check_numbers(parse_fn *parse, const struct number_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err err = {0};
		int64_t value = WRONG;
		int rc = parse(cases[i].text, &value, &err);

		if (value != cases[i].want)
			fail_msg("'%s': %lld, %s", cases[i].text, (long long)value, err.msg);
		assert_int_equal(rc, cases[i].want == WRONG ? -1 : 0);
		assert_int_equal(err.code, rc < 0 ? ERR_CONFIG : ERR_NONE);
	}
}

static int parse_any_int(const char *s, int64_t *ret, struct err *err)
{
	return parse_int(s, -INT64_MAX, INT64_MAX, ret, err);
}

static void test_int(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0},
		{"7", 7},
		{"-7", -7},
		{"65535", 65535},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775807", -INT64_MAX},
		{"", WRONG},
		{"-", WRONG},
		{"-0", WRONG},
		{"+1", WRONG},
		{"01", WRONG},
		{"-01", WRONG},
		{" 1", WRONG},
		{"1 ", WRONG},
		{"1x", WRONG},
		{"0x10", WRONG},
		{"1.0", WRONG},
		{"--1", WRONG},
	};

	(void)state;
	check_numbers(parse_any_int, cases, ARRAY_SIZE(cases));
}

static void test_int_range(void **state)
{
	struct err err = {0};
	int64_t value = 0;

	(void)state;
	assert_int_equal(parse_int("1", 1, 65535, &value, &err), 0);
	assert_int_equal(parse_int("65535", 1, 65535, &value, &err), 0);
	assert_int_equal(value, 65535);
	assert_int_equal(parse_int("0", 1, 65535, &value, &err), -1);
	assert_int_equal(parse_int("65536", 1, 65535, &value, &err), -1);
	assert_string_equal(err.msg, "65536 is not between 1 and 65535");
	assert_int_equal(parse_int("99999999999999999999", 1, INT64_MAX, &value, &err), -1);
	assert_int_equal(parse_int("-99999999999999999999", INT64_MIN, 1, &value, &err), -1);
	assert_int_equal(value, 65535);
	parse_int("x", 1, 2, &value, &err);
	assert_string_equal(err.msg, "'x' is no whole number");
}

static void test_duration(void **state)
{
	static const struct number_case cases[] = {
		{"0s", 0},
		{"500ms", 500},
		{"30s", 30000},
		{"1m30s", 90000},
		{"2h", 7200000},
		{"1d", 86400000},
		{"1d2h3m4s5ms", 93784005},
		{"90m", 5400000},
		{"1h0m", 3600000},
		{"", WRONG},
		{"30", WRONG},
		{"s", WRONG},
		{"30x", WRONG},
		{"30S", WRONG},
		{"30 s", WRONG},
		{"-30s", WRONG},
		{"1.5s", WRONG},
		{"30s1m", WRONG},
		{"1m1m", WRONG},
		{"1ms1s", WRONG},
		{"1m30", WRONG},
		{"1sm", WRONG},
		{"1us", WRONG},
		{"99999999999999999999s", WRONG},
		{"9223372036854775807d", WRONG},
		{"106751991167d999999999999h", WRONG},
	};
	struct err err;
	int64_t value;

	(void)state;
	check_numbers(parse_duration_ms, cases, ARRAY_SIZE(cases));
	parse_duration_ms("30x", &value, &err);
	assert_string_equal(err.msg, "'30x' is no duration: write 30s, 1m30s or 500ms");
}

static void test_size(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0},
		{"1024", 1024},
		{"12b", 12},
		{"64k", 65536},
		{"64KB", 65536},
		{"256M", INT64_C(256) << 20},
		{"1mB", 1 << 20},
		{"1G", 1 << 30},
		{"2gb", INT64_C(2) << 30},
		{"8589934591g", INT64_C(8589934591) << 30},
		{"8589934592g", WRONG},
		{"", WRONG},
		{"M", WRONG},
		{"-1", WRONG},
		{"01k", WRONG},
		{"1.5g", WRONG},
		{"1 g", WRONG},
		{"1t", WRONG},
		{"1kib", WRONG},
		{"1bb", WRONG},
		{"99999999999999999999", WRONG},
	};

	(void)state;
	check_numbers(parse_size_bytes, cases, ARRAY_SIZE(cases));
}

static void test_milli(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0},
		{"0.5", 500},
		{"0.50", 500},
		{"1", 1000},
		{"2.125", 2125},
		{"0.001", 1},
		{"", WRONG},
		{".5", WRONG},
		{"1.", WRONG},
		{"0.0001", WRONG},
		{"00.5", WRONG},
		{"-1", WRONG},
		{"1,5", WRONG},
		{"1.5x", WRONG},
		{"1e3", WRONG},
		{"1.-5", WRONG},
		{"9223372036854775.808", WRONG},
		{"9223372036854776", WRONG},
	};

	(void)state;
	check_numbers(parse_milli, cases, ARRAY_SIZE(cases));
}

struct word_case {
	const char *text;
	bool want;
};

static void check_words(bool (*is)(const char *), const struct word_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is(cases[i].text) != cases[i].want)
			fail_msg("'%s' is judged wrongly", cases[i].text);
	}
}

static void test_name(void **state)
{
	static const struct word_case cases[] = {
		{"a", true},
		{"7", true},
		{"brave-panda", true},
		{"a--b", true},
		{"abcdefghijklmnopqrstuvwxyz012345", true},
		{"abcdefghijklmnopqrstuvwxyz0123456", false},
		{"", false},
		{"-a", false},
		{"a-", false},
		{"-", false},
		{"A", false},
		{"a_b", false},
		{"a.b", false},
		{"a b", false},
		{"\xc3\xa4", false},
	};

	(void)state;
	check_words(is_name, cases, ARRAY_SIZE(cases));
}

static bool is_plain_hostname(const char *s)
{
	return is_hostname(s, false);
}

static void test_hostname(void **state)
{
	static const struct word_case cases[] = {
		{"example.com", true},
		{"localhost", true},
		{"a.b-c.1d", true},
		{"1.example", true},
		{"", false},
		{".", false},
		{"example.com.", false},
		{".example.com", false},
		{"a..b", false},
		{"-a.com", false},
		{"a-.com", false},
		{"Example.com", false},
		{"a_b.com", false},
		{"*.example.com", false},
		{"127.0.0.1", false},
		{"a.1", false},
		{"example.com:80", false},
	};

	(void)state;
	check_words(is_plain_hostname, cases, ARRAY_SIZE(cases));
	assert_true(is_hostname("*.example.com", true));
	assert_true(is_hostname("example.com", true));
	assert_false(is_hostname("*", true));
	assert_false(is_hostname("*.", true));
	assert_false(is_hostname("*.*.com", true));
	assert_false(is_hostname("a.*.com", true));
}

static void test_hostname_lengths(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_true(is_hostname(name, false));
	name[63] = 'a';
	name[64] = '\0';
	assert_false(is_hostname(name, false));
	memset(name, 'a', sizeof(name));
	for (size_t i = 1; i < sizeof(name); i += 2)
		name[i] = '.';
	name[253] = '\0';
	assert_true(is_hostname(name, false));
	name[253] = '.';
	name[255] = '\0';
	assert_false(is_hostname(name, false));
}

static void test_address(void **state)
{
	static const struct word_case cases[] = {
		{"10.0.0.1", true},    {"0.0.0.0", true},
		{"::", true},          {"::1", true},
		{"2001:db8::1", true}, {"::ffff:10.0.0.1", true},
		{"", false},           {"10.0.0", false},
		{"10.0.0.256", false}, {"10.0.0.01", false},
		{"10.0.0.1/8", false}, {"10.0.0.1:80", false},
		{" 10.0.0.1", false},  {"0x7f.1", false},
		{"[::1]", false},      {"fe80::1%eth0", false},
		{"::1::", false},      {"example.com", false},
	};

	(void)state;
	check_words(is_address, cases, ARRAY_SIZE(cases));
	assert_true(is_ipv4("10.0.0.1"));
	assert_false(is_ipv4("::1"));
	assert_false(is_ipv4("x"));
}

static void test_cidr(void **state)
{
	static const struct word_case cases[] = {
		{"10.0.0.0/8", true},
		{"0.0.0.0/0", true},
		{"10.0.0.1/32", true},
		{"192.168.4.0/22", true},
		{"2001:db8::/32", true},
		{"::1/128", true},
		{"10.0.0.1/8", false},
		{"192.168.2.0/22", false},
		{"2001:db8::1/32", false},
		{"10.0.0.0/33", false},
		{"::/129", false},
		{"10.0.0.0/08", false},
		{"10.0.0.0/", false},
		{"10.0.0.0/-1", false},
		{"10.0.0.0/8x", false},
		{"10.0.0.0/0000000008", false},
		{"10.0.0.0", false},
		{"/8", false},
		{"", false},
		{"10.0.0.0/8/8", false},
		{"0000000000000000000000000000000000000000000000000000000000::/8", false},
	};

	(void)state;
	check_words(is_cidr, cases, ARRAY_SIZE(cases));
}

static void test_cidr_has(void **state)
{
	(void)state;
	assert_true(cidr_has("10.108.0.0/20", "10.108.15.255"));
	assert_false(cidr_has("10.108.0.0/20", "10.108.16.0"));
	assert_true(cidr_has("0.0.0.0/0", "203.0.113.1"));
	assert_false(cidr_has("0.0.0.0/0", "::1"));
	assert_true(cidr_has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(cidr_has("2001:db8::/33", "2001:db8:8000::1"));
	assert_false(cidr_has("10.0.0.1/8", "10.0.0.1"));
	assert_false(cidr_has("10.0.0.0/8", "x"));
}

static void test_loopback(void **state)
{
	static const struct word_case cases[] = {
		{"127.0.0.1", true}, {"127.255.0.9", true}, {"::1", true}, {"128.0.0.1", false},
		{"0.0.0.0", false},  {"::", false},         {"x", false},  {"localhost", false},
	};

	(void)state;
	check_words(is_loopback, cases, ARRAY_SIZE(cases));
}

static void test_nearest_word(void **state)
{
	static const char *const keys[] = {"hosts", "host", "image", "port", "resources", NULL};
	static const char *const none[] = {NULL};
	char longest[66];

	(void)state;
	assert_string_equal(nearest_word("iamge", keys), "image");
	assert_string_equal(nearest_word("image", keys), "image");
	assert_string_equal(nearest_word("hosst", keys), "hosts"); /* a swap, not two changes */
	assert_string_equal(nearest_word("hsot", keys), "host");
	assert_string_equal(nearest_word("resurces", keys), "resources");
	assert_string_equal(nearest_word("rseorces", keys), "resources");
	assert_string_equal(nearest_word("por", keys), "port");
	assert_null(nearest_word("pxxt", keys));
	assert_null(nearest_word("", keys));
	assert_null(nearest_word("image", none));
	memset(longest, 'a', sizeof(longest));
	longest[65] = '\0';
	assert_null(nearest_word(longest, keys));
	longest[64] = '\0';
	assert_string_equal(nearest_word(longest, (const char *const[]) {longest, NULL}), longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_int),          cmocka_unit_test(test_int_range),
		cmocka_unit_test(test_duration),     cmocka_unit_test(test_size),
		cmocka_unit_test(test_milli),        cmocka_unit_test(test_name),
		cmocka_unit_test(test_hostname),     cmocka_unit_test(test_hostname_lengths),
		cmocka_unit_test(test_address),      cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_cidr_has),     cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_nearest_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
