#include "spec/words.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/strbuf.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define ALNUM LOWER UPPER DIGITS

/* Not empty, at most max bytes, and of these characters only. */
static bool is_made_of(const char *word, const char *chars, size_t max)
{
	size_t len = strlen(word);

	return len > 0 && len <= max && strspn(word, chars) == len;
}

static bool is_one_of(char c, const char *chars)
{
	return c && strchr(chars, c);
}

static int refuse(struct err *err, const char *word, const char *why)
{
	return err_set(err, ERR_CONFIG, "'%s' %s", word, why);
}

/* --- names --------------------------------------------------------------------------- */

int check_name(const char *word, struct err *err)
{
	if (is_name(word))
		return 0;
	return refuse(err, word,
		      "is no name: lower-case letters, digits and '-', at most 32, beginning and "
		      "ending with a "
		      "letter or digit");
}

int check_secret_name(const char *word, struct err *err)
{
	if (is_made_of(word, LOWER DIGITS "._-", 63) && is_one_of(word[0], LOWER DIGITS))
		return 0;
	return refuse(
		err, word,
		"is no name of a secret: lower-case letters, digits, '.', '_' and '-', at most 63");
}

int check_env_name(const char *word, struct err *err)
{
	if (is_made_of(word, ALNUM "_", 255) && !is_one_of(word[0], DIGITS))
		return 0;
	return refuse(err, word,
		      "is no name of an environment variable: letters, digits and '_', not "
		      "beginning with a digit");
}

int check_label(const char *word, struct err *err)
{
	if (is_made_of(word, ALNUM "._-", 63) && is_one_of(word[0], ALNUM))
		return 0;
	return refuse(err, word, "is no label: letters, digits, '.', '_' and '-', at most 63");
}

int check_word(const char *word, struct err *err)
{
	if (is_made_of(word, ALNUM "._-", 128) && is_one_of(word[0], ALNUM))
		return 0;
	return refuse(err, word,
		      "is not allowed: letters, digits, '.', '_' and '-', beginning with a letter "
		      "or digit");
}

int check_user(const char *word, struct err *err)
{
	if (is_made_of(word, ALNUM "._@+-", 128) && word[0] != '-')
		return 0;
	return refuse(err, word, "is no user name: letters, digits, '.', '_', '@', '+' and '-'");
}

int check_text(const char *word, struct err *err)
{
	return word[0] ? 0 : err_set(err, ERR_CONFIG, "must not be empty");
}

int check_email(const char *word, struct err *err)
{
	size_t local = strspn(word, ALNUM ".!#$%&'*+/=?^_`{|}~-");

	/* Braces would be a placeholder for Caddy. */
	if (local > 0 && local <= 64 && word[local] == '@' &&
	    is_hostname(word + local + 1, false) && !memchr(word, '{', local) &&
	    !memchr(word, '}', local))
		return 0;
	return refuse(err, word, "is no e-mail address: write name@example.com");
}

/* --- the network --------------------------------------------------------------------- */

int check_address(const char *word, struct err *err)
{
	if (is_address(word))
		return 0;
	return refuse(err, word,
		      "is no IP address: write 10.108.0.2 or fd00::2, without port or prefix");
}

int check_cidr(const char *word, struct err *err)
{
	if (is_cidr(word))
		return 0;
	return refuse(
		err, word,
		"is no network prefix: write 10.108.0.0/20, with no bits set after the prefix");
}

int check_subnet(const char *word, struct err *err)
{
	const char *slash = strchr(word, '/');
	int64_t bits;

	if (slash && is_cidr(word) && !strchr(word, ':') &&
	    parse_int(slash + 1, 8, 29, &bits, err) == 0)
		return 0;
	return refuse(err, word,
		      "is no network for containers: write an IPv4 prefix of 8 to 29 bits, such as "
		      "172.20.0.0/16");
}

int check_interface(const char *word, struct err *err)
{
	/* 15 is what IFNAMSIZ leaves. */
	if (is_made_of(word, ALNUM "._-", 15) && is_one_of(word[0], ALNUM))
		return 0;
	return refuse(err, word, "is no name of a network interface, such as eth1");
}

/* A name with letters that DNS does not have has another form, which is the one that it is asked for by. */
static int refuse_host(struct err *err, const char *word, const char *why)
{
	for (const char *c = word; *c; c++)
		if ((unsigned char)*c >= 0x80)
			return refuse(
				err, word,
				"is no host name as DNS has it: write its form in ASCII "
				"(punycode), whose labels begin with xn--: idn2(1) prints it");
	return refuse(err, word, why);
}

int check_hostname(const char *word, struct err *err)
{
	if (is_hostname(word, false))
		return 0;
	return refuse_host(err, word,
			   "is no host name: write it in lower case, without scheme, port or path");
}

int check_host(const char *word, struct err *err)
{
	if (is_hostname(word, true))
		return 0;
	return refuse_host(
		err, word,
		"is no host name: write app.example.com or *.example.com, in lower case, "
		"without scheme, port "
		"or path");
}

int check_listen(const char *word, struct err *err)
{
	static const char why[] = "is no address to listen on: write 127.0.0.1:9797 or [::1]:9797";
	const char *colon = strrchr(word, ':');
	char address[64];
	size_t len = colon ? (size_t)(colon - word) : 0;
	bool bracketed = len > 2 && word[0] == '[' && word[len - 1] == ']';
	int64_t port;

	if (bracketed) {
		word++;
		len -= 2;
	}
	if (!colon || len == 0 || len >= sizeof(address))
		return refuse(err, bracketed ? word - 1 : word, why);
	memcpy(address, word, len);
	address[len] = '\0';
	if (is_address(address) && is_ipv4(address) != bracketed &&
	    parse_int(colon + 1, 1, 65535, &port, err) == 0)
		return 0;
	return refuse(err, bracketed ? word - 1 : word, why);
}

/* --- HTTP ---------------------------------------------------------------------------- */

int check_header_name(const char *word, struct err *err)
{
	/* These say how a message travels, or where it is from: the proxies' own business. */
	static const char *const owned[] = {
		"Host",
		"Content-Length",
		"Content-Encoding",
		"Transfer-Encoding",
		"Connection",
		"Keep-Alive",
		"Upgrade",
		"TE",
		"Trailer",
		"Proxy-Connection",
		"Date",
		"Content-Type",
		"Location",
		"Set-Cookie",
	};

	/* tchar of RFC 9110, 5.6.2 */
	if (!is_made_of(word, ALNUM "!#$%&'*+-.^_`|~", 128))
		return refuse(err, word, "is no name of a header");
	for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
		if (strcasecmp(word, owned[i]) == 0)
			return refuse(err, word, "belongs to the ingress and cannot be set here");
	return 0;
}

int check_header_value(const char *word, struct err *err)
{
	size_t len = strlen(word);

	if (len && (word[0] == ' ' || word[len - 1] == ' '))
		return refuse(err, word, "is no value of a header: it begins or ends with a space");
	return 0;
}

static bool is_printable_ascii(const char *word)
{
	for (; *word; word++)
		if (*word <= ' ' || *word > '~')
			return false;
	return true;
}

int check_http_path(const char *word, struct err *err)
{
	if (word[0] == '/' && is_printable_ascii(word) && !strpbrk(word, "{}#\"\\"))
		return 0;
	return refuse(
		err, word,
		"is no path of a URL: it begins with '/' and holds no space, brace, quote or '#'");
}

int check_content_type(const char *word, struct err *err)
{
	static const char token[] = ALNUM "!#$&^_.+-";
	size_t type = strspn(word, token);
	size_t subtype = word[type] == '/' ? strspn(word + type + 1, token) : 0;
	const char *rest = word + type + 1 + subtype;

	if (type && subtype &&
	    (!*rest || (*rest == ';' && strspn(rest, ALNUM "; =_.-\"") == strlen(rest))))
		return 0;
	return refuse(err, word, "is no content type: write text/html; charset=utf-8");
}

int check_body(const char *word, struct err *err)
{
	if (strstr(word, "{$"))
		return err_set(err, ERR_CONFIG,
			       "must not hold '{$': Caddy replaces it by a variable of its "
			       "environment before it "
			       "reads the text");
	return 0;
}

/* --- images, files, git -------------------------------------------------------------- */

static bool is_digest(const char *s)
{
	static const char algorithm[] = "sha256:";

	return strncmp(s, algorithm, strlen(algorithm)) == 0 &&
	       strlen(s + strlen(algorithm)) == 64 &&
	       strspn(s + strlen(algorithm), DIGITS "abcdef") == 64;
}

/* One part of an image's path: [a-z0-9]+ with '.', '_' or '-' between. The first may be a registry
 * with its port. */
static bool is_image_part(const char *s, size_t len, bool first)
{
	size_t name = strspn(s, LOWER DIGITS "._-");

	if (name > len)
		name = len;
	if (name == 0 || !is_one_of(s[0], LOWER DIGITS) || !is_one_of(s[name - 1], LOWER DIGITS))
		return false;
	if (name == len)
		return true;
	return first && s[name] == ':' && len > name + 1 && len - name - 1 <= 5 &&
	       strspn(s + name + 1, DIGITS) >= len - name - 1;
}

static bool is_image_path(const char *s, size_t len)
{
	const char *end = s + len;

	for (bool first = true;; first = false) {
		const char *slash = memchr(s, '/', (size_t)(end - s));
		size_t part = (size_t)((slash ? slash : end) - s);

		if (!is_image_part(s, part, first && slash))
			return false;
		if (!slash)
			return true;
		s = slash + 1;
	}
}

static bool is_image(const char *word)
{
	const char *at = strchr(word, '@');
	size_t len = at ? (size_t)(at - word) : strlen(word);
	const char *slash = memrchr(word, '/', len);
	const char *name = slash ? slash + 1 : word;
	const char *colon = memchr(name, ':', (size_t)(word + len - name));
	size_t path = colon ? (size_t)(colon - word) : len;

	if (strlen(word) > 255 || (at && !is_digest(at + 1)))
		return false;
	if (colon) {
		size_t tag = len - path - 1;

		if (tag == 0 || tag > 128 || strspn(colon + 1, ALNUM "_.-") < tag ||
		    is_one_of(colon[1], ".-"))
			return false;
	}
	return is_image_path(word, path);
}

int check_image(const char *word, struct err *err)
{
	if (is_image(word))
		return 0;
	return refuse(err, word,
		      "is no image: write NAME:TAG, REGISTRY/NAME:TAG or NAME@sha256:DIGEST");
}

int check_registry(const char *word, struct err *err)
{
	size_t host = strcspn(word, ":"), len = strlen(word);
	size_t port = host < len ? len - host - 1 : 1;

	if (len <= 255 && host > 0 &&
	    strspn(word, "abcdefghijklmnopqrstuvwxyz" DIGITS ".-") == host && port > 0 &&
	    port <= 5 && (host == len || strspn(word + host + 1, DIGITS) == port) &&
	    (strchr(word, '.') || host < len || strcmp(word, "localhost") == 0))
		return 0;
	return refuse(err, word, "is no registry: write HOST or HOST:PORT, as in the image's name");
}

/* Docker's own rule: a first part with a dot or a port is a host. */
const char *image_registry(const char *image, struct pool *pool)
{
	size_t part = strcspn(image, "/");

	if (image[part] == '/' && (memchr(image, '.', part) || memchr(image, ':', part) ||
				   (part == 9 && strncmp(image, "localhost", 9) == 0)))
		return pool_memdup(pool, image, part);
	return "docker.io";
}

int check_inner_path(const char *word, struct err *err)
{
	const char *s = strncmp(word, "./", 2) == 0 ? word + 2 : word;
	size_t len = strlen(s);

	if (word[0] == '/')
		return refuse(err, word,
			      "is an absolute path: name a file of the service's own folder");
	if (len && s[len - 1] == '/')
		len--;
	if (len == 0)
		return refuse(err, word,
			      "is no path of a file or folder inside of the service's folder");
	for (size_t i = 0, part; i <= len; i += part + 1) {
		part = strcspn(s + i, "/");
		if (part == 0 || (part == 1 && s[i] == '.') ||
		    (part == 2 && s[i] == '.' && s[i + 1] == '.'))
			return refuse(
				err, word,
				"is no path inside of the service's folder: it must not hold '.', "
				"'..' or '//'");
	}
	return 0;
}

int check_absolute_path(const char *word, struct err *err)
{
	size_t len = strlen(word);

	if (word[0] != '/' || len < 2 || word[len - 1] == '/' || strstr(word, "//"))
		return refuse(err, word, "is no absolute path of a file");
	for (size_t i = 1, part; i < len; i += part + 1) {
		part = strcspn(word + i, "/");
		if ((part == 1 && word[i] == '.') ||
		    (part == 2 && word[i] == '.' && word[i + 1] == '.'))
			return refuse(err, word,
				      "is no absolute path: it must not hold '.' or '..'");
	}
	return 0;
}

/* ".NAME" and the suffix must be a file name too. */
#define FILE_NAME_MAX (255 - sizeof(FILE_TMP_SUFFIX))

int check_file_name(const char *word, struct err *err)
{
	size_t len = strlen(word), suffix = strlen(FILE_TMP_SUFFIX);

	if (!is_made_of(word, ALNUM "._@+=-", FILE_NAME_MAX) || word[0] == '-' ||
	    strcmp(word, ".") == 0 || strcmp(word, "..") == 0)
		return refuse(err, word,
			      "cannot be a file's name on a node: letters, digits and . _ @ + = - "
			      "only, not beginning "
			      "with '-'");
	if (len >= suffix && strcmp(word + len - suffix, FILE_TMP_SUFFIX) == 0)
		return refuse(err, word,
			      "ends in '" FILE_TMP_SUFFIX "', which is kept for temporary files");
	return 0;
}

static bool is_branch_part(const char *s, size_t len)
{
	static const char lock[] = ".lock";

	if (len == 0 || s[0] == '.')
		return false;
	return len < strlen(lock) || strncmp(s + len - strlen(lock), lock, strlen(lock)) != 0;
}

static bool is_branch(const char *word)
{
	size_t len = strlen(word);

	if (len == 0 || word[0] == '-' || word[len - 1] == '.' || strcmp(word, "@") == 0)
		return false;
	if (strpbrk(word, " ~^:?*[\\") || strstr(word, "..") || strstr(word, "@{"))
		return false;
	for (size_t i = 0, part; i <= len; i += part + 1) {
		part = strcspn(word + i, "/");
		if (!is_branch_part(word + i, part))
			return false;
	}
	return true;
}

int check_branch(const char *word, struct err *err)
{
	return is_branch(word) ? 0 : refuse(err, word, "is no name of a git branch");
}

/* Without what may stand before an '@': a message must not show a password. */
static const char *after_userinfo(const char *rest)
{
	size_t authority = strcspn(rest, "/");
	const char *at = memrchr(rest, '@', authority);

	return at ? at + 1 : rest;
}

static int check_url(const char *word, const char *rest, bool is_ssh, struct err *err)
{
	const char *host = after_userinfo(rest);
	bool has_password = memchr(rest, ':', (size_t)(host - rest));

	if (has_password || (host != rest && !is_ssh))
		return err_set(err, ERR_CONFIG,
			       "the address must not hold a user or password: put them in "
			       "credentials.username and "
			       "credentials.password_file");
	if (rest[0] == '-' || host[0] == '-' || host[strcspn(host, "/")] != '/' || host[0] == '/')
		return refuse(err, word,
			      "is no address of a repository: a host and a path are needed");
	return 0;
}

/* user@host:path */
static bool is_scp_form(const char *word)
{
	size_t user = strspn(word, ALNUM "._-");
	const char *host = word + user + 1;
	size_t len;

	if (user == 0 || word[0] == '-' || word[user] != '@')
		return false;
	len = strspn(host, ALNUM ".-");
	return len > 0 && host[0] != '-' && host[len] == ':' && host[len + 1] &&
	       host[len + 1] != '-';
}

/* http://HOST:PORT */
int check_proxy(const char *word, struct err *err)
{
	size_t scheme = strlen("http://");
	const char *host = word + scheme, *colon = strrchr(word, ':');
	char name[256];
	int64_t port;

	if (strncmp(word, "http://", scheme) == 0 && colon > host &&
	    (size_t)(colon - host) < sizeof(name)) {
		memcpy(name, host, (size_t)(colon - host));
		name[colon - host] = '\0';
		if ((is_hostname(name, false) || is_ipv4(name)) &&
		    parse_int(colon + 1, 1, 65535, &port, err) == 0)
			return 0;
	}
	return err_set(
		err, ERR_CONFIG,
		"is no address of a proxy: write http://HOST:PORT, without user or password");
}

int check_repository(const char *word, struct err *err)
{
	static const struct {
		const char *scheme;
		bool is_ssh;
	} schemes[] = {{"https://", false}, {"git://", false}, {"ssh://", true}};

	if (!is_printable_ascii(word))
		return err_set(err, ERR_CONFIG,
			       "the address of a repository holds no space or special character");
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i].scheme);

		if (strncmp(word, schemes[i].scheme, len) == 0)
			return check_url(word, word + len, schemes[i].is_ssh, err);
	}
	if (strncmp(word, "http://", strlen("http://")) == 0)
		return err_set(
			err, ERR_CONFIG,
			"http:// is refused, because nothing proves who answers: use https://");
	if (strncmp(word, "file:///", strlen("file:///")) == 0 || word[0] == '/' ||
	    is_scp_form(word))
		return 0;
	return refuse(err, word,
		      "is no address of a repository: write https://HOST/PATH, "
		      "ssh://USER@HOST/PATH, USER@HOST:PATH, "
		      "git://HOST/PATH, file:///PATH or /PATH");
}

int check_download(const char *word, struct err *err)
{
	static const char *const schemes[] = {"https://", "http://"};
	bool known = false;
	const char *host;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		known = known || strncmp(word, schemes[i], strlen(schemes[i])) == 0;
	host = strstr(word, "://");
	if (known && is_printable_ascii(word) && !strpbrk(word, "'\"\\`$@#") &&
	    strchr(host + 3, '/') > host + 3)
		return 0;
	return refuse(err, word, "is no address of a download: write https://HOST/PATH");
}

int check_sha256(const char *word, struct err *err)
{
	if (strlen(word) == 64 && word[strspn(word, "0123456789abcdef")] == '\0')
		return 0;
	return refuse(err, word,
		      "is no SHA-256: 64 digits of 0-9 and a-f, as sha256sum(1) prints it");
}

int check_apt_source(const char *word, struct err *err)
{
	if (strncmp(word, "deb ", 4) == 0 && strstr(word, "https://") &&
	    !word[strspn(word, ALNUM " :/.,=_~+[]-")])
		return 0;
	return refuse(err, word, "is no apt source: write deb https://HOST/PATH SUITE COMPONENT");
}
