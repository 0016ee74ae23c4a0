/* A network namespace for the whole test program: every address and port in it is free, whatever else runs on the machine.
 * Needs root. */
#ifndef TESTS_UNIT_OWN_NETWORK_H
#define TESTS_UNIT_OWN_NETWORK_H

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* First of all in main(): what is opened before stays in the old network. False, and said, where it cannot be had. */
static inline bool enter_own_network(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	AUTO_CLOSE int fd = -1;

	if (unshare(CLONE_NEWNET) == 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &loopback) == 0)
		return true;
	perror("a network of the test's own");
	return false;
}

#endif
