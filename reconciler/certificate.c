#include "reconciler/certificate.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

static void take_certificate(const struct strbuf *pem, struct pool *pool, struct certificate *ret)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem->buf, (int)pem->len);
	CLEANUP(x509_freep) X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	struct tm tm = {0};

	ERR_clear_error();
	if (!x)
		return;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm))
		ret->not_after_s = (int64_t)timegm(&tm);
	take_alternative_names(x, pool, ret);
}

static void list_folder(int fd, const char *placeholder, struct strvec *ret)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len > strlen(PEM_SUFFIX) && entry->d_name[0] != '.' &&
		    strcmp(entry->d_name + len - strlen(PEM_SUFFIX), PEM_SUFFIX) == 0 &&
		    strcmp(entry->d_name, placeholder) != 0)
			strvec_push(ret, entry->d_name);
	}
	closedir(dir);
	strvec_sort(ret);
}

int certificates_read(int dirfd, const char *folder, const char *placeholder, struct pool *pool,
		      struct certificates *ret, struct err *err)
{
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;
	struct sha256 *digest;
	struct err ignored;
	int there = file_stat_in(dirfd, folder, NULL, err);
	int fd;

	memset(ret, 0, sizeof(*ret));
	if (there <= 0)
		return there;
	fd = file_open_in(dirfd, folder, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	list_folder(fd, placeholder, &names);
	if (!names.n)
		return 0;
	ret->v = pool_calloc(pool, names.n, sizeof(*ret->v));
	digest = sha256_begin();
	for (size_t i = 0; i < names.n; i++) {
		CLEANUP(strbuf_release) struct strbuf pem = STRBUF_INIT;
		const char *path = pool_printf(pool, "%s/%s", folder, names.v[i]);

		/* A link that leads nowhere, a folder: HAProxy's own check has the say on it. */
		if (file_read_in(dirfd, path, PEM_SIZE_MAX, &pem, &ignored) < 0)
			strbuf_clear(&pem);
		ret->v[ret->n].file = pool_strdup(pool, names.v[i]);
		take_certificate(&pem, pool, &ret->v[ret->n++]);
		sha256_add_str(digest, names.v[i]);
		sha256_add(digest, pem.buf, pem.len);
		explicit_bzero(pem.buf, pem.len);
	}
	sha256_end(digest, ret->digest);
	return 0;
}
