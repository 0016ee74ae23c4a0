/* secrets.c and certificate.c: what is on the node alone. */
#include "reconciler/secrets.h"

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "reconciler/certificate.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define SECRET "hunter2-Zx81"
#define FOLDER "/opt/dynia/haproxy/certs"

static struct root root_of(const struct scratch *dir)
{
	return (struct root) {.fd = dir->fd, .path = (char *)dir->path};
}

static void put(const struct root *root, const char *path, const char *text, mode_t mode)
{
	struct err err = {0};

	if (file_replace_in(root->fd, path, text, strlen(text), mode, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_read_and_looked_up(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct root root = root_of(&dir);
	struct secrets secrets;
	struct err err = {0};

	(void)unused;
	assert_int_equal(secrets_read(&root, pool, &secrets, &err), 0);
	assert_string_equal(secrets.digest, "");
	assert_null(secrets_lookup(&secrets, "a"));
	put(&root, PATH_SECRETS, "a: " SECRET "\nb: '12'\n", 0600);
	assert_int_equal(secrets_read(&root, pool, &secrets, &err), 0);
	assert_int_equal(strlen(secrets.digest), SHA256_HEX_SIZE - 1);
	assert_string_equal(secrets_lookup(&secrets, "a"), SECRET);
	assert_string_equal(secrets_lookup(&secrets, "b"), "12");
	assert_null(secrets_lookup(&secrets, "c"));
}

static void assert_refused(const struct root *root, enum err_code code, const char *text)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct secrets secrets;
	struct err err = {0};

	assert_int_equal(secrets_read(root, pool, &secrets, &err), -1);
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, text))
		fail_msg("'%s' is not in '%s'", text, err.msg);
	if (strstr(err.msg, SECRET))
		fail_msg("the message holds the secret: %s", err.msg);
}

static void test_mode(void **unused)
{
	static const mode_t modes[] = {0640, 0604, 0660, 0666, 0601, 0755};
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		put(&root, PATH_SECRETS, "a: " SECRET "\n", modes[i]);
		assert_refused(&root, ERR_CONFIG, "chmod 600");
	}
}

static void test_owner(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);

	(void)unused;
	assert_int_equal(geteuid(), 0);
	put(&root, PATH_SECRETS, "a: " SECRET "\n", 0600);
	assert_int_equal(fchownat(root.fd, &PATH_SECRETS[1], 65534, 65534, 0), 0);
	assert_refused(&root, ERR_CONFIG, "belongs to another user");
}

/* Whatever is wrong with the content, no message holds a value. */
static void test_content(void **unused)
{
	static const struct {
		const char *text;
		const char *message;
	} bad[] = {
		{"a: " SECRET "\na: " SECRET "\n", "2:1"},
		{"a: {b: " SECRET "}\n", "must be a text"},
		{"a: [" SECRET "]\n", "must be a text"},
		{"- " SECRET "\n", "must be a map"},
		{SECRET "\n", "must be a map"},
		{"a: |\n  " SECRET "\n  " SECRET "\n", "one line"},
		{"a: ''\n", "is empty"},
		{"a:\n", "is empty"},
		{"a: &x " SECRET "\nb: *x\n", ":1:"},
		{"a: !!str " SECRET "\n", ":1:"},
		{"a: \"" SECRET "\n", ":"},
		{"a: " SECRET ": " SECRET "\n", ":1:"},
		{"a: " SECRET "\n---\nb: " SECRET "\n", ":2:"},
		{"a: " SECRET "\x01\n", ":"},
		{"a: " SECRET "\xff\n", ":"},
		{"a: @" SECRET "\n", ":1:"},
		{"a: \"\\q" SECRET "\"\n", ":1:"},
		{"a: %" SECRET "\n\tb: 1\n", ":"},
	};
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(&root, PATH_SECRETS, bad[i].text, 0600);
		assert_refused(&root, ERR_CONFIG, bad[i].message);
	}
}

static void test_no_file(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	struct root root = root_of(&dir);
	struct err err = {0};

	(void)unused;
	assert_int_equal(file_mkdirs_in(root.fd, PATH_SECRETS, 0700, &err), 0);
	assert_refused(&root, ERR_SYSTEM, "no regular file");
	assert_int_equal(file_remove_tree_in(root.fd, PATH_SECRETS, &err), 0);
	assert_int_equal(mkfifoat(root.fd, &PATH_SECRETS[1], 0600), 0);
	assert_refused(&root, ERR_SYSTEM, "no regular file");
	assert_int_equal(file_remove_in(root.fd, PATH_SECRETS, &err), 0);
	assert_int_equal(symlinkat("secrets.yaml", root.fd, &PATH_SECRETS[1]), 0);
	assert_refused(&root, ERR_SYSTEM, "open");
}

static void test_masked(void **unused)
{
	struct spec_pair pairs[] = {{"db", "s3cret-value", {0}}, {"pin", "123", {0}}};
	struct spec_pairs list = {.v = pairs, .n = 2};
	const struct secrets secrets = {.pairs = &list};
	const struct secrets none = {0};
	struct err err = {0};

	(void)unused;
	err_set(&err, ERR_CHECK, "line 's3cret-value' 123 and s3cret-values3cret-value");
	secrets_mask(&none, &err);
	assert_non_null(strstr(err.msg, "s3cret"));
	secrets_mask(&secrets, &err);
	assert_string_equal(err.msg, "line '(secret db)' 123 and (secret db)(secret db)");
	/* A message that grows past its room is cut, and holds no end of the value. */
	memset(err.msg, 'x', sizeof(err.msg) - 1);
	memcpy(err.msg + 900, "s3cret-value", 12);
	memcpy(err.msg + 980, "s3cret-value", 12);
	pairs[0].name = "a-name-that-is-longer-than-its-value";
	secrets_mask(&secrets, &err);
	assert_null(strstr(err.msg, "s3cret"));
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void test_too_large(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct root root = root_of(&dir);

	(void)unused;
	strbuf_addstr(&text, "a: ");
	for (size_t i = 0; i < (1 << 20); i++)
		strbuf_addch(&text, 'x');
	put(&root, PATH_SECRETS, text.buf, 0600);
	assert_refused(&root, ERR_LIMIT, "larger than");
}

/* --- certificates -------------------------------------------------------------------- */

static void make_pem(const struct root *root, const char *file, const char *name)
{
	CLEANUP(strbuf_release) struct strbuf pem = STRBUF_INIT;
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct err err = {0};

	if (certificate_self_signed(name, &pem, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(strstr(pem.buf, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(pem.buf, "PRIVATE KEY"));
	put(root, pool_printf(pool, "%s/%s", FOLDER, file), pem.buf, 0600);
}

static void read_certificates(const struct root *root, struct pool *pool, struct certificates *ret)
{
	struct err err = {0};

	if (certificates_read(root->fd, FOLDER, "placeholder.pem", pool, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_certificates(void **unused)
{
	CLEANUP(scratch_release) struct scratch dir = scratch_make();
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct root root = root_of(&dir);
	struct certificates certs, again;
	struct err err = {0};

	(void)unused;
	read_certificates(&root, pool, &certs);
	assert_int_equal(certs.n, 0);
	assert_string_equal(certs.digest, "");
	make_pem(&root, "placeholder.pem", "p.example.com");
	put(&root, FOLDER "/.hidden.pem", "x", 0600);
	put(&root, FOLDER "/readme.txt", "x", 0600);
	put(&root, FOLDER "/.pem", "x", 0600);
	read_certificates(&root, pool, &certs);
	assert_int_equal(certs.n, 0);
	make_pem(&root, "b.pem", "*.example.com");
	put(&root, FOLDER "/a.pem", "no certificate", 0600);
	read_certificates(&root, pool, &certs);
	assert_int_equal(certs.n, 2);
	assert_string_equal(certs.v[0].file, "a.pem");
	assert_int_equal(certs.v[0].n_names, 0);
	assert_int_equal(certs.v[0].not_after_s, 0);
	assert_string_equal(certs.v[0].broken, "it holds no certificate in PEM");
	assert_null(certs.v[1].broken);
	assert_int_equal(certs.n_good, 1);
	assert_string_equal(certs.good[0], "b.pem");
	assert_int_equal(certs.v[1].n_names, 1);
	assert_string_equal(certs.v[1].names[0], "*.example.com");
	assert_true(certs.v[1].not_after_s > clock_wall_s() + 9 * 365 * 86400L);
	make_pem(&root, "b.pem", "*.example.com");
	read_certificates(&root, pool, &again);
	assert_string_not_equal(certs.digest, again.digest);
	assert_int_equal(file_mkdirs_in(root.fd, FOLDER "/folder.pem", 0755, &err), 0);
	read_certificates(&root, pool, &again);
	assert_int_equal(again.n, 3);
	assert_string_equal(again.v[2].file, "folder.pem");
	assert_int_equal(again.v[2].n_names, 0);
	assert_string_equal(again.v[2].broken, "it cannot be read, or is larger than 1 MiB");
	assert_int_equal(again.n_good, 1);
}

/* The PEM of a pair, cut into the certificate and the key. */
static void make_pair(struct strbuf *ret_cert, struct strbuf *ret_key)
{
	struct err err = {0};
	char *key;

	if (certificate_self_signed("a.example.com", ret_cert, &err) < 0)
		fail_msg("%s", err.msg);
	key = strstr(ret_cert->buf, "-----BEGIN PRIVATE KEY");
	assert_non_null(key);
	strbuf_addstr(ret_key, key);
	strbuf_setlen(ret_cert, (size_t)(key - ret_cert->buf));
}

static void assert_judged(struct pool *pool, const char *pem, const char *key, const char *want)
{
	CLEANUP(strbuf_release) struct strbuf file = STRBUF_INIT, beside = STRBUF_INIT;
	struct certificate c = {0};
	const char *broken;

	strbuf_addstr(&file, pem);
	strbuf_addstr(&beside, key);
	broken = certificate_judge(&file, &beside, pool, &c);
	if (!want)
		assert_null(broken);
	else if (!broken || !strstr(broken, want))
		fail_msg("'%s' where '%s' is wanted", broken ? broken : "good", want);
}

static void test_what_haproxy_cannot_load(void **unused)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_release) struct strbuf cert = STRBUF_INIT, key = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf other = STRBUF_INIT, other_key = STRBUF_INIT;
	const char *both;

	(void)unused;
	make_pair(&cert, &key);
	make_pair(&other, &other_key);
	both = pool_printf(pool, "%s%s", cert.buf, key.buf);
	assert_judged(pool, both, "", NULL);
	assert_judged(pool, pool_printf(pool, "%s%s", key.buf, cert.buf), "", NULL);
	assert_judged(pool, pool_printf(pool, "%s%s%s", cert.buf, other.buf, key.buf), "", NULL);
	assert_judged(pool, cert.buf, key.buf, NULL);
	assert_judged(pool, "", "", "no certificate");
	assert_judged(pool, key.buf, "", "no certificate");
	assert_judged(pool, cert.buf, "", "no private key");
	assert_judged(pool, pool_printf(pool, "%s%s", cert.buf, other_key.buf), "",
		      "key values mismatch");
	/* Half written, at any byte. */
	for (size_t len = 0; len + 1 < strlen(both); len++) {
		char *half = pool_memdup(pool, both, len);
		CLEANUP(strbuf_release) struct strbuf file = STRBUF_INIT, none = STRBUF_INIT;
		struct certificate c = {0};

		strbuf_addstr(&file, half);
		assert_non_null(certificate_judge(&file, &none, pool, &c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_looked_up),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_what_haproxy_cannot_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
