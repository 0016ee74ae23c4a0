/* Public keys and certificates as texts of several lines. A reason never shows a line: what stands
 * there by mistake may be a secret. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "spec/words.h"

#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

int check_apt_key(const char *word, struct err *err)
{
	if (strncmp(word, "-----BEGIN PGP PUBLIC KEY BLOCK-----", 36) == 0)
		return 0;
	return err_set(err, ERR_CONFIG,
		       "is no OpenPGP key: it begins with -----BEGIN PGP PUBLIC KEY BLOCK-----");
}

/* --- certificates ---------------------------------------------------------------------- */

static void bio_freep(BIO **bio)
{
	BIO_free(*bio);
}

/* How many there are until the end, or the first that cannot be read. */
static size_t count_certificates(const char *pem)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem, -1);
	size_t n = 0;

	for (X509 *x; bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)); n++)
		X509_free(x);
	ERR_clear_error();
	return n;
}

int check_certificates(const char *word, struct err *err)
{
	static const char begin[] = "-----BEGIN ", certificate[] = "-----BEGIN CERTIFICATE-----";
	size_t blocks = 0;

	for (const char *at = word; (at = strstr(at, begin)); at += strlen(begin), blocks++)
		if (strncmp(at, certificate, strlen(certificate)) != 0)
			return err_set(err, ERR_CONFIG,
				       "holds something else than certificates: everybody on a "
				       "droplet could read it");
	if (blocks && count_certificates(word) == blocks)
		return 0;
	return err_set(err, ERR_CONFIG,
		       "is no certificate in PEM, or not a whole one: -----BEGIN CERTIFICATE-----, "
		       "lines of base64, -----END CERTIFICATE-----");
}

/* --- lines with an SSH key ---------------------------------------------------------------- */

static bool is_key_type(const char *word)
{
	static const char *const prefixes[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(word, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* A key's type and its base64, behind one word at least. */
static bool has_key(const char *line, size_t len)
{
	const char *end = line + len, *word = line;

	while ((word += strcspn(word, " \t\n")) < end) {
		const char *key;

		word += strspn(word, " \t");
		key = word + strcspn(word, " \t\n");
		if (key >= end || !is_key_type(word))
			continue;
		key += strspn(key, " \t");
		if (strncmp(key, "AAAA", 4) == 0 &&
		    strchr("= \t\n", key[strspn(key, BASE64)])) /* also the end of the text */
			return true;
	}
	return false;
}

static int check_key_lines(const char *word, const char *form, struct err *err)
{
	size_t number = 1, keys = 0;

	for (const char *line = word; *line; number++) {
		size_t len = strcspn(line, "\n");
		const char *text = line + strspn(line, " \t");
		bool is_key = has_key(text, (size_t)(line + len - text));

		keys += is_key;
		if (*text != '#' && text < line + len && !is_key)
			return err_set(err, ERR_CONFIG, "line %zu of it is not as wanted: %s",
				       number, form);
		line += len + (line[len] == '\n');
	}
	return keys ? 0 : err_set(err, ERR_CONFIG, "holds no key: %s", form);
}

int check_known_hosts(const char *word, struct err *err)
{
	return check_key_lines(word, "HOST TYPE KEY, as ssh-keyscan(1) prints it", err);
}

int check_signers(const char *word, struct err *err)
{
	return check_key_lines(word, "PRINCIPALS [OPTIONS] TYPE KEY, as ssh-keygen(1) has it", err);
}

/* --- OpenPGP ------------------------------------------------------------------------------- */

static unsigned base64_value(char c)
{
	const char *at = c ? strchr(BASE64, c) : NULL;

	return at ? (unsigned)(at - BASE64) : 0;
}

/* A keyring begins with a packet that is a public key: tag 6 of RFC 4880, in either form. */
int check_keyring(const char *word, struct err *err)
{
	size_t len = strspn(word, BASE64 "\n");
	unsigned first = base64_value(word[0]) << 2 | (*word ? base64_value(word[1]) >> 4 : 0);
	unsigned tag = first & 0x40 ? first & 0x3f : first >> 2 & 0xf;

	len += strspn(word + len, "=\n");
	if (len > 2 && !word[len] && first & 0x80 && tag == 6)
		return 0;
	return err_set(err, ERR_CONFIG,
		       "is no public OpenPGP key in base64: gpg --export KEY | base64");
}
