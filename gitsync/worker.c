#include "gitsync/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "base/strvec.h"
#include "gitsync/worker_internal.h"

#define NOBODY 65534
#define PROCESSES_MAX 512
#define FILES_MAX 64
#define ERROR_TEXT_MAX (16 << 10)
/* The worker's own clock rings so much later than the caller's deadline. */
#define ALARM_GRACE_S 5

static char *program;

void worker_set_program(const char *path)
{
	free(program);
	program = xstrdup(path);
}

void worker_user(uid_t *ret_uid, gid_t *ret_gid)
{
	static const char *const names[] = {"dynia", "nobody"};

	*ret_uid = geteuid();
	*ret_gid = getegid();
	if (*ret_uid != 0)
		return;
	*ret_uid = NOBODY;
	*ret_gid = NOBODY;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct passwd *user = getpwnam(names[i]);

		if (user && user->pw_uid != 0) {
			*ret_uid = user->pw_uid;
			*ret_gid = user->pw_gid;
			return;
		}
	}
}

/* --- its folder ------------------------------------------------------------------------ */

static int open_parent(const char *path, struct worker_folder *folder, struct err *err)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *parent =
		slash && slash != path ? xstrndup(path, (size_t)(slash - path)) : NULL;

	folder->name = xstrdup(slash ? slash + 1 : path);
	folder->parent_fd = open(parent  ? parent
				 : slash ? "/"
					 : ".",
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder->parent_fd < 0 ? err_errno(err, "open the folder of '%s'", path) : 0;
}

int worker_folder_open(const char *path, uid_t uid, gid_t gid, struct worker_folder *ret,
		       struct err *err)
{
	ret->uid = uid;
	ret->gid = gid;
	if (open_parent(path, ret, err) < 0 ||
	    file_remove_tree_in(ret->parent_fd, ret->name, err) < 0)
		return -1;
	if (mkdirat(ret->parent_fd, ret->name, 0700) < 0)
		return err_errno(err, "make the folder '%s'", path);
	ret->fd =
		openat(ret->parent_fd, ret->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->fd < 0)
		return err_errno(err, "open '%s'", path);
	if (geteuid() == 0 && fchown(ret->fd, uid, gid) < 0)
		return err_errno(err, "give '%s' to the worker's user", path);
	return 0;
}

void worker_folder_close(struct worker_folder *folder)
{
	struct err ignored;

	cleanup_close(&folder->fd);
	/* What stays behind is removed by the next one. */
	if (folder->parent_fd >= 0)
		file_remove_tree_in(folder->parent_fd, folder->name, &ignored);
	cleanup_close(&folder->parent_fd);
	free(folder->name);
	*folder = (struct worker_folder)WORKER_FOLDER_INIT;
}

int worker_folder_add(struct worker_folder *folder, const char *name, const void *data, size_t len,
		      struct err *err)
{
	AUTO_CLOSE int fd = openat(folder->fd, name,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t done = 0;

	if (fd < 0)
		return err_errno(err, "make '%s' for the worker", name);
	while (done < len) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "write '%s' for the worker", name);
		done += n > 0 ? (size_t)n : 0;
	}
	if (geteuid() == 0 && fchown(fd, folder->uid, folder->gid) < 0)
		return err_errno(err, "give '%s' to the worker's user", name);
	return 0;
}

/* --- running it ------------------------------------------------------------------------ */

static char *request_text(const struct worker_call *call)
{
	json_t *whole =
		json_pack("{s:s,s:O}", "operation", call->operation, "request", call->request);
	char *text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;

	json_decref(whole);
	return text;
}

static void wipe_free(char **text)
{
	if (*text) {
		explicit_bzero(*text, strlen(*text));
		free(*text);
	}
}

/* The answer ends with "done\n" or "error CODE TEXT\n"; what came before is the caller's. */
static int take_verdict(struct strbuf *answer, struct err *err)
{
	size_t end = answer->len;
	const char *line;
	char *rest;
	long code;

	if (answer->overflow)
		return err_set(err, ERR_LIMIT, "the worker's answer is too long");
	if (end == 0 || answer->buf[end - 1] != '\n' || strlen(answer->buf) != end)
		return err_set(err, ERR_SYSTEM, "the worker's answer is cut off");
	strbuf_setlen(answer, end - 1);
	line = strrchr(answer->buf, '\n');
	line = line ? line + 1 : answer->buf;
	if (strcmp(line, WORKER_DONE) == 0) {
		strbuf_setlen(answer, (size_t)(line - answer->buf));
		return 0;
	}
	if (strncmp(line, WORKER_ERROR, strlen(WORKER_ERROR)) != 0)
		return err_set(err, ERR_SYSTEM, "the worker's answer is cut off");
	code = strtol(line + strlen(WORKER_ERROR), &rest, 10);
	if (code <= ERR_NONE || code > ERR_LIMIT || *rest != ' ')
		return err_set(err, ERR_SYSTEM, "the worker's answer cannot be read");
	return err_set(err, (enum err_code)code, "%s", rest + 1);
}

/* What a worker says that did not get as far as an answer. */
static int ended_early(const struct process_result *res, struct err *err)
{
	const char *said = res->errout.buf;

	if (res->status == 128 + SIGXCPU || res->status == 128 + SIGKILL)
		return err_set(err, ERR_LIMIT,
			       "the worker was ended: it used more processor time than it may");
	if (res->status == 128 + SIGABRT || strstr(said, "out of memory"))
		return err_set(err, ERR_LIMIT, "the worker was ended: it needs more than %zu MiB",
			       WORKER_MEMORY_BYTES >> 20);
	return err_set(err, ERR_SYSTEM, "the worker ended early, with status %d%s%.300s",
		       res->status, *said ? ": " : "", said);
}

static int start_and_wait(const struct worker_call *call, int program_fd, char *const *env,
			  const char *text, struct process_result *res, struct err *err)
{
	char arg0[] = "dynia", arg1[] = "worker";
	char *argv[] = {arg0, arg1, NULL};
	unsigned deadline_s = (unsigned)call->deadline_ms / 1000 + 1;
	const struct process_rights rights = {
		.uid = call->folder->uid,
		.gid = call->folder->gid,
		.memory_bytes = WORKER_MEMORY_BYTES,
		.file_bytes = WORKER_FILE_BYTES,
		.cpu_s = deadline_s + ALARM_GRACE_S,
		.processes = PROCESSES_MAX,
		.files = FILES_MAX,
		.alarm_s = deadline_s + ALARM_GRACE_S,
	};
	const struct process_spec spec = {
		.argv = argv,
		.env = env,
		.stdin_data = text,
		.stdin_len = strlen(text),
		.timeout_ms = call->deadline_ms,
		.capture_limit = WORKER_ANSWER_BYTES,
		.try_pid_namespace = geteuid() == 0,
		.program_fd = program_fd,
		.cwd = "/",
		.cwd_fd = call->folder->fd < 0 ? 0 : call->folder->fd,
		.keep_fd = call->objects_fd < 0 ? 0 : call->objects_fd,
		.rights = &rights,
	};
	return process_run_until(&spec, res, err);
}

int worker_run(const struct worker_call *call, struct strbuf *ret_answer, struct err *err)
{
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	CLEANUP(wipe_free) char *text = request_text(call);
	AUTO_CLOSE int program_fd = -1;
	int ran;

	if (!program)
		return err_set(err, ERR_SYSTEM, "this process may not start a worker");
	if (!text)
		return err_set(err, ERR_SYSTEM, "the worker's request is no JSON");
	program_fd = open(program, O_PATH | O_CLOEXEC);
	if (program_fd < 0)
		return err_errno(err, "open '%s'", program);
	/* Its current folder is its home: paths to it may be closed to its user. */
	strvec_pushl(&env, "PATH=/usr/local/bin:/usr/bin:/bin",
		     call->folder->fd < 0 ? "HOME=/nonexistent" : "HOME=.", "LANG=C", NULL);
	ran = start_and_wait(call, program_fd, env.v, text, &res, err);
	if (ran < 0)
		return -1;
	if (ran > 0)
		return err_set(err, ERR_NETWORK, "did not answer within %g s",
			       call->deadline_ms / 1000.0);
	if (res.status != 0 && res.status != 1)
		return ended_early(&res, err);
	if (take_verdict(&res.out, err) < 0)
		return -1;
	strbuf_add(ret_answer, res.out.buf, res.out.len);
	return 0;
}
