#include "reconciler/leave.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "gitsync/status_ref.h"
#include "reconciler/steps.h"
#include "render/layout.h"

#define FLAG_MODE 0644

bool node_is_unnamed(const struct agent *agent, const char *tip)
{
	const struct rejection *r = &agent->state.rejected;

	return r->code == ERR_UNNAMED && strcmp(r->revision, tip) == 0 && agent->state.revision[0];
}

static const char *flag_path(const struct pass *p)
{
	return pool_printf(p->pool, "%s/" DRAIN_FLAG,
			   layout_path(LAYOUT_DRAIN, p->agent->state.watch.at.runtime));
}

/* Is it healthy with the tip, by its own word? Only a node that the tip names can have applied it. */
static bool has_taken_over(struct pass *p, const struct status_entry *entry)
{
	struct node_status status;
	struct err ignored = {0};
	const char *json;
	size_t len;

	if (strcmp(entry->node, p->agent->node) == 0 ||
	    status_ref_read(p->agent->mirror, entry->oid, p->pool, &json, &len, &ignored) < 0 ||
	    status_from_json(json, len, p->pool, &status, &ignored) < 0)
		return false;
	return status.applied && strcmp(status.applied, p->tip) == 0 &&
	       condition_is(&status, "Ready", "True");
}

/* The name of one that has; NULL: none. */
static const char *who_has_taken_over(struct pass *p)
{
	struct status_entries entries;
	struct err err = {0};

	if (status_ref_list(p->agent->mirror, p->agent->cluster, p->pool, &entries, &err) < 0) {
		log_warn("which nodes have %.7s is not known: %s", p->tip, err.msg);
		return NULL;
	}
	for (size_t i = 0; i < entries.n; i++)
		if (has_taken_over(p, &entries.v[i]))
			return entries.v[i].node;
	return NULL;
}

static int leave(struct pass *p, const char *flag, struct err *err)
{
	const char *other = who_has_taken_over(p);
	int folder = p->agent->root.fd;

	if (!other)
		return 0;
	if (file_mkdirs_in(folder, layout_path(LAYOUT_DRAIN, p->agent->state.watch.at.runtime),
			   0755, err) < 0 ||
	    file_replace_in(folder, flag, "", 0, FLAG_MODE, err) < 0)
		return err_wrap(err, "take this node out of the traffic");
	log_info(
		"%.7s names this node no more, and %s is healthy with it: the other nodes are told "
		"to send nothing here",
		p->tip, other);
	return 0;
}

static int come_back(struct pass *p, const char *flag, struct err *err)
{
	if (file_remove_in(p->agent->root.fd, flag, err) < 0)
		return err_wrap(err, "take this node back into the traffic");
	log_info("the branch names this node again: the other nodes may send to it");
	return 0;
}

void step_leave(struct pass *p)
{
	const char *flag = flag_path(p);
	bool unnamed = !p->pinned[0] && node_is_unnamed(p->agent, p->tip);
	struct err err = {0};
	int there, failed = 0;

	if (p->agent->dry_run)
		return;
	there = file_stat_in(p->agent->root.fd, flag, NULL, &err);
	if (there < 0)
		failed = -1;
	else if (unnamed && !there)
		failed = leave(p, flag, &err);
	else if (!unnamed && there)
		failed = come_back(p, flag, &err);
	if (failed)
		log_error("%s", err.msg);
}
