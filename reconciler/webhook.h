/*
 * Is a request to /hook one that the forge, or another node of the cluster, made? Nothing in its body is read or believed:
 * a good one means "look now", and no more, so a body is only put through the digest that its header must match.
 *
 *	struct webhook_check *check = webhook_begin(&key, &headers, now_s, &why);    NULL: refused without its body
 *	webhook_add(check, data, len);                                             as it comes
 *	if (webhook_end(check, &id)) …                                             frees it; true: it is good
 *
 * What the forges send, all compared in constant time:
 *   GitHub           X-Hub-Signature-256: sha256=HEX, the HMAC of the body
 *   Gitea, Forgejo   X-Gitea-Signature: HEX, the same
 *   GitLab           X-Gitlab-Token: the secret itself; or, where the secret is a signing token ("whsec_BASE64"),
 *                    webhook-signature: "v1,BASE64 ...", the HMAC of "ID.TIMESTAMP.BODY" (Standard Webhooks)
 *   another node     X-Dynia-Signature: HEX, the HMAC of X-Dynia-Hook: "TIMESTAMP.ID.CLUSTER", with a key made from the
 *                    secret
 * A request that carries several is judged by the strongest alone.
 */
#ifndef RECONCILER_WEBHOOK_H
#define RECONCILER_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hmac.h"
#include "base/strbuf.h"

#define WEBHOOK_SECRET_MIN 16
#define WEBHOOK_SECRET_MAX 1024
/* How far a signed time may be off. */
#define WEBHOOK_SKEW_S 300
/* The largest body that is put through the digest. */
#define WEBHOOK_BODY_MAX (8U << 20)

struct webhook_key {
	char secret[WEBHOOK_SECRET_MAX + 1];
	size_t len;
	unsigned char signing[WEBHOOK_SECRET_MAX]; /* what a "whsec_" secret decodes to */
	size_t signing_len;                        /* 0: it is none */
	unsigned char relay[HMAC_SIZE];
	const char *cluster;
};

/* ERR_CONFIG: too short, too long, or no text. `cluster` must outlive it. */
int webhook_key_init(struct webhook_key *key, const char *secret, size_t len, const char *cluster,
		     struct err *err);

/* Values of the request's headers, NULL where they are not there. */
struct webhook_headers {
	const char *hub_signature;
	const char *gitea_signature;
	const char *gitlab_token;
	const char *webhook_id;
	const char *webhook_timestamp;
	const char *webhook_signature;
	const char *dynia_hook;
	const char *dynia_signature;
};

/* The same id: the same request once more. A request that is passed on keeps the id. */
struct webhook_id {
	unsigned char digest[HMAC_SIZE];
	bool relayed; /* by another node: it is not passed on again */
};

struct webhook_check;

/* NULL and the reason, where the headers alone are not good. */
struct webhook_check *webhook_begin(const struct webhook_key *key,
				    const struct webhook_headers *headers, int64_t now_s,
				    const char **ret_why);
void webhook_add(struct webhook_check *check, const void *data, size_t len);
bool webhook_end(struct webhook_check *check, struct webhook_id *ret);
void webhook_free(struct webhook_check *check);

/* The values of X-Dynia-Hook and X-Dynia-Signature for passing a request on. */
void webhook_relay_headers(const struct webhook_key *key, const struct webhook_id *id,
			   int64_t now_s, struct strbuf *ret_hook, struct strbuf *ret_signature);

/* The ids of the newest good requests. */
#define WEBHOOK_SEEN_MAX 1024
struct webhook_seen {
	unsigned char v[WEBHOOK_SEEN_MAX][HMAC_SIZE];
	size_t n;
	size_t next;
};

/* True where it was there; else it is remembered, and the oldest is forgotten. */
bool webhook_seen(struct webhook_seen *seen, const struct webhook_id *id);

#endif
