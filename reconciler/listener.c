#include "reconciler/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/exec.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/rights.h"
#include "reconciler/listener_serve.h"

/* nobody and nogroup, on Debian and Ubuntu. */
#define NOBODY 65534
/* P_PIDFD of the kernel, which glibc names since 2.36. */
#define WAIT_PIDFD ((idtype_t)3)
#define RESTART_MS 1000
#define RETRY_MS 2000
#define END_MS 5000
#define BACKLOG 128
/* Connections, the others' nodes, and a few. */
#define FILES_MAX 1024
#define MEMORY_MAX ((size_t)256 << 20)
#define TOKENS_MAX 5.0
#define TOKENS_A_SECOND 0.5

/* --- the address --------------------------------------------------------------------- */

static int bind_to(const char *listen_on, int *ret_port, struct err *err)
{
	const char *colon = strrchr(listen_on, ':');
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	bool is_v6 = listen_on[0] == '[';
	const struct sockaddr *at =
		is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
	char address[64];
	size_t len = (size_t)(colon - listen_on) - (is_v6 ? 2 : 0);
	AUTO_CLOSE int fd = -1;
	int on = 1;

	memcpy(address, listen_on + is_v6, len);
	address[len] = '\0';
	*ret_port = (int)strtol(colon + 1, NULL, 10);
	v4.sin_port = v6.sin6_port = htons((uint16_t)*ret_port);
	inet_pton(is_v6 ? AF_INET6 : AF_INET, address,
		  is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr);
	fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, at, is_v6 ? sizeof(v6) : sizeof(v4)) < 0 || listen(fd, BACKLOG) < 0)
		return err_errno(err, "listen on %s", listen_on);
	return STEAL_FD(fd);
}

/* --- in the children ----------------------------------------------------------------- */

/* The agent's death is its own. A parent that died before the signal for it was asked for is seen by its number. */
static void end_without(pid_t parent)
{
	if (getppid() != parent)
		_exit(1);
}

/* From here on no file can be opened, made or executed, whoever owns it (landlock(7)). */
static bool lock_files(void)
{
	const struct landlock_ruleset_attr all = {
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	};
	AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);

	return rules >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_landlock_restrict_self, rules, 0) == 0;
}

/* As a unit that may not call chroot(2), it has the other lock; with neither it does not serve. */
static bool enter_jail(const char *jail)
{
	if (chroot(jail) == 0)
		return chdir("/") == 0;
	return errno == EPERM && lock_files();
}

static bool give_up_rights(const char *jail)
{
	const struct process_rights rights = {.uid = NOBODY, .gid = NOBODY, .files = FILES_MAX};

	return (geteuid() != 0 || enter_jail(jail)) && rights_give_up(&rights) == 0 &&
	       prctl(PR_SET_DUMPABLE, 0) == 0;
}

/* Nothing that the agent has open crosses over: not its lock, its root, or a journal. */
static bool keep_only(int *a, int *b)
{
	int high_a = fcntl(*a, F_DUPFD_CLOEXEC, STDERR_FILENO + 3);
	int high_b = fcntl(*b, F_DUPFD_CLOEXEC, STDERR_FILENO + 3);

	if (high_a < 0 || high_b < 0 || dup3(high_a, STDERR_FILENO + 1, O_CLOEXEC) < 0 ||
	    dup3(high_b, STDERR_FILENO + 2, O_CLOEXEC) < 0)
		return false;
	*a = STDERR_FILENO + 1;
	*b = STDERR_FILENO + 2;
	return syscall(SYS_close_range, STDERR_FILENO + 3, ~0U, 0) == 0;
}

static _Noreturn void serve(struct listener_server *server, pid_t keeper)
{
	/* With the keeper there are two already: it can start none. */
	const struct process_rights rights = {.uid = NOBODY,
					      .gid = NOBODY,
					      .memory_bytes = MEMORY_MAX,
					      .file_bytes = MEMORY_MAX,
					      .processes = 1,
					      .files = FILES_MAX};

	if (rights_give_up(&rights) < 0)
		_exit(1);
	end_without(keeper);
	listener_serve(server);
	_exit(1);
}

/* Starts the server again whenever it ends, and does nothing else. */
static _Noreturn void keep(const struct listener *listener, int pass_fd, int port, pid_t agent)
{
	struct listener_server server = {
		.config = &listener->config,
		.board = listener->board,
		.socket = listener->socket,
		.pass_fd = pass_fd,
		.port = port,
	};
	pid_t self = getpid();

	exec_reset_signals();
	signal(SIGPIPE, SIG_IGN);
	notify_release();
	if (!keep_only(&server.socket, &server.pass_fd) || !give_up_rights(listener->config.jail)) {
		log_error("the listener cannot give up its rights: %s", strerrorname_np(errno));
		_exit(1);
	}
	end_without(agent);
	for (;;) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0)
			serve(&server, self);
		if (pid < 0 || (waitpid(pid, &status, 0) < 0 && errno != EINTR))
			_exit(1);
		log_warn("the listener ended with status %d: it is started again",
			 WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
		clock_sleep_ms(RESTART_MS);
	}
}

/* --- in the agent -------------------------------------------------------------------- */

static int start_keeper(struct listener *l, int port, struct err *err)
{
	sigset_t before;
	pid_t agent = getpid(), pid;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(err, "make a pipe to the listener");
	exec_block_signals(&before);
	pid = fork();
	if (pid == 0)
		keep(l, fds[1], port, agent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	l->pass_fd = fds[0];
	l->started_ms = clock_ms();
	if (pid > 0)
		l->keeper_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return l->keeper_fd < 0 ? err_errno(err, "start the listener") : 0;
}

static void end_keeper(struct listener *l)
{
	struct pollfd gone = {.fd = l->keeper_fd, .events = POLLIN};

	if (l->keeper_fd >= 0 &&
	    syscall(SYS_pidfd_send_signal, l->keeper_fd, SIGKILL, NULL, 0) == 0)
		poll(&gone, 1, END_MS);
	if (l->keeper_fd >= 0)
		waitid(WAIT_PIDFD, (id_t)l->keeper_fd, &(siginfo_t) {0}, WEXITED | WNOHANG);
	cleanup_close(&l->keeper_fd);
	l->keeper_fd = -1;
	cleanup_close(&l->pass_fd);
	l->pass_fd = -1;
}

int listener_open(struct listener *l, const struct listener_config *config, struct err *err)
{
	l->config = *config;
	l->tokens = TOKENS_MAX;
	l->tokens_ms = clock_ms();
	l->board = board_make(err);
	return l->board ? listener_keep(l, err) : -1;
}

/* Both processes are gone when nobody has the pipe's other end any more. */
static bool is_gone(const struct listener *l)
{
	struct pollfd fd = {.fd = l->pass_fd, .events = 0};

	return l->pass_fd < 0 || (poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR)));
}

int listener_keep(struct listener *l, struct err *err)
{
	const char *colon = strrchr(l->config.listen, ':');
	int port = (int)strtol(colon + 1, NULL, 10);

	if (!l->board || !is_gone(l))
		return 0;
	if (l->started_ms && clock_ms() - l->started_ms < RESTART_MS)
		return 0;
	end_keeper(l);
	if (l->socket < 0)
		l->socket = bind_to(l->config.listen, &port, err);
	if (l->socket < 0)
		return -1;
	return start_keeper(l, port, err);
}

void listener_close(struct listener *l)
{
	end_keeper(l);
	cleanup_close(&l->socket);
	board_free(l->board);
	*l = (struct listener)LISTENER_INIT;
}

static void refill(struct listener *l)
{
	int64_t now_ms = clock_ms();

	l->tokens += (double)(now_ms - l->tokens_ms) / 1000 * TOKENS_A_SECOND;
	l->tokens = l->tokens < TOKENS_MAX ? l->tokens : TOKENS_MAX;
	l->tokens_ms = now_ms;
}

int listener_poll_fd(struct listener *l)
{
	refill(l);
	return l->tokens >= 1 ? l->pass_fd : -1;
}

int listener_wait_ms(struct listener *l)
{
	refill(l);
	if (l->board && l->pass_fd < 0)
		return RETRY_MS;
	if (l->pass_fd < 0 || l->tokens >= 1)
		return -1;
	return (int)((1 - l->tokens) / TOKENS_A_SECOND * 1000) + 1;
}

bool listener_heard(struct listener *l)
{
	char said[4096];
	bool heard = false;
	ssize_t n;

	while ((n = read(l->pass_fd, said, sizeof(said))) > 0)
		heard = true;
	if (n == 0) {
		/* Nobody is there; listener_keep() starts it again. */
		cleanup_close(&l->pass_fd);
		l->pass_fd = -1;
	}
	l->tokens -= heard;
	return heard;
}
