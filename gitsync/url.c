#include "gitsync/url.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "gitsync/mirror.h"
#include "gitsync/text.h"

#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define USER_CHARS HOST_CHARS "@+"

static const struct scheme {
	const char *prefix;
	enum url_scheme scheme;
	bool takes_user;
} schemes[] = {
	{"https://", URL_HTTPS, false}, {"ssh://", URL_SSH, true}, {"git://", URL_GIT, false},
	{"file:///", URL_FILE, false},  {"/", URL_FILE, false},
};

static const struct scheme *find_scheme(const char *url)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return &schemes[i];
	}
	return NULL;
}

char *url_shown(const char *url)
{
	const char *host = strstr(url, "://");
	const char *at = NULL;

	if (!host)
		return xstrdup(url);
	host += 3;
	for (const char *c = host; *c && *c != '/'; c++) {
		if (*c == '@')
			at = c;
	}
	return xasprintf("%.*s%s", (int)(host - url), url, at ? at + 1 : host);
}

static bool is_made_of(const char *word, const char *chars)
{
	return word[0] && word[0] != '-' && word[strspn(word, chars)] == '\0';
}

static bool is_host(const char *host)
{
	return is_made_of(host, HOST_CHARS) || is_address(host);
}

static bool is_port(const char *port)
{
	struct err ignored;
	int64_t value;

	return !port[0] || parse_int(port, 1, 65535, &value, &ignored) == 0;
}

static int bad(const char *url, const char *why, struct err *err)
{
	AUTO_FREE char *shown = url_shown(url);

	return err_set(err, ERR_CONFIG, "'%s' %s", shown, why);
}

/* [USER@]HOST[:PORT], HOST in brackets where it is an IPv6 address. */
static int parse_authority(const char *url, char *text, struct url_parts *ret, struct err *err)
{
	char *at = strrchr(text, '@');
	char *host = at ? at + 1 : text;
	char *end = NULL, *colon;

	if (at) {
		*at = '\0';
		ret->user = text;
	}
	if (host[0] == '[') {
		host++;
		end = strchr(host, ']');
		if (!end)
			return bad(url, "has a '[' without a ']'", err);
		*end++ = '\0';
		colon = *end == ':' ? end : NULL;
		if (*end && !colon)
			return bad(url, "has something behind its ']'", err);
	} else {
		colon = strchr(host, ':');
	}
	if (colon) {
		*colon = '\0';
		ret->port = colon + 1;
		if (!colon[1])
			return bad(url, "names no port behind the ':'", err);
	}
	ret->host = host;
	return 0;
}

static int check_parts(const char *url, const struct url_parts *parts, struct err *err)
{
	if (!is_host(parts->host))
		return bad(url, "names no host", err);
	if (!is_port(parts->port))
		return bad(url, "names no port", err);
	if (parts->user[0] && !is_made_of(parts->user, USER_CHARS))
		return bad(url, "has a user that is no name: passwords do not belong there", err);
	if (!parts->path[0] || parts->path[0] == '-' || strcmp(parts->path, "/") == 0)
		return bad(url, "names no repository on that host", err);
	return 0;
}

/* USER@HOST:PATH */
static int parse_scp(const char *url, struct pool *pool, struct url_parts *ret, struct err *err)
{
	char *text = pool_strdup(pool, url);
	char *at = strchr(text, '@');
	char *colon = at ? strchr(at, ':') : NULL;

	if (!colon || memchr(text, '/', (size_t)(colon - text)) ||
	    memchr(text, ':', (size_t)(at - text)))
		return bad(url,
			   "is no address of a repository: write https://HOST/PATH, "
			   "ssh://USER@HOST/PATH, USER@HOST:PATH, git://HOST/PATH, file:///PATH or "
			   "/PATH",
			   err);
	*at = '\0';
	*colon = '\0';
	ret->scheme = URL_SSH;
	ret->user = text;
	ret->host = at + 1;
	ret->path = colon + 1;
	return check_parts(url, ret, err);
}

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* The path of a file URL, with its %XX. */
static const char *unescape(const char *path, struct pool *pool)
{
	char *out = pool_strdup(pool, path), *to = out;

	for (const char *c = path; *c; c++) {
		if (c[0] == '%' && isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2]) &&
		    (c[1] != '0' || c[2] != '0')) {
			*to++ = (char)(hex(c[1]) * 16 + hex(c[2]));
			c += 2;
		} else {
			*to++ = *c;
		}
	}
	*to = '\0';
	return out;
}

int url_parse(const char *url, struct pool *pool, struct url_parts *ret, struct err *err)
{
	const struct scheme *scheme = find_scheme(url);
	const char *rest, *slash;

	*ret = (struct url_parts) {
		.text = pool_strdup(pool, url), .user = "", .host = "", .port = "", .path = ""};
	if (text_has_control(url))
		return bad(url, "has control characters in it", err);
	if (!scheme)
		return parse_scp(url, pool, ret, err);
	ret->scheme = scheme->scheme;
	if (scheme->scheme == URL_FILE) {
		ret->path = url[0] == '/' ? pool_strdup(pool, url)
					  : unescape(url + strlen("file://"), pool);
		return 0;
	}
	rest = url + strlen(scheme->prefix);
	slash = rest + strcspn(rest, "/");
	ret->path = pool_strdup(pool, slash);
	if (parse_authority(url, pool_memdup(pool, rest, (size_t)(slash - rest)), ret, err) < 0 ||
	    check_parts(url, ret, err) < 0)
		return -1;
	if (ret->user[0] && !scheme->takes_user)
		return bad(url,
			   scheme->scheme == URL_GIT
				   ? "names a user, and git:// knows none: leave the part before "
				     "'@' out"
				   : "names a user: put that in credentials.username",
			   err);
	if (scheme->scheme == URL_HTTPS && strpbrk(ret->path, "?#"))
		return bad(url, "has a '?' or '#' in it: write the address without", err);
	return 0;
}

int remote_supported(const char *url, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct url_parts parts;

	return url_parse(url, pool, &parts, err);
}
