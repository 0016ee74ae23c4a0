/*
 * Words from configuration files to values, strictly: the whole word or nothing. Each returns 0, or
 * -1 with a reason in err (ERR_CONFIG) that reads after a colon: "'30x' is no duration: write 30s,
 * 1m30s or 500ms".
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Decimal, optional '-', no leading zeros, within [min, max]. */
int parse_int(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err);
/* As Compose writes it: 500ms, 30s, 1m30s, 2h, 1d; at least one unit; milliseconds out. */
int parse_duration_ms(const char *s, int64_t *ret_ms, struct err *err);
/* As Compose writes it: 1024, 64k, 256M, 1G with an optional b (1 K = 1,024); bytes out. */
int parse_size_bytes(const char *s, int64_t *ret_bytes, struct err *err);
/* A decimal number of CPUs such as 0.5; thousandths out. */
int parse_milli(const char *s, int64_t *ret_milli, struct err *err);

/* [a-z0-9]([a-z0-9-]{0,30}[a-z0-9])? : clusters, nodes, services. */
bool is_name(const char *s);
/* A DNS host name in lower case (RFC 1123), at most 253; `wildcard` also allows a leading "*.". */
bool is_hostname(const char *s, bool wildcard);
/* IPv4 dotted quad or IPv6, without prefix, port, zone or brackets. */
bool is_address(const char *s);
bool is_ipv4(const char *s);
/* ADDRESS/PREFIX with no bits set below the prefix. */
bool is_cidr(const char *s);
/* In 127.0.0.0/8 or ::1. */
bool is_loopback(const char *address);
/* Is the address in the prefix? Both must be valid and of one family, else false. */
bool cidr_has(const char *cidr, const char *address);

/* The candidate nearest to word (Damerau-Levenshtein, at most a third of its length), or NULL. Ends
 * in NULL. */
const char *nearest_word(const char *word, const char *const *candidates);

#endif
