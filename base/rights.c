#include "base/rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More than any kernel has. */
#define CAPABILITIES_MAX 64

static int set_limit(int what, size_t most)
{
	const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};

	return setrlimit(what, &limit);
}

static int set_limits(const struct process_rights *rights)
{
	if (set_limit(RLIMIT_CORE, 0) < 0)
		return -1;
#ifndef __SANITIZE_ADDRESS__
	if (rights->memory_bytes && set_limit(RLIMIT_AS, rights->memory_bytes) < 0)
		return -1;
#endif
	if (rights->file_bytes && set_limit(RLIMIT_FSIZE, rights->file_bytes) < 0)
		return -1;
	if (rights->cpu_s && set_limit(RLIMIT_CPU, rights->cpu_s) < 0)
		return -1;
	if (rights->processes && set_limit(RLIMIT_NPROC, rights->processes) < 0)
		return -1;
	if (rights->files && set_limit(RLIMIT_NOFILE, rights->files) < 0)
		return -1;
	return 0;
}

/* Without the bounding set not even root regains a capability from execve(2). */
static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; cap < CAPABILITIES_MAX; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return -1;
	}
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return (int)syscall(SYS_capset, &header, none);
}

int rights_give_up(const struct process_rights *rights)
{
	umask(077);
	if (set_limits(rights) < 0)
		return -1;
	if (geteuid() == 0 && (drop_bounding_set() < 0 || setgroups(0, NULL) < 0 ||
			       setresgid(rights->gid, rights->gid, rights->gid) < 0 ||
			       setresuid(rights->uid, rights->uid, rights->uid) < 0))
		return -1;
	if (drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -1;
	if (rights->alarm_s)
		alarm(rights->alarm_s);
	return 0;
}
