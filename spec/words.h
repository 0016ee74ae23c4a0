/*
 * What a single word in a file may be: the check functions of the tables. Each returns 0, or -1
 * with a reason that names the word and reads after a colon (ERR_CONFIG).
 */
#ifndef SPEC_WORDS_H
#define SPEC_WORDS_H

#include "base/err.h"
#include "base/pool.h"

/* --- names --------------------------------------------------------------------------- */

/* Clusters, nodes, services. */
int check_name(const char *word, struct err *err);
int check_secret_name(const char *word, struct err *err);
int check_env_name(const char *word, struct err *err);
/* Names and values of node labels. */
int check_label(const char *word, struct err *err);
/* Words of a provider or of Docker: letters, digits, '.', '_' and '-', beginning with a letter or
 * digit. */
int check_word(const char *word, struct err *err);
/* A user name: no white space, no ':'. */
int check_user(const char *word, struct err *err);
/* Printable text, not empty. */
int check_text(const char *word, struct err *err);
int check_email(const char *word, struct err *err);

/* --- the network --------------------------------------------------------------------- */

int check_address(const char *word, struct err *err);
int check_cidr(const char *word, struct err *err);
/* IPv4, with room for containers. */
int check_subnet(const char *word, struct err *err);
int check_interface(const char *word, struct err *err);
int check_hostname(const char *word, struct err *err);
/* A host name, or "*." and a host name. */
int check_host(const char *word, struct err *err);
/* ADDRESS:PORT, [ADDRESS]:PORT. */
int check_listen(const char *word, struct err *err);

/* --- HTTP ---------------------------------------------------------------------------- */

/* A response header that a cluster may set. */
int check_header_name(const char *word, struct err *err);
int check_header_value(const char *word, struct err *err);
int check_http_path(const char *word, struct err *err);
int check_content_type(const char *word, struct err *err);
/* What Caddy answers with. */
int check_body(const char *word, struct err *err);

/* --- images, files, git -------------------------------------------------------------- */

int check_image(const char *word, struct err *err);
/* HOST or HOST:PORT of a registry, as it stands before an image's name; docker.io is Docker Hub. */
int check_registry(const char *word, struct err *err);
/* The registry of an image, as check_registry() has it, in the pool. */
const char *image_registry(const char *image, struct pool *pool);
/* A path inside of the service's folder; a leading "./" and a trailing '/' are allowed. */
int check_inner_path(const char *word, struct err *err);
int check_absolute_path(const char *word, struct err *err);
/* One component of the path of a service's file: it becomes one on the node. */
int check_file_name(const char *word, struct err *err);
/* A git branch (git-check-ref-format(1)). */
int check_branch(const char *word, struct err *err);
/* The address of a git repository. */
int check_repository(const char *word, struct err *err);
int check_proxy(const char *word, struct err *err);
/* Where a file is downloaded from whose digest is known: https://HOST/PATH, or http://. */
int check_download(const char *word, struct err *err);
/* 64 digits of lower-case hexadecimal. */
int check_sha256(const char *word, struct err *err);
/* One line of sources.list(5): "deb [signed-by=...] https://HOST/PATH SUITE COMPONENT". */
int check_apt_source(const char *word, struct err *err);
/* --- keys (words_keys.c) --------------------------------------------------------------- */

/* An OpenPGP public key, ASCII-armored. */
int check_apt_key(const char *word, struct err *err);
/* Certificates in PEM, one at least, and nothing else in PEM. */
int check_certificates(const char *word, struct err *err);
/* Lines of known_hosts, one at least. */
int check_known_hosts(const char *word, struct err *err);
/* Lines of allowed_signers, one at least. */
int check_signers(const char *word, struct err *err);
/* A binary OpenPGP keyring, in base64. */
int check_keyring(const char *word, struct err *err);

#endif
