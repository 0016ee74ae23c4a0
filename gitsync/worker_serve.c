/* The worker's side: reads the one request, and runs its row of the table. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "gitsync/worker.h"
#include "gitsync/worker_internal.h"

#define REQUEST_MAX ((size_t)4 << 20)

static const struct operation {
	const char *name;
	int (*run)(const json_t *request, struct strbuf *answer, struct err *err);
} operations[] = {
	{"list", operation_list}, {"fetch", operation_fetch},   {"index", operation_index},
	{"push", operation_push}, {"verify", operation_verify},
};

static void json_freep(json_t **p)
{
	json_decref(*p);
}

int request_text_of(const json_t *request, const char *key, const char **ret, struct err *err)
{
	*ret = json_string_value(json_object_get(request, key));
	return *ret ? 0 : err_set(err, ERR_SYSTEM, "the worker's request has no '%s'", key);
}

static int read_request(struct strbuf *text, struct err *err)
{
	char chunk[16384];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno != EINTR)
			return err_errno(err, "read the request");
		if (n > 0)
			strbuf_add(text, chunk, (size_t)n);
	}
	return text->overflow ? err_set(err, ERR_LIMIT, "the worker's request is too long") : 0;
}

static int run(struct strbuf *answer, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_LIMITED(REQUEST_MAX);
	CLEANUP(json_freep) json_t *whole = NULL;
	const char *name;

	if (read_request(&text, err) < 0)
		return -1;
	whole = json_loadb(text.buf, text.len, 0, NULL);
	explicit_bzero(text.buf, text.len);
	if (!whole)
		return err_set(err, ERR_USAGE,
			       "this command is the agent's own: it takes its request from it");
	if (request_text_of(whole, "operation", &name, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (strcmp(operations[i].name, name) == 0)
			return operations[i].run(json_object_get(whole, "request"), answer, err);
	}
	return err_set(err, ERR_SYSTEM, "a worker knows no operation '%s'", name);
}

/* As PID 1 of a namespace it would not even notice a signal that it has no handler for. */
static void end_now(int sig)
{
	_exit(128 + sig);
}

static void handle_signals(void)
{
	static const int ends[] = {SIGTERM, SIGALRM, SIGXCPU, SIGINT};
	const struct sigaction action = {.sa_handler = end_now};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaction(ends[i], &action, NULL);
	/* A limit on files, and a server that closes, are errors of write(2). */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

int worker_serve(void)
{
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;
	struct err err = {0};
	int failed;

	handle_signals();
	/* Others of the same user may not look into its memory, which may hold a token. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	failed = run(&answer, &err);
	if (failed) {
		/* A message is one line: err_set() sees to it. */
		strbuf_clear(&answer);
		strbuf_addf(&answer, WORKER_ERROR "%d %s\n", (int)err.code, err.msg);
	} else {
		strbuf_addstr(&answer, WORKER_DONE "\n");
	}
	for (size_t done = 0; done < answer.len;) {
		ssize_t n = write(STDOUT_FILENO, answer.buf + done, answer.len - done);

		if (n < 0 && errno != EINTR)
			return 2;
		done += n > 0 ? (size_t)n : 0;
	}
	return failed ? 1 : 0;
}
