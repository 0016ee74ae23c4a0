#include "reconciler/services_apply.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "reconciler/compose_run.h"
#include "reconciler/services_internal.h"
#include "reconciler/surge.h"

/* Between two tries of what could not be prepared. */
#define AGAIN_FIRST_MS 5000
#define AGAIN_MAX_MS (5 * 60 * 1000)

const struct out_service *service_row(const struct service_work *w, const char *name)
{
	for (size_t i = 0; i < w->files->n_services; i++)
		if (strcmp(w->files->services[i].name, name) == 0)
			return &w->files->services[i];
	return NULL;
}

bool action_makes(const struct action *action)
{
	return action->kind == ACTION_RUN || action->kind == ACTION_RECREATE;
}

struct compose service_compose(const struct service_work *w, const struct out_service *row,
			       const char *before)
{
	struct services *s = w->services;

	if (!s->plugin_known)
		s->plugin = compose_has_plugin(s->docker.socket);
	s->plugin_known = true;
	return (struct compose) {
		.socket = s->docker.socket,
		.plugin = s->plugin,
		.project = row->project,
		.folder = root_outside(w->root, w->plan->pool,
				       pool_printf(w->plan->pool, "%s%s", before, row->folder)),
		.file = row->compose,
	};
}

/* Docker that was stopped, or started again, under compose's hands is no commit's fault: what fails is only held against one
 * where Docker is there and it fails again. */
int service_up(const struct service_work *w, const struct compose *compose, struct err *err)
{
	for (int tries = 2; compose_up(compose, err) < 0; tries--) {
		struct err away = {0};

		services_forget(w->services);
		if (!services_look(w->services, w->root, &away)) {
			*err = away;
			return -1;
		}
		if (tries == 1)
			return -1;
	}
	services_forget(w->services);
	return 0;
}

/* The first action on the service stands for the others: compose makes all of its parts. */
static bool is_first(const struct service_work *w, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (action_makes(&w->plan->v[k]) &&
		    strcmp(w->plan->v[k].service, w->plan->v[i].service) == 0)
			return false;
	return true;
}

/* --- before ---------------------------------------------------------------------------- */

/* The user's own file, with what is beside it, where compose can read it. */
static int check_files(const struct service_work *w, const struct out_service *row, struct err *err)
{
	struct compose compose = service_compose(w, row, PATH_CHECK);
	int failed = 0;
	struct err ignored;

	for (size_t i = 0; i < w->files->n && !failed; i++) {
		const struct out_file *f = &w->files->v[i];

		if (f->program != PROGRAM_COMPOSE || !f->service ||
		    strcmp(f->service, row->name) != 0)
			continue;
		failed = file_replace_in(w->root->fd,
					 pool_printf(w->plan->pool, "%s%s", PATH_CHECK, f->path),
					 f->data, f->len, f->mode, err);
	}
	if (!failed && compose_config(&compose, err) < 0)
		failed = err_wrap(err, "service '%s'", row->name);
	file_remove_tree_in(w->root->fd, PATH_CHECK, &ignored);
	return failed;
}

static int pull(const struct service_work *w, const char *image, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const struct registry *registry = cluster_registry(w->cluster, image);
	const char *id, *password = NULL;
	int there = docker_image(&w->services->docker, image, pool, &id, err);

	if (there)
		return there < 0 ? -1 : 0;
	if (registry) {
		password = w->facts->secret ? w->facts->secret(w->facts->secret_arg,
							       registry->password.secret)
					    : NULL;
		if (!password)
			return err_set(err, ERR_CONFIG,
				       "secret '%s', which %s:%u registries.%s asks for, is not on "
				       "this node: add it to secrets.yaml",
				       registry->password.secret, w->cluster->path,
				       registry->password.pos.line, registry->name);
	}
	return docker_pull(&w->services->docker, image, registry ? registry->username : NULL,
			   password, err);
}

/* All images of the service: compose makes what is missing of it, too. One that a variable names is
 * compose's own to pull. */
static int pull_all(const struct service_work *w, const struct out_service *row, struct err *err)
{
	for (size_t i = 0; i < row->n_parts; i++)
		if (row->parts[i].image[0] && !strchr(row->parts[i].image, '$') &&
		    pull(w, row->parts[i].image, err) < 0)
			return err_wrap(err, "service '%s'", row->name);
	return 0;
}

static int get_ready(const struct service_work *w, struct err *err)
{
	const struct network *network = &w->cluster->network;

	for (size_t i = 0; i < w->plan->n; i++) {
		const struct action *action = &w->plan->v[i];
		const struct out_service *row;

		if (!action_makes(action) || !is_first(w, i))
			continue;
		row = service_row(w, action->service);
		if (row->compose && check_files(w, row, err) < 0)
			return -1;
	}
	if (w->want->n && docker_network_ensure(&w->services->docker, network->name,
						network->subnet, w->root->path, err) < 0)
		return -1;
	for (size_t i = 0; i < w->plan->n; i++) {
		const struct action *action = &w->plan->v[i];

		if (action_makes(action) && is_first(w, i) &&
		    pull_all(w, service_row(w, action->service), err) < 0)
			return -1;
	}
	return 0;
}

static int64_t again_in_ms(unsigned failures)
{
	int64_t wait = AGAIN_FIRST_MS;

	while (--failures && wait < AGAIN_MAX_MS)
		wait *= 2;
	return wait < AGAIN_MAX_MS ? wait : AGAIN_MAX_MS;
}

/* What another commit, or other inputs, may mend is tried at once. */
static int remember_failure(const struct service_work *w, const struct err *err)
{
	struct services *s = w->services;

	if (strcmp(s->tried, w->key) != 0)
		s->failures = 0;
	memcpy(s->tried, w->key, sizeof(s->tried));
	s->failures++;
	s->failure = *err;
	s->again_at_ms = clock_ms() + again_in_ms(s->failures);
	return -1;
}

static bool must_wait(const struct service_work *w, struct err *err)
{
	const struct services *s = w->services;

	if (!s->failures || strcmp(s->tried, w->key) != 0 || clock_ms() >= s->again_at_ms)
		return false;
	*err = s->failure;
	return true;
}

int services_prepare(const struct service_work *w, const char **ret_waits, struct err *err)
{
	struct services *s = w->services;
	int proved;

	*ret_waits = NULL;
	if (!services_touched(w->plan))
		return 0;
	/* Nothing can be done where Docker does not even say what there is. */
	if (!services_look(s, w->root, err))
		return -1;
	if (must_wait(w, err))
		return -1;
	if (strcmp(s->proving, w->key) != 0 && get_ready(w, err) < 0)
		return remember_failure(w, err);
	if (!w->may_prove)
		return 0;
	proved = surge_prove(w, ret_waits, err);
	if (proved < 0)
		return err->code == ERR_HEALTH ? -1 : remember_failure(w, err);
	if (!proved)
		return 0;
	*ret_waits = NULL;
	return 0;
}

/* --- the change ---------------------------------------------------------------------- */

/* The part that the action is about: behind the service's name, where it has another. */
static const char *action_part(const struct action *action)
{
	const char *slash = strchr(action->what, '/');

	return slash ? slash + 1 : action->what;
}

/* One that compose did not make, or that is there twice, would be in its way. */
static int clear_the_way(const struct service_work *w, const struct action *action, struct err *err)
{
	const struct container_list *seen = services_look(w->services, w->root, err);

	if (!seen)
		return -1;
	for (size_t i = 0; i < seen->n; i++) {
		const struct container *c = &seen->v[i];
		bool first = container_find(seen, c->service, c->part) == c;

		if (c->surge || strcmp(c->service, action->service) != 0)
			continue;
		if (first &&
		    !(action_is_drift(action) && strcmp(c->part, action_part(action)) == 0))
			continue;
		if (docker_remove(&w->services->docker, c, err) < 0)
			return -1;
	}
	return 0;
}

static int resume(const struct service_work *w, const struct action *action, struct err *err)
{
	const struct container_list *seen = services_look(w->services, w->root, err);
	const struct container *c =
		seen ? container_find(seen, action->service, action_part(action)) : NULL;

	if (!c)
		return seen ? 0 : -1;
	if (strcmp(c->state, "paused") == 0)
		return docker_unpause(&w->services->docker, c, err);
	return docker_start(&w->services->docker, c, err);
}

static int make(const struct service_work *w, const struct action *action, struct err *err)
{
	const struct out_service *row = service_row(w, action->service);
	struct compose compose = service_compose(w, row, "");

	return service_up(w, &compose, err) < 0 ? err_wrap(err, "service '%s'", row->name) : 0;
}

/* A service may get the port that another had. */
static int free_port(const struct service_work *w, const struct action *action, struct err *err)
{
	const struct service *service = cluster_service(w->cluster, action->service);
	const struct container_list *seen = services_look(w->services, w->root, err);

	if (!seen)
		return -1;
	for (size_t i = 0; i < seen->n; i++) {
		const struct container *c = &seen->v[i];

		if (!c->surge && c->port == service->publish &&
		    strcmp(c->service, action->service) != 0 &&
		    docker_remove(&w->services->docker, c, err) < 0)
			return -1;
	}
	return 0;
}

static int change_all(const struct service_work *w, struct err *err)
{
	for (size_t i = 0; i < w->plan->n; i++) {
		const struct action *action = &w->plan->v[i];

		if (action->kind != ACTION_RESUME && !action_makes(action))
			continue;
		w->progress(action);
		if (action->kind == ACTION_RESUME
			    ? resume(w, action, err) < 0
			    : clear_the_way(w, action, err) < 0 || free_port(w, action, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < w->plan->n; i++)
		if (action_makes(&w->plan->v[i]) && is_first(w, i) &&
		    make(w, &w->plan->v[i], err) < 0)
			return -1;
	return 0;
}

/* The containers of now go into the record. */
static int record(const struct service_work *w, struct err *err)
{
	const struct container_list *seen;

	services_forget(w->services);
	seen = services_look(w->services, w->root, err);
	if (!seen)
		return -1;
	records_fill(w->want, seen, w->pool);
	return 0;
}

/* What an apply made whose memory was lost. */
static int fill_blanks(const struct service_work *w)
{
	struct err ignored;
	bool blank = false;

	for (size_t i = 0; i < w->want->n; i++)
		for (size_t k = 0; k < w->want->v[i].n_parts; k++)
			blank |= !w->want->v[i].parts[k].id[0];
	/* Where Docker cannot say, the containers are told by their digests alone. */
	if (blank)
		(void)record(w, &ignored);
	return 0;
}

static int change(const struct service_work *w, struct err *err)
{
	bool moved = false;

	for (size_t i = 0; i < w->plan->n && w->may_prove; i++)
		moved |= surge_find(w, &w->plan->v[i], err) != NULL;
	/* Without a Caddy there is nobody to send there. */
	if (moved && surge_route(w, false, err) < 0) {
		if (err->code != ERR_NETWORK)
			return -1;
		moved = false;
	}
	if (change_all(w, err) < 0)
		return -1;
	if (moved && (surge_wait_in_place(w, err) < 0 || surge_route(w, true, err) < 0))
		return -1;
	return 0;
}

int services_apply(const struct service_work *w, struct err *err)
{
	struct services *s = w->services;

	/* What was there stays what it was. */
	for (size_t i = 0; i < w->want->n; i++) {
		const struct service_record *was = records_find(w->before, w->want->v[i].name);

		for (size_t k = 0; k < w->want->v[i].n_parts; k++) {
			struct part_record *part = &w->want->v[i].parts[k];
			const struct part_record *old = record_part(was, part->name);

			if (!old || strcmp(old->spec, part->spec) != 0)
				continue;
			part->id = pool_strdup(w->pool, old->id);
			part->image_id = pool_strdup(w->pool, old->image_id);
		}
	}
	if (!services_touched(w->plan))
		return fill_blanks(w);
	if (change(w, err) < 0) {
		services_forget(s);
		return remember_failure(w, err);
	}
	s->failures = 0;
	return record(w, err);
}

/* --- what goes ----------------------------------------------------------------------- */

static int remove_part(const struct service_work *w, const struct action *action, struct err *err)
{
	const struct container_list *seen = services_look(w->services, w->root, err);

	if (!seen)
		return -1;
	for (size_t i = 0; i < seen->n; i++) {
		const struct container *c = &seen->v[i];
		bool kept = !c->surge && container_find(seen, c->service, c->part) == c &&
			    record_part(records_find(w->want, c->service), c->part);

		if (strcmp(c->service, action->service) != 0 ||
		    strcmp(c->part, action_part(action)) != 0 || kept)
			continue;
		if (docker_remove(&w->services->docker, c, err) < 0)
			return -1;
	}
	return 0;
}

/* Projects of which nothing is wanted any more. */
static int remove_projects(const struct service_work *w, struct err *err)
{
	bool volumes = w->cluster->removed_services.volumes == VOLUMES_REMOVE;

	for (size_t i = 0; i < w->before->n; i++)
		if (!records_find(w->want, w->before->v[i].name) &&
		    docker_project_remove(&w->services->docker, w->before->v[i].project, volumes,
					  err) < 0)
			return -1;
	if (!w->want->n && w->before->n)
		return docker_network_remove(&w->services->docker, w->cluster->network.name,
					     w->root->path, err);
	return 0;
}

int services_remove(const struct service_work *w, struct err *err)
{
	bool gone = false;

	for (size_t i = 0; i < w->before->n; i++)
		gone |= !records_find(w->want, w->before->v[i].name);
	if (!gone && !services_touched(w->plan))
		return 0;
	for (size_t i = 0; i < w->plan->n; i++) {
		const struct action *action = &w->plan->v[i];

		if (action->kind != ACTION_DELETE)
			continue;
		w->progress(action);
		if (remove_part(w, action, err) < 0)
			return -1;
	}
	if (remove_projects(w, err) < 0 || surge_end(w, err) < 0)
		return -1;
	services_forget(w->services);
	return 0;
}
