#include "spec/load_service.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/check.h"
#include "spec/compose_file.h"
#include "spec/place.h"
#include "spec/words.h"

#define VOLUMES_MAX 256

static const char *const kind_keys[] = {
	[SERVICE_IMAGE] = "image",
	[SERVICE_COMPOSE] = "compose",
	[SERVICE_STATIC] = "static",
	[SERVICE_RESPOND] = "respond",
};

#define KIND(k) (1u << (k))
#define IN_CONTAINER (KIND(SERVICE_IMAGE) | KIND(SERVICE_COMPOSE))

/* Keys that only some kinds use. */
static const struct {
	const char *key;
	unsigned kinds;
} kind_rows[] = {
	{"port", IN_CONTAINER},           {"publish", IN_CONTAINER},
	{"resources", IN_CONTAINER},      {"health.command", IN_CONTAINER},
	{"update", KIND(SERVICE_IMAGE)},  {"env", KIND(SERVICE_IMAGE)},
	{"volumes", KIND(SERVICE_IMAGE)}, {"entry", KIND(SERVICE_COMPOSE)},
};

__attribute__((format(printf, 4, 5))) static void report(struct diags *diags,
							 const struct service *service,
							 struct spec_pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diags_vadd(diags, service->path, pos.line, pos.column, fmt, ap);
	va_end(ap);
}

/* -1 where there is not exactly one. */
static int resolve_kind(struct service *service, struct diags *diags)
{
	int first = -1;

	for (int kind = 0; kind < (int)ARRAY_SIZE(kind_keys); kind++) {
		if (!yaml_has(service->yaml, kind_keys[kind]))
			continue;
		if (first >= 0) {
			report(diags, service, yaml_place(service->yaml, kind_keys[kind]),
			       "'%s' excludes '%s': a service has one of image, compose, static "
			       "and respond",
			       kind_keys[kind], kind_keys[first]);
			return -1;
		}
		first = kind;
	}
	if (first < 0) {
		report(diags, service, yaml_place(service->yaml, ""),
		       "one of image, compose, static and respond is missing");
		return -1;
	}
	service->kind = (enum service_kind)first;
	return 0;
}

static void check_kind_keys(const struct service *service, struct diags *diags)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_rows); i++) {
		const char *key = kind_rows[i].key;
		bool in_compose_file = service->kind == SERVICE_COMPOSE;

		if ((kind_rows[i].kinds & KIND(service->kind)) || !yaml_has(service->yaml, key))
			continue;
		report(diags, service, yaml_place(service->yaml, key),
		       "'%s' has no effect with '%s:'%s", key, kind_keys[service->kind],
		       in_compose_file ? ": write it in the compose file" : "");
	}
	if ((KIND(service->kind) & IN_CONTAINER) && !yaml_has(service->yaml, "port"))
		report(diags, service, yaml_place(service->yaml, kind_keys[service->kind]),
		       "missing key 'port': the port that the service listens on in its container");
}

/* --- files of the folder ------------------------------------------------------------- */

static const struct service_file *find_file(const struct service *service, const char *path)
{
	for (size_t i = 0; i < service->n_files; i++)
		if (strcmp(service->files[i].path, path) == 0)
			return &service->files[i];
	return NULL;
}

static bool has_folder(const struct service *service, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < service->n_files; i++)
		if (strncmp(service->files[i].path, path, len) == 0 &&
		    service->files[i].path[len] == '/')
			return true;
	return false;
}

/* Without a leading "./" and a trailing '/'. */
static const char *plain_path(const char *path, struct pool *pool)
{
	size_t len;

	if (strncmp(path, "./", 2) == 0)
		path += 2;
	len = strlen(path);
	if (len && path[len - 1] == '/')
		len--;
	return pool_memdup(pool, path, len);
}

/* Reports where the service has no folder to look in. */
static bool needs_folder(const struct service *service, struct spec_pos pos, const char *what,
			 struct diags *diags)
{
	if (service->folder)
		return true;
	report(diags, service, pos,
	       "%s needs a folder: move this file to '%s/service.yaml', and put the files beside "
	       "it",
	       what, service->name);
	return false;
}

static void resolve_site(struct service *service, struct pool *pool, struct diags *diags)
{
	if (!service->site || !needs_folder(service, service->site_pos, "'static'", diags))
		return;
	service->site = plain_path(service->site, pool);
	if (find_file(service, service->site))
		report(diags, service, service->site_pos, "'%s' is a file: 'static' needs a folder",
		       service->site);
	else if (!has_folder(service, service->site))
		report(diags, service, service->site_pos, "there is no folder '%s' in '%s'",
		       service->site, service->folder);
}

/* --- volumes ------------------------------------------------------------------------- */

/* SOURCE:TARGET[:MODE], cut into pieces. */
static int split_volume(const char *text, struct volume *ret, struct pool *pool, struct err *err)
{
	size_t source = strcspn(text, ":");
	size_t target = text[source] ? strcspn(text + source + 1, ":") : 0;
	const char *mode = text + source + 1 + target;

	if (!source || !target || (*mode && strcmp(mode, ":ro") != 0 && strcmp(mode, ":rw") != 0))
		return err_set(err, ERR_CONFIG,
			       "'%s' is no volume: write NAME:/PATH or ./FILE:/PATH, with :ro "
			       "after it where it is only "
			       "read",
			       text);
	ret->source = pool_memdup(pool, text, source);
	ret->target = pool_memdup(pool, text + source + 1, target);
	ret->read_only = strcmp(mode, ":ro") == 0;
	ret->is_path = ret->source[0] == '.';
	return 0;
}

static int check_volume(const struct volume *volume, struct err *err)
{
	if (volume->source[0] == '/')
		return err_set(err, ERR_CONFIG,
			       "'%s' is a path of the node: name a volume, or a ./PATH in the "
			       "service's folder; a compose "
			       "file of your own can mount it",
			       volume->source);
	if (volume->is_path && strncmp(volume->source, "./", 2) != 0)
		return err_set(err, ERR_CONFIG,
			       "'%s' is no path in the service's folder: it begins with './'",
			       volume->source);
	if (volume->is_path) {
		if (check_inner_path(volume->source, err) < 0)
			return -1;
	} else if (check_word(volume->source, err) < 0) {
		return err_set(err, ERR_CONFIG,
			       "'%s' is no name of a volume: letters, digits, '.', '_' and '-', "
			       "and ./ before a path",
			       volume->source);
	}
	return check_absolute_path(volume->target, err);
}

static void resolve_volume_path(struct service *service, struct volume *volume, struct spec_pos pos,
				struct pool *pool, struct diags *diags)
{
	if (!needs_folder(service, pos, "a './' volume", diags))
		return;
	volume->source = plain_path(volume->source, pool);
	if (!find_file(service, volume->source) && !has_folder(service, volume->source))
		report(diags, service, pos, "there is no '%s' in '%s'", volume->source,
		       service->folder);
}

static void check_same_target(const struct service *service, size_t i, struct diags *diags)
{
	for (size_t j = 0; j < i; j++) {
		if (service->mounts[j].target &&
		    strcmp(service->mounts[j].target, service->mounts[i].target) == 0) {
			report(diags, service, service->volumes.pos[i], "'%s' is mounted twice",
			       service->mounts[i].target);
			return;
		}
	}
}

static void resolve_volumes(struct service *service, struct pool *pool, struct diags *diags)
{
	if (service->volumes.n > VOLUMES_MAX) {
		report(diags, service, service->volumes.pos[VOLUMES_MAX], "more than %d volumes",
		       VOLUMES_MAX);
		service->volumes.n = VOLUMES_MAX;
	}
	service->mounts = pool_calloc(pool, service->volumes.n, sizeof(*service->mounts));
	for (size_t i = 0; i < service->volumes.n; i++) {
		struct volume *volume = &service->mounts[i];
		struct err err = {0};

		if (split_volume(service->volumes.v[i], volume, pool, &err) < 0 ||
		    check_volume(volume, &err) < 0) {
			report(diags, service, service->volumes.pos[i], "volumes: %s", err.msg);
			continue;
		}
		if (volume->is_path)
			resolve_volume_path(service, volume, service->volumes.pos[i], pool, diags);
		check_same_target(service, i, diags);
	}
}

/* --- a compose file of the user's own ------------------------------------------------ */

static const struct yaml_node *parse_compose(struct service *service, struct pool *pool,
					     struct diags *diags)
{
	const struct service_file *file = find_file(service, service->compose);
	const char *path = pool_printf(pool, "%s/%s", service->folder, service->compose);
	const struct yaml_node *services;

	if (!file) {
		report(diags, service, service->compose_pos, "there is no file '%s' in '%s'",
		       service->compose, service->folder);
		return NULL;
	}
	if (file->len > YAML_FILE_MAX) {
		diags_add(diags, path, 0, 0, "a YAML file cannot be larger than %zu bytes",
			  YAML_FILE_MAX);
		return NULL;
	}
	service->compose_yaml = yaml_parse(path, file->data, file->len, false, pool, diags);
	if (!service->compose_yaml)
		return NULL;
	services = yaml_get(service->compose_yaml, "services");
	if (!services || services->kind != YAML_NODE_MAP || services->n == 0) {
		diags_add(diags, path, service->compose_yaml->line, service->compose_yaml->column,
			  "a compose file needs 'services', with at least one in it");
		return NULL;
	}
	return services;
}

/* Reports that the entry is not among the compose file's services, and what is. */
static void report_entry(const struct service *service, const struct yaml_node *services,
			 const char *entry, struct pool *pool, struct diags *diags)
{
	CLEANUP(strbuf_release) struct strbuf all = STRBUF_LIMITED(200);
	const char **words = pool_calloc(pool, services->n + 1, sizeof(*words));
	struct spec_pos pos = service->entry ? service->entry_pos : service->compose_pos;
	const char *near;

	for (size_t i = 0; i < services->n; i++) {
		words[i] = services->keys[i]->text;
		strbuf_addf(&all, "%s%s", i ? ", " : "", words[i]);
	}
	near = nearest_word(entry, words);
	if (!service->entry)
		report(diags, service, pos,
		       "missing key 'entry': '%s' has no service '%s'; it has %s", service->compose,
		       entry, all.buf);
	else if (near)
		report(diags, service, pos, "'%s' has no service '%s': did you mean '%s'?",
		       service->compose, entry, near);
	else
		report(diags, service, pos, "'%s' has no service '%s': it has %s", service->compose,
		       entry, all.buf);
}

static void resolve_compose(struct service *service, struct pool *pool, struct diags *diags)
{
	const struct yaml_node *services;
	const char *entry = service->entry ? service->entry : service->name;

	if (!service->compose || !needs_folder(service, service->compose_pos, "'compose'", diags))
		return;
	service->compose = plain_path(service->compose, pool);
	services = parse_compose(service, pool, diags);
	if (!services)
		return;
	if (!yaml_get(services, entry))
		report_entry(service, services, entry, pool, diags);
	service->entry = entry;
	compose_check(service, pool, diags);
}

static void check_hosts(const struct service *service, struct diags *diags)
{
	if (service->is_default || service->hosts.n > 0)
		return;
	if (yaml_has(service->yaml, "hosts") && yaml_get(service->yaml, "hosts")->n > 0)
		return; /* they are there and wrong, which is said already */
	report(diags, service, yaml_place(service->yaml, "hosts"),
	       "missing key 'hosts': the host names where it answers, or 'default: true' for all "
	       "others");
}

static void check_health(const struct service *service, struct diags *diags)
{
	if (service->health.timeout_ms > service->health.interval_ms)
		report(diags, service, yaml_place(service->yaml, "health.timeout"),
		       "health.timeout must not be longer than health.interval");
}

void service_resolve(struct service *service, struct pool *pool, struct diags *diags)
{
	check_hosts(service, diags);
	check_health(service, diags);
	if (resolve_kind(service, diags) < 0)
		return;
	check_kind_keys(service, diags);
	switch (service->kind) {
	case SERVICE_IMAGE:
		resolve_volumes(service, pool, diags);
		break;
	case SERVICE_COMPOSE:
		resolve_compose(service, pool, diags);
		break;
	case SERVICE_STATIC:
		resolve_site(service, pool, diags);
		break;
	case SERVICE_RESPOND:
		break;
	}
	if ((KIND(service->kind) & IN_CONTAINER) && service->publish == 0)
		service->publish = service_default_port(service->name);
}
