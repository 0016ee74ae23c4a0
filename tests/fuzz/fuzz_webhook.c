/*
 * Fuzzes what a stranger sends to /hook, as the listener hands it on: a line "NAME: VALUE" a header, an empty line, the
 * body. Nothing that the fuzzer makes may be good, for it does not know the secret; only what the corpus has with a right
 * signature is.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "reconciler/webhook.h"
#include "tests/fuzz/fuzz.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define NOW 1614265330

static const struct {
	const char *name;
	size_t offset;
} names[] = {
	{"X-Hub-Signature-256", offsetof(struct webhook_headers, hub_signature)},
	{"X-Gitea-Signature", offsetof(struct webhook_headers, gitea_signature)},
	{"X-Gitlab-Token", offsetof(struct webhook_headers, gitlab_token)},
	{"webhook-id", offsetof(struct webhook_headers, webhook_id)},
	{"webhook-timestamp", offsetof(struct webhook_headers, webhook_timestamp)},
	{"webhook-signature", offsetof(struct webhook_headers, webhook_signature)},
	{"X-Dynia-Hook", offsetof(struct webhook_headers, dynia_hook)},
	{"X-Dynia-Signature", offsetof(struct webhook_headers, dynia_signature)},
};

static void take_header(char *line, struct webhook_headers *ret)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return;
	*colon = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(line, names[i].name) == 0)
			*(const char **)((char *)ret + names[i].offset) =
				colon + 1 + strspn(colon + 1, " ");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	struct webhook_headers headers = {0};
	struct webhook_key key;
	struct webhook_check *check;
	struct webhook_id id;
	struct err err = {0};
	const char *why = NULL;
	char *line = text, *end;

	while ((end = strchr(line, '\n')) && end != line) {
		*end = '\0';
		take_header(line, &headers);
		line = end + 1;
	}
	if (webhook_key_init(&key, line, strlen(line), "shop", &err) < 0)
		assert(err.code == ERR_CONFIG);
	if (webhook_key_init(&key, SECRET, strlen(SECRET), "shop", &err) < 0)
		abort();
	check = webhook_begin(&key, &headers, NOW, &why);
	assert(!check == (why != NULL));
	if (!check)
		return 0;
	webhook_add(check, line, strlen(line));
	webhook_end(check, &id);
	return 0;
}
