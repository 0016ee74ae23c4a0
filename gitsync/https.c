#include "gitsync/https.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

CURL *https_handle(const struct https_settings *settings, struct err *err)
{
	CURL *curl = curl_easy_init();

	if (!curl) {
		err_set(err, ERR_SYSTEM, "libcurl does not start");
		return NULL;
	}
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "git/2.0 (dynia/" DYNIA_VERSION ")");
	curl_easy_setopt(curl, CURLOPT_PROXY, settings->proxy ? settings->proxy : "");
	if (settings->username) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(curl, CURLOPT_USERNAME, settings->username);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, settings->password);
	}
	if (settings->ca) {
		const struct curl_blob blob = {.data = (void *)settings->ca,
					       .len = strlen(settings->ca),
					       .flags = CURL_BLOB_COPY};

		curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	return curl;
}

int https_failed(CURLcode code, const char *text, struct err *err)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(err, ERR_VERIFY,
			       "the server's certificate is not believed: %.300s (an authority of "
			       "your own goes into ca_file)",
			       *text ? text : curl_easy_strerror(code));
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
		/* These two texts hold how long it took; the same trouble shall read the same each
		 * time. */
		text = "";
		break;
	case CURLE_OUT_OF_MEMORY:
		return err_set(err, ERR_LIMIT, "out of memory");
	default:
		break;
	}
	return err_set(err, ERR_NETWORK, "%.300s", *text ? text : curl_easy_strerror(code));
}

struct place {
	CURLU *url;
	char *host, *port;
};

static void place_release(struct place *place)
{
	curl_free(place->host);
	curl_free(place->port);
	curl_url_cleanup(place->url);
}

static bool place_of(const char *text, struct place *ret)
{
	char *scheme = NULL;
	bool ok;

	ret->url = curl_url();
	ok = ret->url && curl_url_set(ret->url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	     curl_url_get(ret->url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	     strcmp(scheme, "https") == 0 &&
	     curl_url_get(ret->url, CURLUPART_HOST, &ret->host, 0) == CURLUE_OK &&
	     curl_url_get(ret->url, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	curl_free(scheme);
	return ok;
}

bool https_is_same_host(const char *a, const char *b)
{
	CLEANUP(place_release) struct place x = {0};
	CLEANUP(place_release) struct place y = {0};

	return place_of(a, &x) && place_of(b, &y) && strcasecmp(x.host, y.host) == 0 &&
	       strcmp(x.port, y.port) == 0;
}
