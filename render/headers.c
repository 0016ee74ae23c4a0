#include "render/headers.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

static const struct default_header {
	const char *name;
	const char *value;
	bool https_only;
} default_headers[] = {
	{"Strict-Transport-Security", "max-age=31536000", true},
	{"X-Content-Type-Options", "nosniff", false},
	{"X-Frame-Options", "DENY", false},
	{"Referrer-Policy", "strict-origin-when-cross-origin", false},
	{"Permissions-Policy", "geolocation=(), microphone=(), camera=()", false},
};

static const struct spec_pair *find(const struct spec_pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->n; i++)
		if (strcasecmp(pairs->v[i].name, name) == 0)
			return &pairs->v[i];
	return NULL;
}

void headers_merge(struct headers *ret, struct pool *pool, const struct spec_pairs *wanted,
		   bool https)
{
	ret->v = pool_calloc(pool, ARRAY_SIZE(default_headers) + wanted->n, sizeof(*ret->v));
	ret->n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(default_headers); i++) {
		const struct default_header *header = &default_headers[i];

		if ((header->https_only && !https) || find(wanted, header->name))
			continue;
		ret->v[ret->n++] =
			(struct spec_pair) {.name = header->name, .value = header->value};
	}
	for (size_t i = 0; i < wanted->n; i++)
		if (wanted->v[i].value && *wanted->v[i].value)
			ret->v[ret->n++] = wanted->v[i];
}
