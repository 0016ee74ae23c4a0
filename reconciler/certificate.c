#include "reconciler/certificate.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strvec.h"

#define VALID_S (10 * 365 * 86400L)
#define PEM_SIZE_MAX (1 << 20)
#define PEM_SUFFIX ".pem"

static void key_freep(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void x509_freep(X509 **x)
{
	X509_free(*x);
}

static void ssl_ctx_freep(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

static void bio_freep(BIO **bio)
{
	BIO_free(*bio);
}

static int openssl_failed(const char *what, struct err *err)
{
	char text[200];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	return err_set(err, ERR_SYSTEM, "%s: %s", what, text);
}

static int add_alternative_name(X509 *x, const char *name)
{
	CLEANUP(strbuf_release) struct strbuf value = STRBUF_INIT;
	X509_EXTENSION *extension;
	int ok;

	strbuf_addf(&value, "DNS:%s", name);
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value.buf);
	if (!extension)
		return 0;
	ok = X509_add_ext(x, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

static int fill(X509 *x, EVP_PKEY *key, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(x);

	return X509_set_version(x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
	       X509_gmtime_adj(X509_getm_notAfter(x), VALID_S) && X509_set_pubkey(x, key) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name,
					  -1, -1, 0) &&
	       X509_set_issuer_name(x, subject) && add_alternative_name(x, name) &&
	       X509_sign(x, key, EVP_sha256());
}

int certificate_self_signed(const char *name, struct strbuf *ret_pem, struct err *err)
{
	CLEANUP(key_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
	CLEANUP(x509_freep) X509 *x = X509_new();
	CLEANUP(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	if (!key || !x || !bio || !fill(x, key, name) || !PEM_write_bio_X509(bio, x) ||
	    !PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
		return openssl_failed("make the placeholder certificate", err);
	len = BIO_get_mem_data(bio, &data);
	strbuf_add(ret_pem, data, (size_t)len);
	return 0;
}

/* --- reading ------------------------------------------------------------------------- */

static void take_alternative_names(X509 *x, struct pool *pool, struct certificate *ret)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int n = names ? sk_GENERAL_NAME_num(names) : 0;

	ret->names = pool_calloc(pool, (size_t)n + 1, sizeof(*ret->names));
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			ret->names[ret->n_names++] =
				pool_memdup(pool, ASN1_STRING_get0_data(name->d.dNSName),
					    (size_t)ASN1_STRING_length(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

/* What asks for a passphrase gets none, rather than a person at the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/* The rest of the chain; what follows it that is no certificate, such as the key, is passed over. */
static const char *check_chain(BIO *bio)
{
	X509 *x;

	while ((x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)))
		X509_free(x);
	if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM &&
	    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		return NULL;
	return "a certificate or key in it cannot be read";
}

static EVP_PKEY *read_key(const struct strbuf *pem)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem->buf, (int)pem->len);

	return bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
}

/* As HAProxy does it: OpenSSL also refuses what is too weak for the machine's security level. */
static const char *check_pair(X509 *x, EVP_PKEY *key, struct pool *pool)
{
	CLEANUP(ssl_ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	const char *reason;

	ERR_clear_error();
	if (ctx && SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1)
		return NULL;
	reason = ERR_reason_error_string(ERR_peek_last_error());
	return pool_printf(pool, "its certificate and its key: %s", reason ? reason : "refused");
}

const char *certificate_judge(const struct strbuf *pem, const struct strbuf *key_file,
			      struct pool *pool, struct certificate *ret)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem->buf, (int)pem->len);
	CLEANUP(x509_freep)
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	CLEANUP(key_freep) EVP_PKEY *key = NULL;
	struct tm tm = {0};
	const char *broken;

	if (!x)
		return "it holds no certificate in PEM";
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm))
		ret->not_after_s = (int64_t)timegm(&tm);
	take_alternative_names(x, pool, ret);
	ERR_clear_error();
	broken = check_chain(bio);
	if (broken)
		return broken;
	key = read_key(pem);
	if (!key && key_file && key_file->len)
		key = read_key(key_file);
	if (!key)
		return "it holds no private key that can be read without a passphrase";
	return check_pair(x, key, pool);
}

bool certificate_is_whole(const struct strbuf *pem)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct certificate ignored = {0};
	bool whole = !certificate_judge(pem, NULL, pool, &ignored);

	ERR_clear_error();
	return whole;
}

static bool is_wanted(const char *name, const char *placeholder)
{
	size_t len = strlen(name);

	return len > strlen(PEM_SUFFIX) && name[0] != '.' &&
	       strcmp(name + len - strlen(PEM_SUFFIX), PEM_SUFFIX) == 0 &&
	       strcmp(name, placeholder) != 0;
}

/* HAProxy's list has a file on each line, and words after it. */
static bool has_plain_name(const char *name)
{
	return !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "._-+@*=~")];
}

static void read_one(int dirfd, const char *folder, const char *name, struct pool *pool,
		     struct certificate *ret, struct sha256 *digest)
{
	CLEANUP(strbuf_release) struct strbuf pem = STRBUF_INIT, key = STRBUF_INIT;
	const char *path = pool_printf(pool, "%s/%s", folder, name);
	struct err ignored;

	ret->file = pool_strdup(pool, name);
	if (!has_plain_name(name))
		ret->broken = "its name has other characters than letters, digits and ._-+@*=~";
	else if (file_read_in(dirfd, path, PEM_SIZE_MAX, &pem, &ignored) < 0)
		ret->broken = "it cannot be read, or is larger than 1 MiB";
	if (file_read_in(dirfd, pool_printf(pool, "%s.key", path), PEM_SIZE_MAX, &key, &ignored) <
	    0)
		strbuf_clear(&key);
	if (!ret->broken)
		ret->broken = certificate_judge(&pem, &key, pool, ret);
	ERR_clear_error();
	sha256_add_str(digest, name);
	sha256_add(digest, pem.buf, pem.len);
	sha256_add(digest, key.buf, key.len);
	explicit_bzero(pem.buf, pem.len);
	explicit_bzero(key.buf, key.len);
}

int certificates_read(int dirfd, const char *folder, const char *placeholder, struct pool *pool,
		      struct certificates *ret, struct err *err)
{
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;
	struct sha256 *digest;

	memset(ret, 0, sizeof(*ret));
	if (file_list_in(dirfd, folder, &names, err) < 0)
		return -1;
	ret->v = pool_calloc(pool, names.n + 1, sizeof(*ret->v));
	ret->good = pool_calloc(pool, names.n + 1, sizeof(*ret->good));
	digest = sha256_begin();
	for (size_t i = 0; i < names.n; i++) {
		struct certificate *c = &ret->v[ret->n];

		if (!is_wanted(names.v[i], placeholder))
			continue;
		read_one(dirfd, folder, names.v[i], pool, c, digest);
		if (!c->broken)
			ret->good[ret->n_good++] = c->file;
		ret->n++;
	}
	sha256_end(digest, ret->digest);
	if (!ret->n)
		ret->digest[0] = '\0';
	return 0;
}
