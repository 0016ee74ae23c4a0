/*
 * What a child process gives up before it does its work: another user, no capabilities, no
 * way to get any of it back, and limits on what it may use.
 *
 *	struct process_rights rights = {.uid = 65534, .gid = 65534, .memory_bytes = 256 << 20, …};
 *	struct process_spec spec = {.argv = argv.v, .rights = &rights, …};     base/process.h
 *	if (rights_give_up(&rights) < 0) _exit(1);      the same after a fork(2) alone
 *
 * The user is changed where the caller is root; who is not root stays who he is. A limit of 0 is
 * not set.
 */
#ifndef BASE_RIGHTS_H
#define BASE_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

struct process_rights {
	uid_t uid;
	gid_t gid;
	size_t memory_bytes; /* of address space; not in a build with the address sanitizer */
	size_t file_bytes;   /* of any one file */
	unsigned cpu_s;
	unsigned processes; /* of that user on the whole machine */
	unsigned files;     /* open at once */
	unsigned alarm_s;   /* SIGALRM after so long, whatever the caller does meanwhile */
};

/* In the child: gives all of it up. -1 with errno; the child must not go on then. */
int rights_give_up(const struct process_rights *rights);

#endif
