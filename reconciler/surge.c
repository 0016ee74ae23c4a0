#include "reconciler/surge.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/http.h"
#include "reconciler/caddy.h"
#include "reconciler/compose_run.h"
#include "reconciler/services_internal.h"
#include "render/layout.h"
#include "render/render.h"
#include "render/surge.h"

#define PATH_SURGE PATH_RUN "/surge"
#define POLL_MS 200
#define ROUTE_TIMEOUT_MS 20000
#define REPLY_MAX (1 << 20)
/* A process that ended so often does not come up. */
#define RESTARTS_MAX 3

static const struct watched_service *watched(const struct service_work *w, const char *service)
{
	for (size_t i = 0; i < w->watch->n_services; i++)
		if (strcmp(w->watch->services[i].name, service) == 0)
			return &w->watch->services[i];
	return NULL;
}

bool surge_wanted(const struct service_work *w, const struct action *action)
{
	const struct container_list *seen;
	const struct container *c;
	const struct out_service *row;
	struct err ignored;

	if (action->kind != ACTION_RECREATE || action_is_drift(action))
		return false;
	row = service_row(w, action->service);
	seen = services_look(w->services, w->root, &ignored);
	c = seen ? container_find(seen, action->service, action->service) : NULL;
	/* One that does not serve needs nobody beside it. */
	return row->surge_project && c && strcmp(c->state, "running") == 0 &&
	       strcmp(c->health, "unhealthy") != 0;
}

const struct container *surge_find(const struct service_work *w, const struct action *action,
				   struct err *err)
{
	const struct container_list *seen;
	const struct out_service *row;

	if (action->kind != ACTION_RECREATE || action_is_drift(action))
		return NULL;
	row = service_row(w, action->service);
	seen = services_look(w->services, w->root, err);
	for (size_t i = 0; seen && row->surge_project && i < seen->n; i++)
		if (seen->v[i].surge && strcmp(seen->v[i].service, action->service) == 0 &&
		    strcmp(seen->v[i].spec, row->parts[0].spec) == 0)
			return &seen->v[i];
	return NULL;
}

/* --- proving ------------------------------------------------------------------------- */

static int write_files(const struct service_work *w, const char *folder, struct fileset *set,
		       struct err *err)
{
	if (file_remove_tree_in(w->root->fd, folder, err) < 0)
		return -1;
	for (size_t i = 0; i < set->n; i++)
		if (file_replace_in(w->root->fd, set->v[i].path, set->v[i].data, set->v[i].len,
				    set->v[i].mode, err) < 0)
			return -1;
	return 0;
}

static void release_set(struct fileset *set)
{
	fileset_release(set);
}

static int start(const struct service_work *w, const struct action *action, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(release_set) struct fileset set;
	const char *folder = pool_printf(pool, "%s/%s", PATH_SURGE, action->service);
	const struct service *service = cluster_service(w->cluster, action->service);
	struct out_service row = *service_row(w, action->service);
	struct compose compose;

	fileset_init(&set, pool);
	if (render_surge(w->cluster, w->node, w->facts, service, folder, &set, err) < 0 ||
	    write_files(w, folder, &set, err) < 0)
		return err_wrap(err, "service '%s'", action->service);
	row.project = row.surge_project;
	row.folder = folder;
	compose = service_compose(w, &row, "");
	if (service_up(w, &compose, err) < 0)
		return err_wrap(err, "service '%s', beside the old one", action->service);
	return 0;
}

static const char *loopback(const struct service_work *w)
{
	return facts_loopback(w->facts, w->node);
}

bool surge_answers(const struct service_work *w, const char *service, int64_t port, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(http_reply_release) struct http_reply reply = HTTP_REPLY_INIT;
	const struct watched_service *s = watched(w, service);
	const char *headers[] = {NULL, NULL};

	if (!s || !s->path)
		return true;
	headers[0] = pool_printf(pool, "Host: %s", s->host ? s->host : loopback(w));
	const struct http_request req = {
		.url = pool_printf(pool,
				   strchr(loopback(w), ':') ? "http://[%s]:%d%s" : "http://%s:%d%s",
				   loopback(w), (int)port, s->path),
		.headers = headers,
		.timeout_ms = (int)s->timeout_ms,
		.reply_limit = REPLY_MAX,
	};
	if (http_do(&req, &reply, err) < 0)
		return false;
	if (reply.status >= 200 && reply.status < 400)
		return true;
	err_set(err, ERR_HEALTH, "%s answers %ld", s->path, reply.status);
	return false;
}

static bool has_path(const struct service_work *w, const char *service)
{
	const struct watched_service *s = watched(w, service);

	return s && s->path;
}

/* 1 it works, 0 not yet, -1 never; why goes to *ret_why. */
static int judge(const struct service_work *w, const char *service, struct container *c,
		 bool checked, const char **ret_why)
{
	struct pool *pool = w->plan->pool;
	struct container_health health;
	struct err err = {0};

	container_judge(w->services, c, false, checked, pool, &health);
	if (strcmp(health.health, "healthy") != 0) {
		*ret_why = pool_printf(pool, "service %s: %s", service, health.message);
		return c->restarts >= RESTARTS_MAX ? -1 : 0;
	}
	if (surge_answers(w, service, c->port, &err))
		return 1;
	*ret_why = pool_printf(pool, "service %s: %s", service, err.msg);
	return 0;
}

static int judge_all(const struct service_work *w, const char **ret_why, struct err *err)
{
	int worst = 1;

	for (size_t i = 0; i < w->plan->n; i++) {
		const struct action *action = &w->plan->v[i];
		struct container *c;
		const char *why = NULL;
		int one;

		if (!surge_wanted(w, action))
			continue;
		if (!surge_find(w, action, err) && start(w, action, err) < 0)
			return -1;
		c = (struct container *)surge_find(w, action, err);
		if (!c)
			return err_set(err, ERR_DOCKER, "service '%s': its new container is gone",
				       action->service);
		one = judge(w, action->service, c, has_path(w, action->service), &why);
		if (one < worst) {
			worst = one;
			*ret_why = why;
		}
	}
	return worst < 0 ? -2 : worst;
}

/* What the container that does not work said last. */
static const char *last_words(const struct service_work *w)
{
	struct err ignored;
	const struct container_list *seen = services_look(w->services, w->root, &ignored);

	for (size_t i = 0; seen && i < seen->n; i++)
		if (seen->v[i].surge &&
		    (strcmp(seen->v[i].state, "running") != 0 || seen->v[i].restarts > 0))
			return docker_last_words(&w->services->docker, &seen->v[i], w->plan->pool);
	return "";
}

static int give_up(const struct service_work *w, const char *why, struct err *err)
{
	struct err ignored;

	const char *said = last_words(w);

	err_set(err, ERR_HEALTH, "%.7s did not become healthy in time: %s%s%.200s", w->revision,
		why, *said ? "; it said: " : "", said);
	if (surge_end(w, &ignored) < 0)
		services_forget(w->services);
	return -1;
}

int surge_prove(const struct service_work *w, const char **ret_why, struct err *err)
{
	struct services *s = w->services;
	const char *why = NULL;
	int all;

	if (strcmp(s->proving, w->key) != 0) {
		memcpy(s->proving, w->key, sizeof(s->proving));
		s->until_ms = clock_ms() + w->cluster->rollout.health_timeout_ms;
	}
	all = judge_all(w, &why, err);
	if (all == -1) {
		s->proving[0] = '\0';
		return -1;
	}
	if (all == 1)
		return 1;
	if (all < 0 || clock_ms() >= s->until_ms)
		return give_up(w, why, err);
	*ret_why = why;
	return 0;
}

int surge_end(const struct service_work *w, struct err *err)
{
	const struct container_list *seen;

	w->services->proving[0] = '\0';
	seen = services_look(w->services, w->root, err);
	if (!seen)
		return -1;
	for (size_t i = 0; i < seen->n; i++)
		if (seen->v[i].surge && docker_remove(&w->services->docker, &seen->v[i], err) < 0)
			return -1;
	services_forget(w->services);
	return file_remove_tree_in(w->root->fd, PATH_SURGE, err);
}

/* --- Caddy, there and back ----------------------------------------------------------- */

/* The Caddyfile with the services that have a proven container at that one's port. */
static int render_moved(const struct service_work *w, struct fileset *set, struct err *err)
{
	struct moved_service *moved = pool_calloc(set->pool, w->plan->n + 1, sizeof(*moved));
	struct facts facts = *w->facts;

	facts.moved = moved;
	for (size_t i = 0; i < w->plan->n; i++) {
		const struct container *c = surge_find(w, &w->plan->v[i], err);

		if (c && c->port)
			moved[facts.n_moved++] =
				(struct moved_service) {w->plan->v[i].service, c->port};
	}
	return render_node(w->cluster, w->node, &facts, set, err);
}

static int load(const struct service_work *w, const struct fileset *set, struct err *err)
{
	const char *path = layout_file(w->plan->pool, "", LAYOUT_CADDY, w->cluster->ingress.runtime,
				       "Caddyfile");
	const struct out_file *file = fileset_find(set, path);
	int64_t deadline = clock_ms() + ROUTE_TIMEOUT_MS;

	if (caddy_load(w->watch->at.caddy_socket, file->data, file->len, err) < 0)
		return -1;
	/* Its answer comes before the new configuration's listeners are all that listens. */
	while (clock_ms() < deadline) {
		char loaded[SHA256_HEX_SIZE];
		struct err ignored;

		if (caddy_loaded(w->watch->at.caddy_health, loaded, &ignored) == 0 &&
		    strcmp(loaded, set->caddy_config) == 0)
			return 0;
		clock_sleep_ms(POLL_MS);
	}
	return err_set(err, ERR_APPLY, "caddy took its configuration, and does not answer with it");
}

int surge_route(const struct service_work *w, bool back, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(release_set) struct fileset set;

	fileset_init(&set, pool);
	if (back)
		return load(w, w->files, err);
	if (render_moved(w, &set, err) < 0)
		return -1;
	return load(w, &set, err);
}

static int wait_for(const struct service_work *w, const char *service, struct err *err)
{
	const struct service *spec = cluster_service(w->cluster, service);
	int64_t deadline = clock_ms() + w->cluster->rollout.health_timeout_ms;
	const char *why = "it has no container";

	for (;;) {
		const struct container_list *seen = services_look(w->services, w->root, err);
		struct container *c;
		int works = 0;

		if (!seen)
			return -1;
		c = (struct container *)container_find(seen, service, service);
		if (c) {
			c->port = spec->publish;
			works = judge(w, service, c, true, &why);
		}
		if (works > 0)
			return 0;
		if (works < 0 || clock_ms() >= deadline)
			return err_set(err, ERR_HEALTH,
				       "%.7s did not become healthy in its own place: %s",
				       w->revision, why);
		clock_sleep_ms(POLL_MS);
		services_forget(w->services);
	}
}

int surge_wait_in_place(const struct service_work *w, struct err *err)
{
	for (size_t i = 0; i < w->plan->n; i++)
		if (surge_find(w, &w->plan->v[i], err) &&
		    wait_for(w, w->plan->v[i].service, err) < 0)
			return -1;
	return 0;
}
