#include "tests/unit/test.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "spec/words.h"

#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE"

struct line {
	const char *text;
	bool good;
};

static void check(int (*fn)(const char *word, struct err *err), const struct line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err err = {0};

		if ((fn(lines[i].text, &err) == 0) != lines[i].good)
			fail_msg("'%s': %s", lines[i].text, err.msg);
		if (!lines[i].good && strstr(err.msg, "hunter2"))
			fail_msg("shows what stands there: %s", err.msg);
	}
}

static void test_known_hosts(void **state)
{
	static const struct line lines[] = {
		{"git.example.com " ED25519, true},
		{"git.example.com " ED25519 "\n", true},
		{"# a comment\n\n[git.example.com]:2222,192.0.2.1 " ED25519 " a comment\n", true},
		{"|1|abc=|def= ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTI==\n", true},
		{"@cert-authority *.example.com ssh-rsa AAAAB3NzaC1yc2E\n", true},
		{"git.example.com\tsk-ssh-ed25519@openssh.com\tAAAAGnNrLXNzaC1l", true},
		{"", false},
		{"# only a comment", false},
		{ED25519, false},
		{"git.example.com ssh-ed25519", false},
		{"git.example.com ssh-ed25519 \nAAAAC3NzaC1l", false},
		{"git.example.com ssh-ed25519 hunter2", false},
		{"git.example.com ssh-ed25519 AAAA$(id)", false},
		{"git.example.com " ED25519 "\nhunter2\n", false},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2", false},
	};

	(void)state;
	check(check_known_hosts, lines, ARRAY_SIZE(lines));
}

static void test_signers(void **state)
{
	static const struct line lines[] = {
		{"ada@example.com " ED25519, true},
		{"ada@example.com namespaces=\"git, x\",valid-after=\"20260101\" " ED25519, true},
		{"ada@example.com hunter2", false},
	};

	(void)state;
	check(check_signers, lines, ARRAY_SIZE(lines));
}

static void test_keyring(void **state)
{
	static const struct line lines[] = {
		{"mQINBGc=", true},        /* old form, tag 6 */
		{"xsFNBGc\nAAAA\n", true}, /* new form, tag 6 */
		{"lQVYBGc=", false},       /* a secret key: tag 5 */
		{"xcFNBGc=", false},
		{"-----BEGIN PGP PUBLIC KEY BLOCK-----", false},
		{"mQINBGc= hunter2", false},
		{"m", false},
		{"", false},
	};

	(void)state;
	check(check_keyring, lines, ARRAY_SIZE(lines));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_hosts),
		cmocka_unit_test(test_signers),
		cmocka_unit_test(test_keyring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
