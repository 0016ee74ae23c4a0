#include "gitsync/verify_run.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/operations.h"
#include "gitsync/verify.h"
#include "gitsync/worker.h"
#include "gitsync/worker_internal.h"

#define FOLDER_SUFFIX ".verify"
#define ANSWER_GOOD "good "
#define ANSWER_REFUSED "refused "

/* --- in the worker ------------------------------------------------------------------- */

static void repository_freep(git_repository **p)
{
	git_repository_free(*p);
}

static int read_signers(const json_t *request, struct strbuf *text, const char **ret,
			struct err *err)
{
	*ret = NULL;
	if (!json_is_true(json_object_get(request, "signers")))
		return 0;
	if (file_read(VERIFY_SIGNERS, SIGNERS_SIZE_MAX, text, err) < 0)
		return -1;
	if (strlen(text->buf) != text->len)
		return err_set(err, ERR_CONFIG, "the list of signers has a NUL byte in it");
	*ret = text->buf;
	return 0;
}

int operation_verify(const json_t *request, struct strbuf *answer, struct err *err)
{
	CLEANUP(repository_freep) git_repository *repo = NULL;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct verify_job job = {
		.base = json_string_value(json_object_get(request, "base")),
		.has_keyring = json_is_true(json_object_get(request, "keyring")),
	};
	struct verify_verdict verdict;

	if (request_text_of(request, "tip", &job.tip, err) < 0 || gitsync_init(err) < 0 ||
	    read_signers(request, &text, &job.signers, err) < 0 || job_open_objects(&repo, err) < 0)
		return -1;
	job.repo = repo;
	if (verify_commits(&job, &verdict, err) < 0)
		return -1;
	if (verdict.reason)
		strbuf_addf(answer, ANSWER_REFUSED "%s %d %s\n", verdict.reason,
			    (int)verdict.why.code, verdict.why.msg);
	else
		strbuf_addf(answer, ANSWER_GOOD "%zu\n", verdict.commits);
	return 0;
}

/* --- in the agent -------------------------------------------------------------------- */

/* "refused REASON CODE TEXT" */
static int parse_refusal(const char *line, struct pool *pool, struct verify_answer *ret)
{
	size_t len = strcspn(line, " ");
	char *rest;
	long code;

	if (line[len] != ' ')
		return -1;
	code = strtol(line + len + 1, &rest, 10);
	if (*rest != ' ' || (code != ERR_VERIFY && code != ERR_LIMIT))
		return -1;
	ret->reason = pool_memdup(pool, line, len);
	err_set(&ret->why, (enum err_code)code, "%s", rest + 1);
	return 0;
}

static int parse_answer(struct strbuf *answer, struct pool *pool, struct verify_answer *ret,
			struct err *err)
{
	char *end;

	strbuf_trim(answer);
	memset(ret, 0, sizeof(*ret));
	if (strncmp(answer->buf, ANSWER_GOOD, strlen(ANSWER_GOOD)) == 0) {
		ret->commits = strtoul(answer->buf + strlen(ANSWER_GOOD), &end, 10);
		if (*end == '\0')
			return 0;
	} else if (strncmp(answer->buf, ANSWER_REFUSED, strlen(ANSWER_REFUSED)) == 0 &&
		   parse_refusal(answer->buf + strlen(ANSWER_REFUSED), pool, ret) == 0) {
		return 0;
	}
	return err_set(err, ERR_SYSTEM, "the worker's answer cannot be read");
}

static void json_freep(json_t **p)
{
	json_decref(*p);
}

static int add_files(const struct verify_request *request, struct worker_folder *folder,
		     struct err *err)
{
	if (request->signers && worker_folder_add(folder, VERIFY_SIGNERS, request->signers->buf,
						  request->signers->len, err) < 0)
		return -1;
	return request->keyring ? worker_folder_add(folder, VERIFY_KEYRING, request->keyring->buf,
						    request->keyring->len, err)
				: 0;
}

int mirror_verify(struct mirror *m, const struct verify_request *request, struct pool *pool,
		  struct verify_answer *ret, struct err *err)
{
	CLEANUP(worker_folder_close) struct worker_folder folder = WORKER_FOLDER_INIT;
	CLEANUP(strbuf_release) struct strbuf answer = STRBUF_INIT;
	CLEANUP(json_freep) json_t *json = NULL;
	AUTO_FREE char *path = xasprintf("%s" FOLDER_SUFFIX, m->path);
	AUTO_FREE char *objects = xasprintf("%s/objects", m->path);
	AUTO_CLOSE int objects_fd = open(objects, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct worker_call call = {
		.operation = "verify",
		.folder = &folder,
		.objects_fd = objects_fd,
		.deadline_ms = request->deadline_ms,
	};
	uid_t uid;
	gid_t gid;

	worker_user(&uid, &gid);
	if (objects_fd < 0)
		return err_errno(err, "open '%s'", objects);
	if (worker_folder_open(path, uid, gid, &folder, err) < 0 ||
	    add_files(request, &folder, err) < 0)
		return -1;
	json = json_pack("{ss sb sb ss*}", "tip", request->tip, "signers", request->signers != NULL,
			 "keyring", request->keyring != NULL, "base", request->base);
	call.request = json;
	if (worker_run(&call, &answer, err) < 0)
		return err_wrap(err, "verify the signatures up to %.7s", request->tip);
	return parse_answer(&answer, pool, ret, err);
}
