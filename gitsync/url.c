#include "gitsync/url.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "gitsync/mirror.h"
#include "gitsync/text.h"

struct transport {
	const char *prefix;
	bool network;
};

static const struct transport transports[] = {
	{"git://", true},
	{"file:///", false},
	{"/", false},
};

static const struct transport *find_transport(const char *url)
{
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		if (strncmp(url, transports[i].prefix, strlen(transports[i].prefix)) == 0)
			return &transports[i];
	}
	return NULL;
}

bool url_is_network(const char *url)
{
	return find_transport(url)->network;
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

int remote_supported(const char *url, struct err *err)
{
	AUTO_FREE char *shown = url_shown(url);
	const struct transport *transport = find_transport(url);

	if (!transport)
		return err_set(err, ERR_CONFIG,
			       "'%s': this build talks to git://, file:/// and absolute paths",
			       shown);
	if (text_has_control(url))
		return err_set(err, ERR_CONFIG, "'%s' has control characters in it", shown);
	if (transport->network && strcmp(shown, url) != 0)
		return err_set(err, ERR_CONFIG,
			       "'%s': git:// knows no users: leave the part before '@' out", shown);
	return 0;
}

/* libgit2 takes a path with a ':' in it for a host, so a path goes to it as a file URL. */
char *url_for_libgit2(const char *url)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	if (url[0] != '/')
		return xstrdup(url);
	strbuf_addstr(&out, "file://");
	for (; *url; url++) {
		if (isalnum((unsigned char)*url) || strchr("/-._~", *url))
			strbuf_addch(&out, *url);
		else
			strbuf_addf(&out, "%%%02X", (unsigned)(unsigned char)*url);
	}
	return strbuf_steal(&out);
}
