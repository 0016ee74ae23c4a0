#include "reconciler/checker.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "base/strvec.h"
#include "reconciler/certificate.h"
#include "render/layout.h"
#include "render/render.h"

#define CHECK_TIMEOUT_MS 60000
#define CAPTURE_MAX (256 << 10)

struct checker {
	enum program program;
	enum layout folder;
	const char *file;        /* in the folder; NULL: the layout names the file itself */
	const char *const *argv; /* the file's path comes behind it */
	const char *mark;        /* what the line begins with, or holds, that says what is wrong */
};

static const char *const haproxy_argv[] = {"haproxy", "-c", "-f", NULL};
static const char *const keepalived_argv[] = {"keepalived", "-t", "-f", NULL};
static const char *const caddy_argv[] = {"caddy",     "validate", "--adapter",
					 "caddyfile", "--config", NULL};

static const struct checker checkers[] = {
	{PROGRAM_HAPROXY, LAYOUT_HAPROXY, "haproxy.cfg", haproxy_argv, "[ALERT]"},
	{PROGRAM_CADDY, LAYOUT_CADDY, "Caddyfile", caddy_argv, "Error:"},
	{PROGRAM_KEEPALIVED, LAYOUT_KEEPALIVED, NULL, keepalived_argv, "keepalived.conf: Line"},
};

/* The certificates are checked where they are: HAProxy finds each through a link. */
static int link_certificates(const struct root *root, int runtime, const char *into,
			     struct pool *pool, struct err *err)
{
	const char *folder = layout_path(LAYOUT_CERTIFICATES, runtime);
	const char *target = root_outside(root, pool, folder);
	AUTO_CLOSE int fd = file_open_in(root->fd, into, O_RDONLY | O_DIRECTORY, 0, err);
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;

	if (fd < 0 || file_list_in(root->fd, folder, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (strcmp(names.v[i], PLACEHOLDER_PEM) != 0 &&
		    symlinkat(pool_printf(pool, "%s/%s", target, names.v[i]), fd, names.v[i]) < 0)
			return err_errno(err, "link '%s/%s'", folder, names.v[i]);
	return 0;
}

/* For the placeholder, which may be yet to be made, one of the check's own stands in. */
static int write_certificate(const struct root *root, const struct out_file *file,
			     struct pool *pool, int runtime, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf pem = STRBUF_INIT;
	const char *into =
		pool_printf(pool, "%s%s", PATH_CHECK, layout_path(LAYOUT_CERTIFICATES, runtime));

	if (file_mkdirs_in(root->fd, into, 0700, err) < 0 ||
	    link_certificates(root, runtime, into, pool, err) < 0 ||
	    certificate_self_signed(file->data, &pem, err) < 0)
		return -1;
	return file_replace_in(root->fd, pool_printf(pool, "%s%s", PATH_CHECK, file->path), pem.buf,
			       pem.len, 0600, err);
}

static bool touches_any(const struct plan *plan)
{
	for (size_t i = 0; i < ARRAY_SIZE(checkers); i++)
		if (plan_touches(plan, checkers[i].program))
			return true;
	return false;
}

static bool is_checked(const struct out_file *file)
{
	for (size_t i = 0; i < ARRAY_SIZE(checkers); i++)
		if (checkers[i].program == file->program)
			return true;
	return false;
}

static int write_copy(const struct root *root, const struct fileset *set, struct pool *pool,
		      int runtime, struct err *err)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct out_file *f = &set->v[i];

		if (!is_checked(f) || f->certificate)
			continue;
		if (file_replace_in(root->fd, pool_printf(pool, "%s%s", PATH_CHECK, f->path),
				    f->data, f->len, f->mode, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < set->n; i++)
		if (set->v[i].certificate &&
		    write_certificate(root, &set->v[i], pool, runtime, err) < 0)
			return -1;
	return file_mkdirs_in(root->fd,
			      pool_printf(pool, "%s%s", PATH_CHECK,
					  layout_path(LAYOUT_CADDY_LOGS, runtime)),
			      0755, err);
}

/* The first line with the mark tells most; its paths lead into the copy, which is gone when
 * somebody reads this. */
static int refused(const struct checker *checker, const struct process_spec *spec,
		   struct process_result *res, struct err *err)
{
	char *line = strstr(res->errout.buf, checker->mark);

	/* It did not say what is wrong with the configuration: it failed itself, and may not the next time. */
	if (!line) {
		process_failed(spec, res, err);
		err->code = ERR_SYSTEM;
		return -1;
	}
	line[strcspn(line, "\n")] = '\0';
	return err_set(err, ERR_CHECK, "%s refuses the configuration: %s", spec->argv[0], line);
}

static int run_checker(const struct root *root, const struct checker *checker, struct pool *pool,
		       int runtime, struct err *err)
{
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	const char *check_root = root_outside(root, pool, PATH_CHECK);

	for (size_t i = 0; checker->argv[i]; i++)
		strvec_push(&argv, checker->argv[i]);
	strvec_push(&argv, layout_file(pool, check_root, checker->folder, runtime, checker->file));
	strvec_push(&env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strvec_pushf(&env, "HOME=%s", check_root);
	const struct process_spec spec = {
		.argv = argv.v,
		.env = env.v,
		.cwd = "/", /* HAProxy goes back to where it was, which its user may not enter */
		.timeout_ms = CHECK_TIMEOUT_MS,
		.capture_limit = CAPTURE_MAX,
		.no_kill = checker->program == PROGRAM_KEEPALIVED,
	};
	if (process_run(&spec, &res, err) < 0)
		return err_wrap(err, "check the configuration of %s", spec.argv[0]);
	return res.status == 0 ? 0 : refused(checker, &spec, &res, err);
}

/* A program that goes, as HAProxy does where Caddy answers itself, leaves nothing to check. */
static bool is_wanted(const struct fileset *set, const struct checker *checker)
{
	switch (checker->program) {
	case PROGRAM_HAPROXY:
		return set->haproxy_config[0] != '\0';
	case PROGRAM_KEEPALIVED:
		return set->keepalived_config[0] != '\0';
	default:
		return set->caddy_config[0] != '\0';
	}
}

int check_plan(const struct root *root, const struct plan *plan, const struct cluster *cluster,
	       const struct node *node, const struct facts *facts, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(fileset_release) struct fileset set;
	struct facts there = *facts;
	struct err ignored;
	int failed = 0;

	fileset_init(&set, pool);
	if (!touches_any(plan))
		return 0;
	there.root = root_outside(root, pool, PATH_CHECK);
	if (file_remove_tree_in(root->fd, PATH_CHECK, err) < 0 ||
	    render_node(cluster, node, &there, &set, err) < 0 ||
	    write_copy(root, &set, pool, cluster->ingress.runtime, err) < 0)
		failed = -1;
	for (size_t i = 0; i < ARRAY_SIZE(checkers) && !failed; i++)
		if (plan_touches(plan, checkers[i].program) && is_wanted(&set, &checkers[i]))
			failed = run_checker(root, &checkers[i], pool, cluster->ingress.runtime,
					     err);
	if (file_remove_tree_in(root->fd, PATH_CHECK, failed ? &ignored : err) < 0)
		return -1;
	return failed;
}
