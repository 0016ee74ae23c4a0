#include "bootstrap/contact.h"

#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
#define LINE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR7/"

static void test_there_and_back(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)state;
	assert_string_equal(ssh_public_key(pool, HEX), LINE);
	assert_string_equal(ssh_public_key_hex(pool, LINE), HEX);
	assert_string_equal(ssh_public_key_hex(pool, LINE " root@x\n"), HEX);
}

static void test_what_is_no_key(void **state)
{
	static const char *const texts[] = {
		"",
		"ssh-ed25519 ",
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR7",
		LINE "A",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR7/",
		"ssh-ed25519 !!!!C3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR7/",
	};
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (ssh_public_key_hex(pool, texts[i]))
			fail_msg("'%s'", texts[i]);
	assert_false(is_public_key_hex("00"));
	assert_false(is_public_key_hex(HEX "0"));
	assert_true(is_public_key_hex(HEX));
}

static void test_tags(void **state)
{
	static const char *const others[] = {
		"",
		"dynia-contact",
		CONTACT_TAG,
		(CONTACT_TAG HEX),
		(CONTACT_TAG ":" HEX),
		(CONTACT_TAG "shop:" HEX "0"),
		(CONTACT_TAG "shop:x:" HEX),
		(CONTACT_TAG "blog:" HEX),
		"dynia-cluster:shop",
		"other:shop:" HEX,
	};
	CLEANUP(pool_freep) struct pool *pool = pool_new();

	(void)state;
	assert_string_equal(key_tag(pool, HOST_KEY_TAG, "shop", HEX), HOST_KEY_TAG "shop:" HEX);
	assert_string_equal(key_tag_hex(CONTACT_TAG "shop:" HEX, CONTACT_TAG), HEX);
	assert_null(key_tag_hex(CONTACT_TAG "shop:" HEX, HOST_KEY_TAG));
	assert_true(key_tag_is_of(pool, CONTACT_TAG "shop:" HEX, "shop"));
	assert_true(key_tag_is_of(pool, HOST_KEY_TAG "shop:" HEX, "shop"));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (key_tag_is_of(pool, others[i], "shop"))
			fail_msg("'%s'", others[i]);
}

static void test_a_new_one(void **state)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct contact one, two;
	struct err err = {0};

	(void)state;
	assert_int_equal(contact_new(pool, "shop", &one, &err), 0);
	assert_int_equal(contact_new(pool, "shop", &two, &err), 0);
	assert_string_not_equal(one.tag, two.tag);
	assert_string_not_equal(one.private_key, two.private_key);
	assert_non_null(key_tag_hex(one.tag, CONTACT_TAG));
	assert_true(key_tag_is_of(pool, one.tag, "shop"));
	assert_non_null(strstr(one.private_key, "\n-----END OPENSSH PRIVATE KEY-----\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_what_is_no_key),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_a_new_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
