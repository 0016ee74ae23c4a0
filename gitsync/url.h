/* Addresses of remotes. */
#ifndef GITSYNC_URL_H
#define GITSYNC_URL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/pool.h"

enum url_scheme {
	URL_HTTPS,
	URL_SSH, /* ssh://USER@HOST/PATH and USER@HOST:PATH */
	URL_GIT,
	URL_FILE, /* file:///PATH and /PATH */
};

/* In the pool. Texts that are not there are "". */
struct url_parts {
	enum url_scheme scheme;
	const char *text; /* all of it */
	const char *user;
	const char *host; /* without the brackets of an IPv6 address */
	const char *port;
	const char *path; /* with the '/' that it begins with, but for USER@HOST:PATH */
};

/* As a message may show it: without user and password. */
char *url_shown(const char *url);
/* Takes it apart. ERR_CONFIG and what is wrong with it: whatever could be an option to a program,
 * or something else in another's syntax, is refused. */
int url_parse(const char *url, struct pool *pool, struct url_parts *ret, struct err *err);

#endif
