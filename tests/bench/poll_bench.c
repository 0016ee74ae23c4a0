/* poll_bench URL CA BRANCH OWN_REF N: polls an https server N times on one connection, and prints the processor seconds of one poll. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "gitsync/poll.h"

static enum ref_interest wants(const void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return REF_WANTED;
}

static double processor_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int ask(struct poller *poller, const struct remote *remote, const char *const *prefixes)
{
	CLEANUP(ls_refs_release) struct ls_refs refs = {.wants = wants};
	struct err err = {0};
	int rc = poller_ask(poller, remote, prefixes, 2, &refs, &err);

	if (rc == 1 && refs.n == 2)
		return 0;
	fprintf(stderr, "poll: %d, %zu refs: %s\n", rc, refs.n, err.msg);
	return -1;
}

int main(int argc, char **argv)
{
	struct poller *poller = poller_new();
	struct remote remote = {.deadline_ms = 60000};
	struct err err = {0};
	int64_t n = 0;
	double began = 0;

	if (argc != 6 || parse_int(argv[5], 1, 1000000, &n, &err) < 0) {
		fprintf(stderr, "usage: poll_bench URL CA BRANCH_REF OWN_REF N\n");
		return 2;
	}
	remote.url = argv[1];
	remote.ca_file = argv[2];
	/* The first one connects. */
	for (int64_t i = 0; i <= n; i++) {
		if (ask(poller, &remote, (const char *const[]) {argv[3], argv[4]}) < 0)
			return 1;
		if (i == 0)
			began = processor_s();
	}
	printf("%.9f\n", (processor_s() - began) / (double)n);
	poller_free(poller);
	return 0;
}
