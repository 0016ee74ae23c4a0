/* libcurl, set up as Dynia talks https to a git server: in the worker, and in the poll. */
#ifndef GITSYNC_HTTPS_H
#define GITSYNC_HTTPS_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/err.h"

struct https_settings {
	const char *username; /* NULL: none */
	const char *password;
	const char *ca;    /* PEM text of the authorities; NULL: the machine's */
	const char *proxy; /* http://HOST:PORT; NULL: none, whatever the environment says */
};

/* TLS 1.2 or newer, certificate and name checked, no redirect followed, nothing from the
 * environment or from files of a user. NULL on error; freed with curl_easy_cleanup(). */
CURL *https_handle(const struct https_settings *settings, struct err *err);
/* Sets ERR_NETWORK or, for a certificate that is not believed, ERR_VERIFY, and says why. Always
 * returns -1. */
int https_failed(CURLcode code, const char *text, struct err *err);
/* Are both https, on the same host and port? */
bool https_is_same_host(const char *a, const char *b);

#endif
