/* node_facts.c: which of a machine's addresses is the node's. */
#include "reconciler/node_facts.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

#define MOST 8

struct entry {
	const char *interface;
	const char *address; /* NULL: of another family */
};

static void check(const struct entry *entries, const char *want)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct ifaddrs list[MOST] = {0};
	struct sockaddr_in in[MOST] = {0};
	const char *got;
	size_t n = 0;

	for (; entries[n].interface; n++) {
		in[n].sin_family = entries[n].address ? AF_INET : AF_PACKET;
		if (entries[n].address)
			assert_int_equal(inet_pton(AF_INET, entries[n].address, &in[n].sin_addr),
					 1);
		list[n].ifa_name = (char *)entries[n].interface;
		list[n].ifa_addr = (struct sockaddr *)&in[n];
		if (n)
			list[n - 1].ifa_next = &list[n];
	}
	got = machine_address(list, pool);
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void test_the_address_of_a_node(void **unused)
{
	(void)unused;
	/* One network. */
	check((const struct entry[]) {{"lo", "127.0.0.1"}, {"eth0", "192.168.7.5"}, {0}},
	      "192.168.7.5");
	/* A droplet: an anchor address beside the public one, the VPC on an interface of its own. */
	check((const struct entry[]) {{"lo", NULL},
				      {"lo", "127.0.0.1"},
				      {"eth0", "203.0.113.7"},
				      {"eth0", "10.15.0.5"},
				      {"eth1", "10.108.0.2"},
				      {0}},
	      "10.108.0.2");
	check((const struct entry[]) {{"eth0", "10.15.0.5"},
				      {"eth0", "203.0.113.7"},
				      {"eth1", "10.108.0.2"},
				      {0}},
	      "10.108.0.2");
	/* Rather that one than none. */
	check((const struct entry[]) {{"eth0", "203.0.113.7"}, {"eth0", "10.15.0.5"}, {0}},
	      "10.15.0.5");
	/* An address that nobody gave the interface is no public one. */
	check((const struct entry[]) {{"eth0", "169.254.8.8"}, {"eth0", "172.16.0.9"}, {0}},
	      "172.16.0.9");
	/* Docker's are nobody's. */
	check((const struct entry[]) {{"docker0", "172.17.0.1"},
				      {"br-0deb9186300d", "172.20.0.1"},
				      {"eth0", "10.0.0.4"},
				      {0}},
	      "10.0.0.4");
	check((const struct entry[]) {{"docker0", "172.17.0.1"}, {"eth0", "203.0.113.7"}, {0}},
	      NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_address_of_a_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
