#include "spec/compose_file.h"

#include <string.h>

#include "base/cleanup.h"

#define MERGE_DEPTH_MAX 8

static const struct yaml_node *get_merged(const struct yaml_node *map, const char *key, int depth)
{
	const struct yaml_node *found, *merge;

	if (!map || map->kind != YAML_NODE_MAP || depth > MERGE_DEPTH_MAX)
		return NULL;
	found = yaml_get(map, key);
	merge = yaml_get(map, "<<");
	if (found || !merge)
		return found;
	if (merge->kind == YAML_NODE_MAP)
		return get_merged(merge, key, depth + 1);
	for (size_t i = 0; merge->kind == YAML_NODE_LIST && i < merge->n && !found; i++)
		found = get_merged(merge->items[i], key, depth + 1);
	return found;
}

const struct yaml_node *compose_get(const struct yaml_node *map, const char *key)
{
	return get_merged(map, key, 0);
}

static const char *text_of(const struct yaml_node *node)
{
	return node && node->kind == YAML_NODE_SCALAR ? node->text : NULL;
}

bool compose_is_optional(const struct yaml_node *part)
{
	const struct yaml_node *profiles = compose_get(part, "profiles");

	return profiles && profiles->n > 0;
}

bool compose_runs_once(const struct yaml_node *part)
{
	const char *restart = text_of(compose_get(part, "restart"));

	return !restart || strcmp(restart, "no") == 0 || strncmp(restart, "on-failure", 10) == 0;
}

/* --- what is refused ----------------------------------------------------------------- */

struct check {
	const struct service *service;
	const char *path; /* of the compose file, in the repository */
	const char *part;
	struct diags *diags;
};

__attribute__((format(printf, 3, 4))) static void
refuse(const struct check *c, const struct yaml_node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diags_vadd(c->diags, c->path, at->line, at->column, fmt, ap);
	va_end(ap);
}

/* Does a relative path lead out of the folder that it is relative to? */
static bool leads_out(const char *path)
{
	int depth = 0;

	if (path[0] == '/')
		return false;
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && strncmp(path, "..", 2) == 0)
			depth--;
		else if (len > 0 && !(len == 1 && path[0] == '.'))
			depth++;
		if (depth < 0)
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}

static void check_path(const struct check *c, const struct yaml_node *at, const char *path)
{
	if (leads_out(path))
		refuse(c, at, "'%s' leads out of the service's folder: put the file into it", path);
	else if (path[0] == '~')
		refuse(c, at, "'%s' is nobody's home on a node: write the whole path", path);
}

/* The part of "SOURCE:TARGET" before the ':', or NULL where it is no path. */
static const char *short_source(const char *text, struct pool *pool)
{
	size_t len = strcspn(text, ":");

	if (text[len] != ':' || !strchr("./~", text[0]))
		return NULL;
	return pool_memdup(pool, text, len);
}

static const char *volume_source(const struct yaml_node *volume, struct pool *pool)
{
	const char *type;

	if (volume->kind == YAML_NODE_SCALAR)
		return short_source(volume->text, pool);
	type = text_of(compose_get(volume, "type"));
	return type && strcmp(type, "bind") == 0 ? text_of(compose_get(volume, "source")) : NULL;
}

static void check_volumes(const struct check *c, const struct yaml_node *part, struct pool *pool)
{
	const struct yaml_node *volumes = compose_get(part, "volumes");

	for (size_t i = 0; volumes && volumes->kind == YAML_NODE_LIST && i < volumes->n; i++) {
		const char *source = volume_source(volumes->items[i], pool);

		if (source)
			check_path(c, volumes->items[i], source);
	}
}

static void check_env_files(const struct check *c, const struct yaml_node *part)
{
	const struct yaml_node *files = compose_get(part, "env_file");

	if (text_of(files))
		check_path(c, files, files->text);
	for (size_t i = 0; files && files->kind == YAML_NODE_LIST && i < files->n; i++)
		if (text_of(files->items[i]))
			check_path(c, files->items[i], files->items[i]->text);
}

static void check_image(const struct check *c, const struct yaml_node *part)
{
	const struct yaml_node *build = compose_get(part, "build");

	if (compose_get(part, "image"))
		return;
	if (build)
		refuse(c, build,
		       "'build' of '%s': a node builds no image: push it, and name it with 'image'",
		       c->part);
	else if (!compose_get(part, "extends"))
		refuse(c, part, "'%s' has no 'image'", c->part);
}

static void check_extends(const struct check *c, const struct yaml_node *part)
{
	const struct yaml_node *extends = compose_get(part, "extends");

	if (extends && compose_get(extends, "file"))
		refuse(c, extends, "'extends' of another file is not followed: write '%s' out here",
		       c->part);
}

/* A service has one container on a node: what is counted, published and looked at. */
static void check_scale(const struct check *c, const struct yaml_node *part)
{
	const struct yaml_node *scale = compose_get(part, "scale");
	const struct yaml_node *deploy = compose_get(part, "deploy");
	const struct yaml_node *replicas = deploy ? compose_get(deploy, "replicas") : NULL;
	const struct yaml_node *at = scale ? scale : replicas;

	if (at && text_of(at) && strcmp(at->text, "1") != 0)
		refuse(c, at, "'%s' has one container on a node, not '%s'", c->part, at->text);
}

/* What the override adds to the entry excludes these. */
static void check_entry(const struct check *c, const struct yaml_node *part)
{
	const struct yaml_node *mode = compose_get(part, "network_mode");
	const struct yaml_node *profiles = compose_get(part, "profiles");

	if (mode)
		refuse(c, mode,
		       "'network_mode' of '%s', which answers for the service: it joins the "
		       "cluster's network, and is published by 'port'",
		       c->part);
	if (profiles && profiles->n > 0)
		refuse(c, profiles, "'%s' answers for the service: it cannot have 'profiles'",
		       c->part);
}

/* Files of the top level's configs and secrets. */
static void check_top_files(const struct check *c, const char *key)
{
	const struct yaml_node *map = yaml_get(c->service->compose_yaml, key);

	for (size_t i = 0; map && map->kind == YAML_NODE_MAP && i < map->n; i++) {
		const struct yaml_node *file = compose_get(map->items[i], "file");

		if (text_of(file))
			check_path(c, file, file->text);
	}
}

void compose_check(const struct service *service, struct pool *pool, struct diags *diags)
{
	const struct yaml_node *services = yaml_get(service->compose_yaml, "services");
	const struct yaml_node *include = yaml_get(service->compose_yaml, "include");
	struct check c = {
		.service = service,
		.path = pool_printf(pool, "%s/%s", service->folder, service->compose),
		.diags = diags,
	};

	if (include)
		refuse(&c, include, "'include' is not followed: write it in one file");
	check_top_files(&c, "configs");
	check_top_files(&c, "secrets");
	for (size_t i = 0; i < services->n; i++) {
		const struct yaml_node *part = services->items[i];

		c.part = services->keys[i]->text;
		if (part->kind != YAML_NODE_MAP) {
			refuse(&c, part, "service '%s' is no map", c.part);
			continue;
		}
		check_image(&c, part);
		check_extends(&c, part);
		check_scale(&c, part);
		check_volumes(&c, part, pool);
		check_env_files(&c, part);
		if (strcmp(c.part, service->entry) == 0)
			check_entry(&c, part);
	}
}

/* --- what a container is made from --------------------------------------------------- */

static void add_tree(struct sha256 *state, const struct yaml_node *node)
{
	static const char *const marks[] = {"s", "l", "m"};

	sha256_add_str(state, marks[node->kind]);
	if (node->kind == YAML_NODE_SCALAR) {
		sha256_add_str(state, node->plain ? "p" : "q");
		sha256_add_str(state, node->text);
	}
	for (size_t i = 0; i < node->n; i++) {
		if (node->kind == YAML_NODE_MAP)
			sha256_add_str(state, node->keys[i]->text);
		add_tree(state, node->items[i]);
	}
	sha256_add_str(state, "e");
}

/* What is beside `services`, without the extensions. */
static void add_top(struct sha256 *state, const struct yaml_node *file)
{
	for (size_t i = 0; i < file->n; i++) {
		const char *key = file->keys[i]->text;

		if (strcmp(key, "services") == 0 || strncmp(key, "x-", 2) == 0)
			continue;
		sha256_add_str(state, key);
		add_tree(state, file->items[i]);
	}
}

/* The path of a file of the service without "./", the compose file's own folder before it. */
static const char *inner_path(const struct service *service, const char *path, struct pool *pool)
{
	const char *slash = strrchr(service->compose, '/');
	int folder = slash ? (int)(slash + 1 - service->compose) : 0;

	while (strncmp(path, "./", 2) == 0)
		path += 2;
	return pool_printf(pool, "%.*s%s", folder, service->compose, path);
}

static bool add_files(const struct service *service, struct sha256 *files, const char *source,
		      struct pool *pool)
{
	/* What only compose can resolve may be any of them. */
	bool all = strchr(source, '$') != NULL;
	const char *path = inner_path(service, source, pool);
	size_t len = strlen(path);
	bool found = false;

	while (len && path[len - 1] == '/')
		len--;
	if (len && path[len - 1] == '.' && (len == 1 || path[len - 2] == '/'))
		len--;
	for (size_t i = 0; source[0] != '/' && i < service->n_files; i++) {
		const struct service_file *file = &service->files[i];
		char content[SHA256_HEX_SIZE];

		if (!all && len > 0 &&
		    (strncmp(file->path, path, len) != 0 ||
		     (file->path[len] != '\0' && file->path[len] != '/' && path[len - 1] != '/')))
			continue;
		/* A comment in it restarts nothing. */
		if (strcmp(file->path, service->compose) == 0)
			continue;
		sha256_hex(file->data, file->len, content);
		sha256_add_str(files, file->path);
		sha256_add_str(files, content);
		sha256_add_str(files, file->executable ? "x" : "");
		found = true;
	}
	return found;
}

static bool add_mounted(const struct service *service, const struct yaml_node *part,
			struct sha256 *files, struct pool *pool)
{
	const struct yaml_node *volumes = compose_get(part, "volumes");
	const struct yaml_node *env = compose_get(part, "env_file");
	bool found = false;

	for (size_t i = 0; volumes && volumes->kind == YAML_NODE_LIST && i < volumes->n; i++) {
		const char *source = volume_source(volumes->items[i], pool);

		if (source)
			found |= add_files(service, files, source, pool);
	}
	if (text_of(env))
		found |= add_files(service, files, env->text, pool);
	for (size_t i = 0; env && env->kind == YAML_NODE_LIST && i < env->n; i++)
		if (text_of(env->items[i]))
			found |= add_files(service, files, env->items[i]->text, pool);
	return found;
}

static bool add_top_files(const struct service *service, const struct yaml_node *part,
			  const char *key, struct sha256 *files, struct pool *pool)
{
	const struct yaml_node *map = yaml_get(service->compose_yaml, key);
	bool found = false;

	if (!compose_get(part, key))
		return false;
	for (size_t i = 0; map && map->kind == YAML_NODE_MAP && i < map->n; i++) {
		const char *file = text_of(compose_get(map->items[i], "file"));

		if (file)
			found |= add_files(service, files, file, pool);
	}
	return found;
}

bool compose_digest(const struct service *service, const struct yaml_node *part,
		    struct sha256 *state, char ret_files[SHA256_HEX_SIZE])
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const struct yaml_node *extends = compose_get(part, "extends");
	struct sha256 *files = sha256_begin();
	bool found;

	add_tree(state, part);
	if (extends)
		add_tree(state, yaml_get(service->compose_yaml, "services"));
	add_top(state, service->compose_yaml);
	found = add_mounted(service, part, files, pool);
	found |= add_top_files(service, part, "configs", files, pool);
	found |= add_top_files(service, part, "secrets", files, pool);
	/* Compose takes variables from it. */
	found |= add_files(service, files, ".env", pool);
	sha256_end(files, ret_files);
	sha256_add_str(state, ret_files);
	return found;
}
