#include "reconciler/webhook.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/parse.h"

#define SIGNING_PREFIX "whsec_"
#define RELAY_LABEL "dynia webhook relay 1"
/* Standard Webhooks allows several signatures, while a key is changed. */
#define SIGNATURES_MAX 8
#define BASE64_OF_HMAC 44

struct webhook_check {
	struct hmac *mac;      /* over the body, or NULL */
	struct sha256 *digest; /* of the body, where the header says nothing of it */
	unsigned char want[SIGNATURES_MAX][HMAC_SIZE];
	size_t n_want;
	unsigned char relayed_id[HMAC_SIZE];
	bool relayed;
};

/* --- the key ------------------------------------------------------------------------- */

/* The decoded length, or 0 where it is no base64 (RFC 4648, with padding). */
static size_t decode_base64(const char *text, size_t len, unsigned char *ret, size_t size)
{
	size_t padding = 0;
	int n;

	if (len == 0 || len % 4 != 0 || len / 4 * 3 > size)
		return 0;
	while (padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") <
	    len - padding)
		return 0;
	n = EVP_DecodeBlock(ret, (const unsigned char *)text, (int)len);
	return n > 0 ? (size_t)n - padding : 0;
}

int webhook_key_init(struct webhook_key *key, const char *secret, size_t len, const char *cluster,
		     struct err *err)
{
	unsigned char decoded[WEBHOOK_SECRET_MAX + 3];

	memset(key, 0, sizeof(*key));
	if (len < WEBHOOK_SECRET_MIN || len > WEBHOOK_SECRET_MAX)
		return err_set(err, ERR_CONFIG,
			       "the webhook's secret must have %d to %d bytes: make one with "
			       "'openssl rand -hex 32'",
			       WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
	for (size_t i = 0; i < len; i++)
		if (secret[i] < 0x20 || secret[i] > 0x7e)
			return err_set(err, ERR_CONFIG,
				       "the webhook's secret must be one line of printable ASCII");
	memcpy(key->secret, secret, len);
	key->len = len;
	key->cluster = cluster;
	if (strncmp(key->secret, SIGNING_PREFIX, strlen(SIGNING_PREFIX)) == 0) {
		key->signing_len =
			decode_base64(key->secret + strlen(SIGNING_PREFIX),
				      len - strlen(SIGNING_PREFIX), decoded, sizeof(decoded));
		if (key->signing_len < WEBHOOK_SECRET_MIN)
			return err_set(err, ERR_CONFIG,
				       "the webhook's secret begins with 'whsec_' and is no "
				       "signing token");
		memcpy(key->signing, decoded, key->signing_len);
	}
	hmac_of(secret, len, RELAY_LABEL, strlen(RELAY_LABEL), key->relay);
	explicit_bzero(decoded, sizeof(decoded));
	return 0;
}

/* --- the headers --------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Exactly 64 lower-case digits, and nothing behind them but `end`. */
static bool read_hex(const char *text, char end, unsigned char ret[HMAC_SIZE])
{
	for (size_t i = 0; i < HMAC_SIZE; i++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		ret[i] = (unsigned char)(high << 4 | low);
		text += 2;
	}
	return *text == end;
}

static void write_hex(const unsigned char digest[HMAC_SIZE], struct strbuf *to)
{
	for (size_t i = 0; i < HMAC_SIZE; i++)
		strbuf_addf(to, "%02x", digest[i]);
}

/* The number before the first `end`, as a time that is near now. */
static bool is_near(const char *text, char end, int64_t now_s, const char **ret_rest)
{
	const char *stop = strchr(text, end);
	char word[24];
	struct err ignored;
	int64_t at;
	size_t len = stop ? (size_t)(stop - text) : sizeof(word);

	if (len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	if (parse_int(word, 0, INT64_MAX / 2, &at, &ignored) < 0)
		return false;
	*ret_rest = stop;
	return at >= now_s - WEBHOOK_SKEW_S && at <= now_s + WEBHOOK_SKEW_S;
}

#define STALE "its time is too far from this node's clock"

static const char *begin_body_hmac(const struct webhook_key *key, const char *signature,
				   struct webhook_check *check)
{
	if (!read_hex(signature, '\0', check->want[0]))
		return "its signature is no SHA-256 in hexadecimal";
	check->n_want = 1;
	check->mac = hmac_begin(key->secret, key->len);
	return NULL;
}

static const char *begin_github(const struct webhook_key *key, const struct webhook_headers *h,
				struct webhook_check *check)
{
	static const char prefix[] = "sha256=";

	if (strncmp(h->hub_signature, prefix, strlen(prefix)) != 0)
		return "its signature does not begin with 'sha256='";
	return begin_body_hmac(key, h->hub_signature + strlen(prefix), check);
}

/* "v1,BASE64 v1,BASE64 v2,..." : those of version 1. */
static void read_signatures(const char *text, struct webhook_check *check)
{
	while (*text && check->n_want < SIGNATURES_MAX) {
		size_t len = strcspn(text, " ");
		unsigned char decoded[HMAC_SIZE + 3];

		if (len == 3 + BASE64_OF_HMAC && strncmp(text, "v1,", 3) == 0 &&
		    decode_base64(text + 3, BASE64_OF_HMAC, decoded, sizeof(decoded)) == HMAC_SIZE)
			memcpy(check->want[check->n_want++], decoded, HMAC_SIZE);
		text += len;
		text += strspn(text, " ");
	}
}

static const char *begin_signed(const struct webhook_key *key, const struct webhook_headers *h,
				int64_t now_s, struct webhook_check *check)
{
	const char *rest;

	if (!key->signing_len)
		return "it is signed, and the secret on this node is no signing token "
		       "('whsec_...')";
	if (!h->webhook_id || !h->webhook_timestamp)
		return "it is signed, and has no webhook-id or no webhook-timestamp";
	if (!is_near(h->webhook_timestamp, '\0', now_s, &rest))
		return STALE;
	read_signatures(h->webhook_signature, check);
	if (!check->n_want)
		return "its signature is none of version 1";
	check->mac = hmac_begin(key->signing, key->signing_len);
	hmac_add(check->mac, h->webhook_id, strlen(h->webhook_id));
	hmac_add(check->mac, ".", 1);
	hmac_add(check->mac, h->webhook_timestamp, strlen(h->webhook_timestamp));
	hmac_add(check->mac, ".", 1);
	return NULL;
}

/* The lengths are compared by way of a digest, so that nothing of the secret shows in the time. */
static const char *begin_token(const struct webhook_key *key, const struct webhook_headers *h,
			       struct webhook_check *check)
{
	unsigned char given[HMAC_SIZE], want[HMAC_SIZE];

	hmac_of(key->relay, sizeof(key->relay), h->gitlab_token, strlen(h->gitlab_token), given);
	hmac_of(key->relay, sizeof(key->relay), key->secret, key->len, want);
	if (!hmac_equal(given, want, sizeof(want)))
		return "its token is not the secret";
	check->digest = sha256_begin();
	return NULL;
}

static void sign_relay(const struct webhook_key *key, const char *hook,
		       unsigned char ret[HMAC_SIZE])
{
	hmac_of(key->relay, sizeof(key->relay), hook, strlen(hook), ret);
}

static const char *begin_relayed(const struct webhook_key *key, const struct webhook_headers *h,
				 int64_t now_s, struct webhook_check *check)
{
	unsigned char given[HMAC_SIZE], want[HMAC_SIZE];
	const char *rest;

	if (!h->dynia_hook || !read_hex(h->dynia_signature, '\0', given))
		return "it is passed on without a signature";
	sign_relay(key, h->dynia_hook, want);
	if (!hmac_equal(given, want, sizeof(want)))
		return "it is passed on with a wrong signature: do both nodes have the same "
		       "secret?";
	if (!is_near(h->dynia_hook, '.', now_s, &rest))
		return STALE;
	if (!read_hex(rest + 1, '.', check->relayed_id) ||
	    strcmp(rest + 1 + 2 * HMAC_SIZE + 1, key->cluster) != 0)
		return "it was meant for another cluster";
	check->relayed = true;
	return NULL;
}

struct webhook_check *webhook_begin(const struct webhook_key *key, const struct webhook_headers *h,
				    int64_t now_s, const char **ret_why)
{
	struct webhook_check *check = xcalloc(1, sizeof(*check));

	if (h->dynia_signature)
		*ret_why = begin_relayed(key, h, now_s, check);
	else if (h->webhook_signature)
		*ret_why = begin_signed(key, h, now_s, check);
	else if (h->hub_signature)
		*ret_why = begin_github(key, h, check);
	else if (h->gitea_signature)
		*ret_why = begin_body_hmac(key, h->gitea_signature, check);
	else if (h->gitlab_token)
		*ret_why = begin_token(key, h, check);
	else
		*ret_why = "it is not signed";
	if (!*ret_why)
		return check;
	webhook_free(check);
	return NULL;
}

/* --- the body ------------------------------------------------------------------------ */

void webhook_add(struct webhook_check *check, const void *data, size_t len)
{
	if (check->mac)
		hmac_add(check->mac, data, len);
	if (check->digest)
		sha256_add(check->digest, data, len);
}

bool webhook_end(struct webhook_check *check, struct webhook_id *ret)
{
	unsigned char got[HMAC_SIZE];
	char hex[SHA256_HEX_SIZE];
	bool good = !check->mac;

	memset(ret, 0, sizeof(*ret));
	ret->relayed = check->relayed;
	if (check->mac) {
		hmac_end(STEAL(check->mac), got);
		for (size_t i = 0; i < check->n_want; i++)
			good |= hmac_equal(got, check->want[i], HMAC_SIZE);
		memcpy(ret->digest, got, HMAC_SIZE);
	} else if (check->digest) {
		sha256_end(STEAL(check->digest), hex);
		read_hex(hex, '\0', ret->digest);
	} else {
		memcpy(ret->digest, check->relayed_id, HMAC_SIZE);
	}
	webhook_free(check);
	return good;
}

void webhook_free(struct webhook_check *check)
{
	char hex[SHA256_HEX_SIZE];

	if (!check)
		return;
	hmac_free(check->mac);
	if (check->digest)
		sha256_end(check->digest, hex);
	free(check);
}

void webhook_relay_headers(const struct webhook_key *key, const struct webhook_id *id,
			   int64_t now_s, struct strbuf *ret_hook, struct strbuf *ret_signature)
{
	unsigned char signature[HMAC_SIZE];

	strbuf_addf(ret_hook, "%" PRId64 ".", now_s);
	write_hex(id->digest, ret_hook);
	strbuf_addf(ret_hook, ".%s", key->cluster);
	sign_relay(key, ret_hook->buf, signature);
	write_hex(signature, ret_signature);
}

bool webhook_seen(struct webhook_seen *seen, const struct webhook_id *id)
{
	for (size_t i = 0; i < seen->n; i++)
		if (memcmp(seen->v[i], id->digest, HMAC_SIZE) == 0)
			return true;
	memcpy(seen->v[seen->next], id->digest, HMAC_SIZE);
	seen->next = (seen->next + 1) % WEBHOOK_SEEN_MAX;
	if (seen->n < WEBHOOK_SEEN_MAX)
		seen->n++;
	return false;
}
