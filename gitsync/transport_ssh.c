/*
 * ssh: the `ssh` program, with nothing of the machine's or a user's configuration. The key and the
 * known hosts are files that the agent has put into the worker's folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/exec.h"
#include "base/file.h"
#include "base/strvec.h"
#include "gitsync/transport.h"
#include "gitsync/worker_internal.h"

#define SAID_FILE "ssh.said"
#define SAID_MAX ((size_t)64 << 10)

struct ssh_transport {
	struct transport base;
	int fd; /* both directions */
	pid_t pid;
};

static const char *const options[] = {
	"BatchMode=yes",
	"IdentitiesOnly=yes",
	"IdentityAgent=none",
	"PreferredAuthentications=publickey",
	"StrictHostKeyChecking=yes",
	("UserKnownHostsFile=" WORKER_KNOWN_HOSTS),
	"GlobalKnownHostsFile=none",
	"UpdateHostKeys=no",
	"CheckHostIP=no",
	"ClearAllForwardings=yes",
	"PermitLocalCommand=no",
	"LogLevel=INFO",
	"SendEnv=GIT_PROTOCOL",
};

/* The words of the remote command go through a shell there. */
static void add_quoted(struct strbuf *to, const char *text)
{
	strbuf_addch(to, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '!')
			strbuf_addf(to, "'\\%c'", *text);
		else
			strbuf_addch(to, *text);
	}
	strbuf_addch(to, '\'');
}

/* url_parse() has seen to it that no part begins with a '-'. */
static void build_argv(const struct url_parts *url, enum git_service service, struct strvec *argv)
{
	CLEANUP(strbuf_release) struct strbuf command = STRBUF_INIT;
	const char *path = url->path;

	strvec_pushl(argv, "ssh", "-F", "none", "-T", "-a", "-x", "-i", WORKER_SSH_KEY, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		strvec_pushl(argv, "-o", options[i], NULL);
	if (url->port[0])
		strvec_pushl(argv, "-p", url->port, NULL);
	if (url->user[0])
		strvec_pushl(argv, "-l", url->user, NULL);
	/* ssh://HOST/~NAME/PATH is below that user's home, as git has it. */
	if (path[0] == '/' && path[1] == '~')
		path++;
	strbuf_addf(&command, "%s ", service_name(service));
	add_quoted(&command, path);
	strvec_pushl(argv, "--", url->host, command.buf, NULL);
}

static int start(const struct url_parts *url, enum git_service service, int fd, pid_t *ret_pid,
		 struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	AUTO_CLOSE int said =
		open(SAID_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int report[2];
	struct exec_plan plan;

	if (said < 0 || pipe2(report, O_CLOEXEC) < 0)
		return err_errno(err, "start ssh");
	build_argv(url, service, &argv);
	exec_default_env(&env);
	if (service == SERVICE_FETCH)
		strvec_push(&env, "GIT_PROTOCOL=version=2");
	plan = (struct exec_plan) {.argv = argv.v,
				   .env = env.v,
				   .in = fd,
				   .out = fd,
				   .errout = said,
				   .report_fd = report[1]};
	*ret_pid = fork();
	if (*ret_pid == 0)
		exec_become(&plan);
	close(report[1]);
	if (*ret_pid < 0 || exec_wait_report(report[0], "ssh", err) < 0) {
		if (*ret_pid < 0)
			err_errno(err, "start ssh");
		close(report[0]);
		return -1;
	}
	close(report[0]);
	return 0;
}

static void ssh_close(struct transport *transport)
{
	struct ssh_transport *self = (struct ssh_transport *)transport;

	cleanup_close(&self->fd);
	if (self->pid > 0) {
		kill(self->pid, SIGTERM);
		while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(self);
}

/* The last line that says something. */
static void add_last_line(struct strbuf *to, const struct strbuf *said)
{
	const char *end = said->buf + said->len, *start;

	while (end > said->buf && strchr("\r\n ", end[-1]))
		end--;
	start = end;
	while (start > said->buf && start[-1] != '\n')
		start--;
	strbuf_add(to, start, (size_t)(end - start));
}

static void host_shown(const struct url_parts *url, struct strbuf *to)
{
	if (url->port[0])
		strbuf_addf(to, "[%s]:%s", url->host, url->port);
	else
		strbuf_addstr(to, url->host);
}

static int unknown_host(const struct endpoint *endpoint, const char *host, struct err *err)
{
	const char *port = endpoint->url.port;

	return err_set(err, ERR_VERIFY,
		       "the host key of '%s' is not in '%s': have its owner tell you the "
		       "fingerprint, compare it with what `ssh-keyscan%s%s %s | ssh-keygen -lf -` "
		       "shows, and if it is the same add what `ssh-keyscan%s%s %s` prints to '%s'",
		       host, endpoint->known_hosts, port[0] ? " -p " : "", port, endpoint->url.host,
		       port[0] ? " -p " : "", port, endpoint->url.host, endpoint->known_hosts);
}

static int changed_host(const struct endpoint *endpoint, const char *host, struct err *err)
{
	return err_set(err, ERR_VERIFY,
		       "the host key of '%s' is another one than in '%s': somebody may be in "
		       "between. Ask its owner whether it was changed; if it was, remove the old "
		       "one with `ssh-keygen -R '%s' -f %s` and add the new one",
		       host, endpoint->known_hosts, host, endpoint->known_hosts);
}

/* ssh has said why on its standard error; that is the better message. */
static int explain(const struct endpoint *endpoint, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf host = STRBUF_INIT;
	struct err ignored;

	if (file_read(SAID_FILE, SAID_MAX, &said, &ignored) < 0)
		return -1;
	host_shown(&endpoint->url, &host);
	if (strstr(said.buf, "REMOTE HOST IDENTIFICATION HAS CHANGED"))
		return changed_host(endpoint, host.buf, err);
	if (strstr(said.buf, "host key is known for"))
		return unknown_host(endpoint, host.buf, err);
	if (strstr(said.buf, "Permission denied ("))
		return err_set(err, ERR_GIT,
			       "'%s' does not take this node's key: add the public half of "
			       "credentials.ssh_key there as a deploy key that may write",
			       host.buf);
	add_last_line(&line, &said);
	return line.len ? err_wrap(err, "ssh: %.300s", line.buf) : -1;
}

/* Waits for its end, so that it has said all, and explains. */
static int failed(struct ssh_transport *self, const struct endpoint *endpoint, struct err *err)
{
	cleanup_close(&self->fd);
	self->fd = -1;
	while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR)
		;
	self->pid = 0;
	return explain(endpoint, err);
}

static int ssh_open(const struct endpoint *endpoint, enum git_service service,
		    struct pkt_reader *first, struct transport **ret, struct err *err)
{
	struct ssh_transport *self;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(err, "start ssh");
	self = xcalloc(1, sizeof(*self));
	self->fd = ends[0];
	if (start(&endpoint->url, service, ends[1], &self->pid, err) < 0) {
		close(ends[1]);
		ssh_close(&self->base);
		return -1;
	}
	close(ends[1]);
	if (stream_receive(self->fd, first, err) < 0) {
		if (err->code == ERR_NETWORK)
			failed(self, endpoint, err);
		ssh_close(&self->base);
		return -1;
	}
	*ret = &self->base;
	return 0;
}

static int ssh_exchange(struct transport *transport, const struct strbuf *request,
			struct pkt_reader *answer, struct err *err)
{
	struct ssh_transport *self = (struct ssh_transport *)transport;

	if (stream_send(self->fd, request->buf, request->len, err) == 0 &&
	    (!answer || stream_receive(self->fd, answer, err) == 0))
		return 0;
	return err->code == ERR_NETWORK ? failed(self, transport->endpoint, err) : -1;
}

const struct transport_ops transport_ssh = {
	.scheme = URL_SSH,
	.open = ssh_open,
	.exchange = ssh_exchange,
	.close = ssh_close,
};
