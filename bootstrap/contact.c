/*
 * The private half is written here, and not by ssh-keygen(1), since that writes it to a file only, which a run that is killed would leave
 * on the operator's disk: like this it is in memory and in one request. OpenSSL's own form of such a key is none that the OpenSSH of
 * Debian 12 (9.2) reads.
 */
#include "bootstrap/contact.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

#define KEY_SIZE 32
#define TYPE "ssh-ed25519"
/* The type's name and the key, each with its length before it. */
#define BLOB_SIZE (4 + 11 + 4 + KEY_SIZE)
#define LINE_LENGTH 70

static void pkey_freep(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

/* --- the wire form of ssh (RFC 4251) -------------------------------------------------------- */

static void put_number(struct strbuf *sb, uint32_t value)
{
	uint32_t big = htonl(value);

	strbuf_add(sb, &big, sizeof(big));
}

static void put_string(struct strbuf *sb, const void *data, size_t len)
{
	put_number(sb, (uint32_t)len);
	strbuf_add(sb, data, len);
}

static void put_public(struct strbuf *sb, const unsigned char key[KEY_SIZE])
{
	put_string(sb, TYPE, strlen(TYPE));
	put_string(sb, key, KEY_SIZE);
}

/* In lines of that length, or, with 0, in one that does not end. */
static void put_base64(struct strbuf *sb, const struct strbuf *data, size_t line_length)
{
	CLEANUP(strbuf_wipe) struct strbuf text = STRBUF_INIT;
	size_t len, step;

	strbuf_grow(&text, data->len / 3 * 4 + 8);
	len = (size_t)EVP_EncodeBlock((unsigned char *)text.buf, (const unsigned char *)data->buf,
				      (int)data->len);
	step = line_length ? line_length : len;
	for (size_t at = 0; at < len; at += step) {
		strbuf_add(sb, text.buf + at, len - at < step ? len - at : step);
		if (line_length)
			strbuf_addch(sb, '\n');
	}
}

/* --- a new key -------------------------------------------------------------------------------- */

/* PROTOCOL.key of OpenSSH, without a passphrase. */
static int put_private(struct strbuf *sb, const unsigned char seed[KEY_SIZE],
		       const unsigned char public[KEY_SIZE], struct err *err)
{
	static const char magic[] = "openssh-key-v1";
	CLEANUP(strbuf_wipe) struct strbuf blob = STRBUF_INIT;
	CLEANUP(strbuf_wipe) struct strbuf inner = STRBUF_INIT;
	CLEANUP(strbuf_wipe) struct strbuf whole = STRBUF_INIT;
	uint32_t check;

	strbuf_grow(&inner, 256);
	strbuf_grow(&whole, 512);
	if (getrandom(&check, sizeof(check), 0) != sizeof(check))
		return err_errno(err, "random numbers");
	put_public(&blob, public);
	put_number(&inner, check);
	put_number(&inner, check);
	put_public(&inner, public);
	put_number(&inner, 2 * KEY_SIZE);
	strbuf_add(&inner, seed, KEY_SIZE);
	strbuf_add(&inner, public, KEY_SIZE);
	put_string(&inner, "", 0);
	for (char pad = 1; inner.len % 8; pad++)
		strbuf_addch(&inner, pad);
	strbuf_add(&whole, magic, sizeof(magic));
	put_string(&whole, "none", 4);
	put_string(&whole, "none", 4);
	put_string(&whole, "", 0);
	put_number(&whole, 1);
	put_string(&whole, blob.buf, blob.len);
	put_string(&whole, inner.buf, inner.len);
	strbuf_addstr(sb, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	put_base64(sb, &whole, LINE_LENGTH);
	strbuf_addstr(sb, "-----END OPENSSH PRIVATE KEY-----\n");
	return 0;
}

static const char *to_hex(struct pool *pool, const unsigned char key[KEY_SIZE])
{
	CLEANUP(strbuf_release) struct strbuf hex = STRBUF_INIT;

	for (size_t i = 0; i < KEY_SIZE; i++)
		strbuf_addf(&hex, "%02x", key[i]);
	return pool_strdup(pool, hex.buf);
}

int contact_new(struct pool *pool, const char *cluster, struct contact *ret, struct err *err)
{
	CLEANUP(pkey_freep) EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	CLEANUP(strbuf_wipe) struct strbuf text = STRBUF_INIT;
	unsigned char seed[KEY_SIZE], public[KEY_SIZE];
	size_t n = sizeof(seed), m = sizeof(public);
	int failed;

	if (!key || EVP_PKEY_get_raw_private_key(key, seed, &n) != 1 ||
	    EVP_PKEY_get_raw_public_key(key, public, &m) != 1)
		return err_set(err, ERR_SYSTEM, "OpenSSL makes no Ed25519 key");
	strbuf_grow(&text, 1024);
	failed = put_private(&text, seed, public, err);
	explicit_bzero(seed, sizeof(seed));
	if (failed)
		return -1;
	ret->tag = key_tag(pool, CONTACT_TAG, cluster, to_hex(pool, public));
	ret->private_key = pool_strdup(pool, text.buf);
	return 0;
}

/* --- tags ------------------------------------------------------------------------------------- */

const char *key_tag(struct pool *pool, const char *kind, const char *cluster, const char *hex)
{
	return pool_printf(pool, "%s%s:%s", kind, cluster, hex);
}

const char *key_tag_hex(const char *tag, const char *kind)
{
	const char *colon = strrchr(tag, ':');
	size_t len = strlen(kind);

	return strncmp(tag, kind, len) == 0 && (size_t)(colon - tag) > len &&
			       is_public_key_hex(colon + 1)
		       ? colon + 1
		       : NULL;
}

bool key_tag_is_of(struct pool *pool, const char *tag, const char *cluster)
{
	static const char *const kinds[] = {CONTACT_TAG, HOST_KEY_TAG};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *hex = key_tag_hex(tag, kinds[i]);

		if (hex && strcmp(tag, key_tag(pool, kinds[i], cluster, hex)) == 0)
			return true;
	}
	return false;
}

/* --- public keys ------------------------------------------------------------------------------ */

bool is_public_key_hex(const char *word)
{
	return strlen(word) == PUBLIC_KEY_HEX_LEN &&
	       strspn(word, "0123456789abcdef") == PUBLIC_KEY_HEX_LEN;
}

static unsigned nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

const char *ssh_public_key(struct pool *pool, const char *hex)
{
	CLEANUP(strbuf_release) struct strbuf blob = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	unsigned char key[KEY_SIZE];

	for (size_t i = 0; i < KEY_SIZE; i++)
		key[i] = (unsigned char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	put_public(&blob, key);
	strbuf_addstr(&text, TYPE " ");
	put_base64(&text, &blob, 0);
	return pool_strdup(pool, text.buf);
}

const char *ssh_public_key_hex(struct pool *pool, const char *text)
{
	/* 51 bytes are 68 characters of base64, with no '=' at the end. */
	enum { ENCODED = BLOB_SIZE / 3 * 4 };
	CLEANUP(strbuf_release) struct strbuf want = STRBUF_INIT;
	unsigned char blob[BLOB_SIZE + 3];
	const char *encoded = text + strlen(TYPE " ");

	if (strncmp(text, TYPE " ", strlen(TYPE " ")) != 0 || strcspn(encoded, " \n") != ENCODED ||
	    EVP_DecodeBlock(blob, (const unsigned char *)encoded, ENCODED) != BLOB_SIZE)
		return NULL;
	put_public(&want, blob + BLOB_SIZE - KEY_SIZE);
	return memcmp(want.buf, blob, BLOB_SIZE) == 0 ? to_hex(pool, blob + BLOB_SIZE - KEY_SIZE)
						      : NULL;
}
