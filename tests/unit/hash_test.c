#include "base/hash.h"

#include "tests/unit/test.h"

/* FIPS 180-2, appendix B. */
static void test_sha256(void **state)
{
	char hex[SHA256_HEX_SIZE];

	(void)state;
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex("", 0, hex);
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_pieces(void **state)
{
	struct sha256 *sha = sha256_begin();
	char hex[SHA256_HEX_SIZE];

	(void)state;
	sha256_add(sha, "a", 1);
	sha256_add(sha, "", 0);
	sha256_add(sha, "bc", 2);
	sha256_end(sha, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_strings_keep_their_borders(void **state)
{
	struct sha256 *one = sha256_begin();
	struct sha256 *other = sha256_begin();
	char one_hex[SHA256_HEX_SIZE];
	char other_hex[SHA256_HEX_SIZE];

	(void)state;
	sha256_add_str(one, "ab");
	sha256_add_str(one, "c");
	sha256_end(one, one_hex);
	sha256_add_str(other, "a");
	sha256_add_str(other, "bc");
	sha256_end(other, other_hex);
	assert_string_not_equal(one_hex, other_hex);
}

/* draft-eastlake-fnv, test vectors. */
static void test_fnv(void **state)
{
	(void)state;
	assert_true(fnv1a64("") == UINT64_C(0xcbf29ce484222325));
	assert_true(fnv1a64("a") == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(fnv1a64("foobar") == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_strings_keep_their_borders),
		cmocka_unit_test(test_fnv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
