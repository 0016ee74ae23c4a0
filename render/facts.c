#include "render/facts.h"

#include <string.h>

#include "base/parse.h"

struct facts facts_elsewhere(const char *root)
{
	return (struct facts) {
		.root = root,
		.program = "/usr/bin/dynia",
		.ipv6 = true,
		.certificates = "",
	};
}

const char *facts_address(const struct facts *facts, const struct node *node)
{
	if (node->address)
		return node->address;
	for (size_t i = 0; i < facts->n_peers; i++)
		if (strcmp(facts->peers[i].name, node->name) == 0)
			return facts->peers[i].address;
	return NULL;
}

const char *facts_loopback(const struct facts *facts, const struct node *node)
{
	const char *address = facts_bind_address(facts, node);

	return address ? address : "127.0.0.1";
}

const char *facts_bind_address(const struct facts *facts, const struct node *node)
{
	const char *address = facts_address(facts, node);

	return address && is_loopback(address) ? address : NULL;
}

int64_t facts_port(const struct facts *facts, const struct service *service)
{
	for (size_t i = 0; i < facts->n_moved; i++)
		if (strcmp(facts->moved[i].name, service->name) == 0)
			return facts->moved[i].port;
	return service->publish;
}
