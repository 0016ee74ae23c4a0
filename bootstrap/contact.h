/*
 * How the operator's ssh knows a machine that it has never seen. Nothing is trusted on first use:
 *
 *   - a new droplet gets a key of its own, the contact key, in its user-data, and that key's public
 *     half as a tag, dynia-contact:CLUSTER:HEX, which any operator can read from the API
 *   - at its first boot the droplet signs its ssh host key with the contact key (a host certificate)
 *   - ssh takes a host with such a certificate and no other (@cert-authority in known_hosts)
 *   - once credentials were delivered, the host key itself becomes a tag, dynia-host-key:CLUSTER:HEX,
 *     and the contact tag goes: from then on nobody believes the contact key, which everybody on the droplet
 *     can read for as long as it lives
 *
 * Keys are Ed25519; HEX are the 32 bytes of a public key.
 */
#ifndef BOOTSTRAP_CONTACT_H
#define BOOTSTRAP_CONTACT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/pool.h"

/* The two kinds. */
#define CONTACT_TAG "dynia-contact:"
#define HOST_KEY_TAG "dynia-host-key:"
#define PUBLIC_KEY_HEX_LEN 64

struct contact {
	const char *tag;
	const char *private_key; /* as ssh-keygen(1) writes it */
};

/* A new one, in the pool. */
int contact_new(struct pool *pool, const char *cluster, struct contact *ret, struct err *err);
/* The tag of either kind, in the pool. */
const char *key_tag(struct pool *pool, const char *kind, const char *cluster, const char *hex);
/* The public key at the end of a tag of the kind; NULL where it is none. */
const char *key_tag_hex(const char *tag, const char *kind);
/* Of either kind, and of this cluster? */
bool key_tag_is_of(struct pool *pool, const char *tag, const char *cluster);
/* 64 digits of lower-case hexadecimal? */
bool is_public_key_hex(const char *word);
/* "ssh-ed25519 AAAA…" of such a word, in the pool. */
const char *ssh_public_key(struct pool *pool, const char *hex);
/* The other way round, from the text of a .pub file; NULL where it holds no such key. */
const char *ssh_public_key_hex(struct pool *pool, const char *text);

#endif
