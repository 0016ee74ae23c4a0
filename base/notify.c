#include "base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/strbuf.h"

/* Of the time that the watchdog waits, one part: two may get lost. */
#define WATCHDOG_PARTS 3
#define MESSAGE_MAX 1000

/* As the log's: settings of the process, made once. */
static struct {
	int fd;                 /* connected to the manager's socket; -1: nobody listens */
	pid_t pid;              /* who speaks: a child's words would be refused, and logged */
	int64_t alive_every_ms; /* 0: there is no watchdog */
	int64_t alive_last_ms;
} manager = {.fd = -1};

static int send_text(const char *text)
{
	if (manager.pid != getpid())
		return 0;
	/* No word of these is worth waiting or dying for. */
	return send(manager.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

static int open_socket(const char *path, struct err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	AUTO_CLOSE int fd = -1;

	if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return err_set(err, ERR_SYSTEM, "NOTIFY_SOCKET '%s' is no socket's name", path);
	memcpy(to.sun_path, path, len);
	/* An abstract name, which no file bears. */
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return err_errno(err, "reach the service manager at '%s'", path);
	manager.fd = STEAL_FD(fd);
	manager.pid = getpid();
	return 0;
}

/* WATCHDOG_PID names the process that is meant, where it is not whoever reads it. */
static bool is_watched(void)
{
	const char *pid = getenv("WATCHDOG_PID");

	return !pid || strtol(pid, NULL, 10) == (long)getpid();
}

static int64_t watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");

	return usec && is_watched() ? strtoll(usec, NULL, 10) / 1000 : 0;
}

int notify_setup(struct err *err)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int64_t watchdog = watchdog_ms();
	int failed = path ? open_socket(path, err) : 0;

	manager.alive_every_ms = path && !failed ? watchdog / WATCHDOG_PARTS : 0;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return failed;
}

void notify_release(void)
{
	if (manager.fd >= 0)
		close(manager.fd);
	manager.fd = -1;
	manager.alive_every_ms = 0;
	manager.alive_last_ms = 0;
}

int notify_ready(struct err *err)
{
	if (manager.fd >= 0 && send_text("READY=1") < 0)
		return err_errno(err, "tell the service manager that it has started");
	return 0;
}

void notify_status(const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_LIMITED(MESSAGE_MAX);
	va_list ap;

	if (manager.fd < 0)
		return;
	strbuf_addstr(&text, "STATUS=");
	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	/* One line: the next would be a message of its own. */
	text.buf[strcspn(text.buf, "\n")] = '\0';
	send_text(text.buf);
}

void notify_stopping(void)
{
	if (manager.fd >= 0)
		send_text("STOPPING=1");
}

void notify_alive(void)
{
	int64_t now;

	if (!manager.alive_every_ms)
		return;
	now = clock_ms();
	if (manager.alive_last_ms && now - manager.alive_last_ms < manager.alive_every_ms)
		return;
	/* Where it could not be said, it is tried again at once. */
	if (send_text("WATCHDOG=1") == 0)
		manager.alive_last_ms = now;
}

int notify_wait_ms(int64_t wait_ms)
{
	int64_t most = INT32_MAX;

	notify_alive();
	if (manager.alive_every_ms) {
		most = manager.alive_last_ms + manager.alive_every_ms - clock_ms();
		most = most < 1 ? 1 : most;
	} else if (wait_ms < 0) {
		return -1;
	}
	return (int)(wait_ms < 0 || wait_ms > most ? most : wait_ms);
}
