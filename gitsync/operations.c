/* The worker's operations on a remote: the request is read here, and a row of a table does it. */
#include "gitsync/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <git2/sys/repository.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "gitsync/git_error.h"
#include "gitsync/internal.h"
#include "gitsync/local.h"
#include "gitsync/refs.h"
#include "gitsync/smart.h"
#include "gitsync/worker.h"
#include "gitsync/worker_internal.h"

static const struct way {
	enum url_scheme scheme;
	int (*list)(const struct job *job, struct ls_refs *ret, struct err *err);
	int (*fetch)(const struct job *job, struct ls_refs *ret, struct err *err);
	int (*push)(const struct job *job, const char *ref, const char *oid, struct err *err);
} ways[] = {
	{URL_HTTPS, smart_list, smart_fetch, smart_push},
	{URL_SSH, smart_list, smart_fetch, smart_push},
	{URL_GIT, smart_list, smart_fetch, smart_push},
	{URL_FILE, local_list, local_fetch, local_push},
};

static const struct way *way_of(const struct job *job)
{
	size_t i = 0;

	while (ways[i].scheme != job->endpoint.url.scheme)
		i++;
	return &ways[i];
}

static const char *optional(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

static int job_init(struct job *job, const json_t *request, struct pool *pool, struct err *err)
{
	const char *url;

	job->pool = pool;
	if (request_text_of(request, "url", &url, err) < 0 ||
	    request_text_of(request, "cluster", &job->cluster, err) < 0 ||
	    url_parse(url, pool, &job->endpoint.url, err) < 0)
		return -1;
	job->branch = optional(request, "branch");
	job->branch_ref = job->branch ? pool_printf(pool, HEADS_PREFIX "%s", job->branch) : NULL;
	job->own_ref = optional(request, "own_ref");
	job->peers = json_is_true(json_object_get(request, "peers"));
	job->haves = json_object_get(request, "haves");
	job->endpoint.username = optional(request, "username");
	job->endpoint.password = optional(request, "password");
	job->endpoint.ca = optional(request, "ca");
	job->endpoint.proxy = optional(request, "proxy");
	job->endpoint.known_hosts = optional(request, "known_hosts");
	return gitsync_init(err);
}

enum ref_interest job_wants(const void *arg, const char *name)
{
	const struct job *job = arg;

	if ((job->branch_ref && strcmp(name, job->branch_ref) == 0) ||
	    (job->own_ref && strcmp(name, job->own_ref) == 0))
		return REF_NEEDED;
	return job->peers && is_status_ref(name, STATUS_PREFIX, job->cluster) ? REF_WANTED
									      : REF_IGNORED;
}

int job_check_branch(const struct job *job, const struct ls_refs *refs, struct err *err)
{
	if (!job->branch_ref || ls_refs_find(refs, job->branch_ref))
		return 0;
	return err_set(err, ERR_GIT,
		       "there is no branch '%s': push one, or set branch: in agent.yaml",
		       job->branch);
}

int job_open_objects(git_repository **ret, struct err *err)
{
	CLEANUP(odb_freep) git_odb *odb = NULL;

	if (git_odb_open(&odb, WORKER_OBJECTS) < 0 || git_repository_wrap_odb(ret, odb) < 0)
		return git_fail(err, "open the mirror's objects");
	return 0;
}

int pack_file_create(struct pack_file *ret, struct err *err)
{
	ret->bytes = 0;
	ret->fd = open(WORKER_PACK, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return ret->fd < 0 ? err_errno(err, "make '%s'", WORKER_PACK) : 0;
}

int pack_file_add(struct pack_file *file, const void *data, size_t len, struct err *err)
{
	const char *next = data;

	file->bytes += len;
	if (file->bytes > WORKER_FILE_BYTES)
		return err_set(err, ERR_LIMIT, "the server sends more than %zu MiB",
			       WORKER_FILE_BYTES >> 20);
	while (len > 0) {
		ssize_t n = write(file->fd, next, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "write what the server sends");
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

void pack_file_close(struct pack_file *file)
{
	cleanup_close(&file->fd);
}

static void add_answer(struct strbuf *answer, const struct ls_refs *refs)
{
	for (size_t i = 0; i < refs->n; i++)
		strbuf_addf(answer, "%s %s\n", refs->v[i].oid, refs->v[i].name);
	if (refs->cut_off)
		strbuf_addstr(answer, WORKER_CUT_OFF "\n");
}

int operation_list(const json_t *request, struct strbuf *answer, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct job job = {0};
	CLEANUP(ls_refs_release) struct ls_refs refs = {.wants = job_wants, .arg = &job};

	if (job_init(&job, request, pool, err) < 0 || way_of(&job)->list(&job, &refs, err) < 0)
		return -1;
	add_answer(answer, &refs);
	return 0;
}

int operation_fetch(const json_t *request, struct strbuf *answer, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct job job = {0};
	CLEANUP(ls_refs_release) struct ls_refs refs = {.wants = job_wants, .arg = &job};

	if (job_init(&job, request, pool, err) < 0 || way_of(&job)->fetch(&job, &refs, err) < 0)
		return -1;
	add_answer(answer, &refs);
	return 0;
}

int operation_push(const json_t *request, struct strbuf *answer, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const char *ref, *oid;
	struct job job = {0};

	(void)answer;
	if (job_init(&job, request, pool, err) < 0 ||
	    request_text_of(request, "ref", &ref, err) < 0 ||
	    request_text_of(request, "oid", &oid, err) < 0)
		return -1;
	return way_of(&job)->push(&job, ref, oid, err);
}
