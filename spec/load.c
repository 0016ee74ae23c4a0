#include "spec/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "spec/check.h"
#include "spec/load_service.h"
#include "spec/tables.h"
#include "spec/words.h"

#define OTHER_FILE_MAX ((size_t)16 << 20)
#define REPOSITORY_MAX ((size_t)256 << 20)
#define FILES_MAX 20000
#define CLUSTERS_MAX 100
#define SERVICES_MAX 10000
/* Folders below a service's folder. */
#define FOLDER_DEPTH_MAX 16

struct loader {
	struct source *src;
	struct pool *pool;
	struct diags *diags;
	const char *only;
	size_t files;
	size_t bytes;
	size_t services;
	bool full; /* a limit of the whole repository was reported: nothing more is read */
};

__attribute__((format(printf, 3, 4))) static void report(struct loader *l, const char *path,
							 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diags_vadd(l->diags, path, 0, 0, fmt, ap);
	va_end(ap);
}

static void report_full(struct loader *l, const char *path, const char *what)
{
	if (!l->full)
		report(l, path,
		       "with this, the repository holds more than %s: the rest was not read", what);
	l->full = true;
}

/* --- reading ------------------------------------------------------------------------- */

/* 1 and the entries, 0 where there is nothing to go on with (reported, or no such folder), -1 on
 * error. */
static int list_folder(struct loader *l, const char *dir, struct source_list *ret, struct err *err)
{
	int r = source_list(l->src, dir, l->pool, ret, err);

	if (r < 0 && err->code == ERR_LIMIT) {
		report(l, dir, "the folder has more than %d entries", SOURCE_DIR_MAX);
		err_clear(err);
		return 0;
	}
	return r;
}

/* The same for a file's content. */
static int read_file(struct loader *l, const char *path, size_t limit, const char **ret_data,
		     size_t *ret_len, struct err *err)
{
	int r;

	if (l->full)
		return 0;
	if (++l->files > FILES_MAX) {
		report_full(l, path, "20,000 files");
		return 0;
	}
	r = source_read(l->src, path, limit, l->pool, ret_data, ret_len, err);
	if (r < 0 && err->code == ERR_LIMIT) {
		report(l, path, "the file is larger than %zu MiB", limit >> 20);
		err_clear(err);
		return 0;
	}
	if (r > 0)
		l->bytes += *ret_len;
	if (r > 0 && l->bytes > REPOSITORY_MAX) {
		report_full(l, path, "256 MiB");
		return 0;
	}
	return r;
}

static int read_yaml(struct loader *l, const char *path, const struct yaml_node **ret,
		     struct err *err)
{
	const char *data;
	size_t len;
	int r = read_file(l, path, YAML_FILE_MAX, &data, &len, err);

	if (r > 0)
		*ret = yaml_parse(path, data, len, true, l->pool, l->diags);
	return r < 0 ? -1 : 0;
}

/* Reports what can never be part of a repository. */
static bool is_file_or_folder(struct loader *l, const char *path, const struct source_entry *entry)
{
	if (entry->type == SOURCE_SYMLINK)
		report(l, path, "is a symlink, which is never followed: put the file itself here");
	else if (entry->type == SOURCE_OTHER)
		report(l, path, "is neither a file nor a folder");
	else
		return true;
	return false;
}

static int compare_entry(const void *name, const void *entry)
{
	return strcmp(name, ((const struct source_entry *)entry)->name);
}

static const struct source_entry *find_entry(const struct source_list *list, const char *name)
{
	if (list->n == 0)
		return NULL;
	return bsearch(name, list->v, list->n, sizeof(*list->v), compare_entry);
}

static bool has_file(const struct source_list *list, const char *name)
{
	const struct source_entry *entry = find_entry(list, name);

	return entry && entry->type == SOURCE_FILE;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len >= end && strcmp(name + len - end, suffix) == 0;
}

/* Files that people and tools leave everywhere, and that mean nothing here. */
static bool is_ignored(const struct source_entry *entry)
{
	return entry->name[0] == '.' || has_suffix(entry->name, ".md");
}

/* --- a service ----------------------------------------------------------------------- */

/* The files of a service's folder while they are collected. */
struct folder {
	const char *path;
	struct service_file *v;
	size_t n, alloc;
};

static void folder_release(struct folder *folder)
{
	free(folder->v);
}

static int add_file(struct loader *l, struct folder *folder, const char *inner,
		    const struct source_entry *entry, struct err *err)
{
	const char *path = pool_printf(l->pool, "%s/%s", folder->path, inner);
	struct service_file file = {.path = inner, .executable = entry->executable};
	int r;

	if (strcmp(inner, COMPOSE_OVERRIDE) == 0) {
		report(l, path,
		       "this name is kept for the override that is written beside the compose "
		       "file");
		return 0;
	}
	r = read_file(l, path, OTHER_FILE_MAX, &file.data, &file.len, err);
	if (r <= 0)
		return r;
	GROW(folder->v, folder->n, folder->alloc);
	folder->v[folder->n++] = file;
	return 0;
}

/* Reads what is in `inner`, a folder below the service's ("" for that one itself). */
static int add_files(struct loader *l, struct folder *folder, const char *inner, unsigned depth,
		     struct err *err)
{
	const char *dir =
		inner[0] ? pool_printf(l->pool, "%s/%s", folder->path, inner) : folder->path;
	struct source_list list;
	int r;

	if (depth > FOLDER_DEPTH_MAX) {
		report(l, dir, "folders are nested more than %d deep", FOLDER_DEPTH_MAX);
		return 0;
	}
	r = list_folder(l, dir, &list, err);
	for (size_t i = 0; r > 0 && i < list.n && !l->full; i++) {
		const struct source_entry *entry = &list.v[i];
		const char *path = pool_printf(l->pool, "%s/%s", dir, entry->name);
		const char *name = inner[0] ? path + strlen(folder->path) + 1 : entry->name;
		struct err why = {0};

		if (depth == 0 && strcmp(entry->name, "service.yaml") == 0)
			continue;
		if (!is_file_or_folder(l, path, entry))
			continue;
		if (check_file_name(entry->name, &why) < 0)
			report(l, path, "%s", why.msg);
		else if (entry->type == SOURCE_DIR ? add_files(l, folder, name, depth + 1, err) < 0
						   : add_file(l, folder, name, entry, err) < 0)
			return -1;
	}
	return r < 0 ? -1 : 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct service_file *)a)->path,
		      ((const struct service_file *)b)->path);
}

static int load_folder(struct loader *l, struct service *service, struct err *err)
{
	CLEANUP(folder_release) struct folder folder = {.path = service->folder};

	if (add_files(l, &folder, "", 0, err) < 0)
		return -1;
	service->n_files = folder.n;
	service->files = pool_calloc(l->pool, folder.n, sizeof(*service->files));
	if (folder.n) {
		qsort(folder.v, folder.n, sizeof(*folder.v), by_path);
		memcpy(service->files, folder.v, folder.n * sizeof(*folder.v));
	}
	return 0;
}

/* Fills in a service whose name and path are set, and its folder where it has one. */
static int load_service(struct loader *l, struct service *service, struct err *err)
{
	if (read_yaml(l, service->path, &service->yaml, err) < 0)
		return -1;
	if (service->folder && load_folder(l, service, err) < 0)
		return -1;
	if (!service->yaml)
		return 0;
	table_load(service_table, service->path, service->yaml, service, l->pool, l->diags);
	if (service->yaml->kind == YAML_NODE_MAP)
		service_resolve(service, l->pool, l->diags);
	return 0;
}

/* --- the services of a cluster ------------------------------------------------------- */

/* The name of the service that an entry of services/ is; NULL where it is none (reported). */
static const char *service_name(struct loader *l, const char *path, const struct source_list *list,
				const struct source_entry *entry)
{
	const char *name = entry->name;
	struct err why = {0};

	if (!is_file_or_folder(l, path, entry))
		return NULL;
	if (entry->type == SOURCE_FILE) {
		if (has_suffix(name, ".yml")) {
			report(l, path, "rename it to '%.*s.yaml'", (int)(strlen(name) - 4), name);
			return NULL;
		}
		if (!has_suffix(name, ".yaml")) {
			report(l, path,
			       "is no service: a service is NAME.yaml, or a folder with "
			       "service.yaml in it");
			return NULL;
		}
		name = pool_memdup(l->pool, name, strlen(name) - strlen(".yaml"));
	}
	if (check_name(name, &why) < 0) {
		report(l, path, "%s", why.msg);
		return NULL;
	}
	if (entry->type == SOURCE_DIR && has_file(list, pool_printf(l->pool, "%s.yaml", name))) {
		report(l, path, "'%s.yaml' is there too: a service is a file or a folder, not both",
		       name);
		return NULL;
	}
	return name;
}

/* Is there a service.yaml in the folder? Reports where not. 1, 0, -1 on error. */
static int has_service_file(struct loader *l, const char *dir, struct err *err)
{
	struct source_list list;
	int r = list_folder(l, dir, &list, err);

	if (r <= 0)
		return r;
	if (has_file(&list, "service.yaml"))
		return 1;
	if (has_file(&list, "service.yml"))
		report(l, pool_printf(l->pool, "%s/service.yml", dir),
		       "rename it to 'service.yaml'");
	else
		report(l, dir, "the folder of a service needs a 'service.yaml'");
	return 0;
}

static int load_entry(struct loader *l, struct cluster *cluster, const char *dir,
		      const struct source_list *list, const struct source_entry *entry,
		      struct err *err)
{
	const char *path = pool_printf(l->pool, "%s/%s", dir, entry->name);
	struct service *service = &cluster->services[cluster->n_services];
	int r;

	if (is_ignored(entry))
		return 0;
	service->name = service_name(l, path, list, entry);
	if (!service->name)
		return 0;
	service->path = path;
	if (entry->type == SOURCE_DIR) {
		r = has_service_file(l, path, err);
		if (r <= 0)
			return r;
		service->folder = path;
		service->path = pool_printf(l->pool, "%s/service.yaml", path);
	}
	if (++l->services > SERVICES_MAX) {
		report_full(l, service->path, "10,000 services");
		return 0;
	}
	cluster->n_services++;
	return load_service(l, service, err);
}

static int by_service_name(const void *a, const void *b)
{
	return strcmp(((const struct service *)a)->name, ((const struct service *)b)->name);
}

static int load_services(struct loader *l, struct cluster *cluster, const char *dir,
			 struct err *err)
{
	struct source_list list;
	int r = list_folder(l, dir, &list, err);

	if (r <= 0)
		return r;
	cluster->services = pool_calloc(l->pool, list.n, sizeof(*cluster->services));
	for (size_t i = 0; i < list.n && !l->full; i++)
		if (load_entry(l, cluster, dir, &list, &list.v[i], err) < 0)
			return -1;
	if (cluster->n_services)
		qsort(cluster->services, cluster->n_services, sizeof(*cluster->services),
		      by_service_name);
	return 0;
}

/* --- clusters ------------------------------------------------------------------------ */

/* Reports entries of a cluster's folder that look like something that is misspelt. */
static void check_cluster_entry(struct loader *l, const char *dir, const struct source_entry *entry)
{
	static const char *const known[] = {"cluster.yaml", "services", NULL};
	const char *path = pool_printf(l->pool, "%s/%s", dir, entry->name);
	const char *near;

	if (!is_file_or_folder(l, path, entry) || is_ignored(entry))
		return;
	if (strcmp(entry->name, "cluster.yaml") == 0 || strcmp(entry->name, "services") == 0) {
		if ((entry->type == SOURCE_DIR) != (entry->name[0] == 's'))
			report(l, path, "must be a %s", entry->name[0] == 's' ? "folder" : "file");
		return;
	}
	near = nearest_word(entry->name, known);
	if (strcmp(entry->name, "cluster.yml") == 0)
		report(l, path, "rename it to 'cluster.yaml'");
	else if (near)
		report(l, path, "is not read: did you mean '%s'?", near);
	else if (entry->type == SOURCE_FILE &&
		 (has_suffix(entry->name, ".yaml") || has_suffix(entry->name, ".yml")))
		report(l, path, "is not read: services are in the folder 'services'");
}

static int load_cluster(struct loader *l, struct cluster *cluster, const char *dir, struct err *err)
{
	struct source_list list;
	int r = list_folder(l, dir, &list, err);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < list.n; i++)
		check_cluster_entry(l, dir, &list.v[i]);
	cluster->path = pool_printf(l->pool, "%s/cluster.yaml", dir);
	if (!find_entry(&list, "cluster.yaml") && !find_entry(&list, "cluster.yml"))
		report(l, dir, "the folder of a cluster needs a 'cluster.yaml'");
	else if (has_file(&list, "cluster.yaml") &&
		 read_yaml(l, cluster->path, &cluster->yaml, err) < 0)
		return -1;
	if (cluster->yaml)
		table_load(cluster_table, cluster->path, cluster->yaml, cluster, l->pool, l->diags);
	if (load_services(l, cluster, pool_printf(l->pool, "%s/services", dir), err) < 0)
		return -1;
	if (cluster->yaml && cluster->yaml->kind == YAML_NODE_MAP)
		check_cluster(cluster, l->diags);
	return 0;
}

/* Is the entry of clusters/ a cluster that is to be loaded? */
static bool is_cluster(struct loader *l, const char *path, const struct source_entry *entry)
{
	struct err why = {0};

	if (!is_file_or_folder(l, path, entry))
		return false;
	if (is_ignored(entry))
		return false;
	if (entry->type != SOURCE_DIR) {
		report(l, path, "is no cluster: a cluster is a folder with 'cluster.yaml' in it");
		return false;
	}
	if (check_name(entry->name, &why) < 0) {
		report(l, path, "%s", why.msg);
		return false;
	}
	return true;
}

/* A name that was asked for and is not there. */
static void report_no_cluster(struct loader *l, const struct source_list *list)
{
	const char **words = pool_calloc(l->pool, list->n + 1, sizeof(*words));
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].type == SOURCE_DIR)
			words[n++] = list->v[i].name;
	near = nearest_word(l->only, words);
	if (near)
		report(l, "clusters", "there is no cluster '%s': did you mean '%s'?", l->only,
		       near);
	else
		report(l, "clusters", "there is no cluster '%s'", l->only);
}

static int load_clusters(struct loader *l, struct spec *spec, const struct source_list *list,
			 struct err *err)
{
	spec->clusters = pool_calloc(l->pool, list->n, sizeof(*spec->clusters));
	for (size_t i = 0; i < list->n && !l->full; i++) {
		const struct source_entry *entry = &list->v[i];
		const char *path = pool_printf(l->pool, "clusters/%s", entry->name);

		if (l->only && strcmp(entry->name, l->only) != 0)
			continue;
		if (!is_cluster(l, path, entry))
			continue;
		if (spec->n_clusters == CLUSTERS_MAX) {
			report_full(l, path, "100 clusters");
			break;
		}
		spec->clusters[spec->n_clusters].name = entry->name;
		if (load_cluster(l, &spec->clusters[spec->n_clusters++], path, err) < 0)
			return -1;
	}
	if (spec->n_clusters == 0 && l->diags->n == 0) {
		if (l->only)
			report_no_cluster(l, list);
		else
			report(l, "clusters",
			       "there is no cluster: make 'clusters/NAME/cluster.yaml'");
	}
	return 0;
}

int spec_load(struct source *src, const char *only, struct spec **ret_spec, struct diags *diags,
	      struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct loader l = {.src = src, .pool = pool, .diags = diags, .only = only};
	struct spec *spec = pool_alloc(pool, sizeof(*spec));
	struct source_list list = {0};

	*ret_spec = NULL;
	if (list_folder(&l, "clusters", &list, err) < 0 || load_clusters(&l, spec, &list, err) < 0)
		return -1;
	spec->pool = STEAL(pool);
	*ret_spec = spec;
	return 0;
}

void spec_free(struct spec *spec)
{
	if (spec)
		pool_free(spec->pool);
}

void spec_freep(struct spec **spec)
{
	spec_free(*spec);
	*spec = NULL;
}
