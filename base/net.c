/* The part of base/parse.h that is about addresses. */
#include "base/parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

struct address {
	int family;
	unsigned char bytes[sizeof(struct in6_addr)];
	unsigned bits; /* 32 or 128 */
};

static bool read_address(const char *s, struct address *ret)
{
	if (inet_pton(AF_INET, s, ret->bytes) == 1) {
		ret->family = AF_INET;
		ret->bits = 32;
		return true;
	}
	ret->family = AF_INET6;
	ret->bits = 128;
	return inet_pton(AF_INET6, s, ret->bytes) == 1;
}

/* Decimal, no leading zeros, at most max. */
static bool read_prefix(const char *s, unsigned max, unsigned *ret)
{
	size_t len = strlen(s);
	unsigned value = 0;

	if (len == 0 || len > 3 || (len > 1 && s[0] == '0'))
		return false;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		value = value * 10 + (unsigned)(*s - '0');
	}
	*ret = value;
	return value <= max;
}

static bool bit(const struct address *address, unsigned i)
{
	return address->bytes[i / 8] >> (7 - i % 8) & 1;
}

static bool read_cidr(const char *s, struct address *ret, unsigned *ret_prefix)
{
	char text[INET6_ADDRSTRLEN];
	const char *slash = strchr(s, '/');

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return false;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	if (!read_address(text, ret) || !read_prefix(slash + 1, ret->bits, ret_prefix))
		return false;
	for (unsigned i = *ret_prefix; i < ret->bits; i++) {
		if (bit(ret, i))
			return false;
	}
	return true;
}

bool is_address(const char *s)
{
	struct address address;

	return read_address(s, &address);
}

bool is_ipv4(const char *s)
{
	struct address address;

	return read_address(s, &address) && address.family == AF_INET;
}

bool is_cidr(const char *s)
{
	struct address address;
	unsigned prefix;

	return read_cidr(s, &address, &prefix);
}

bool is_loopback(const char *address)
{
	return cidr_has("127.0.0.0/8", address) || cidr_has("::1/128", address);
}

bool cidr_has(const char *cidr, const char *address)
{
	struct address net;
	struct address host;
	unsigned prefix;

	if (!read_cidr(cidr, &net, &prefix) || !read_address(address, &host) ||
	    net.family != host.family)
		return false;
	for (unsigned i = 0; i < prefix; i++) {
		if (bit(&net, i) != bit(&host, i))
			return false;
	}
	return true;
}
