#include "spec/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "spec/words.h"

/* The first node's VRRP priority, and how much less each one after it has. */
#define PRIORITY_FIRST 250
#define PRIORITY_STEP 10

/* Clusters and services begin with different members, so each has its own comparison of a name with
 * an element. */
static int compare_cluster(const void *name, const void *element)
{
	return strcmp(name, ((const struct cluster *)element)->name);
}

static int compare_service(const void *name, const void *element)
{
	return strcmp(name, ((const struct service *)element)->name);
}

struct cluster *spec_cluster(const struct spec *spec, const char *name)
{
	if (spec->n_clusters == 0)
		return NULL;
	return bsearch(name, spec->clusters, spec->n_clusters, sizeof(*spec->clusters),
		       compare_cluster);
}

struct node *cluster_node(const struct cluster *cluster, size_t i)
{
	return (struct node *)cluster->node_map.v + i;
}

struct node *cluster_find_node(const struct cluster *cluster, const char *name)
{
	for (size_t i = 0; i < cluster->node_map.n; i++) {
		struct node *node = cluster_node(cluster, i);

		if (strcmp(node->name, name) == 0)
			return node;
	}
	return NULL;
}

struct service *cluster_service(const struct cluster *cluster, const char *name)
{
	if (cluster->n_services == 0)
		return NULL;
	return bsearch(name, cluster->services, cluster->n_services, sizeof(*cluster->services),
		       compare_service);
}

static bool has_label(const struct spec_pairs *labels, const struct spec_pair *want)
{
	for (size_t i = 0; i < labels->n; i++)
		if (strcmp(labels->v[i].name, want->name) == 0)
			return strcmp(labels->v[i].value, want->value) == 0;
	return false;
}

bool service_on_node(const struct service *service, const struct node *node)
{
	const struct spec_selector *nodes = &service->nodes;

	if (nodes->all)
		return true;
	for (size_t i = 0; i < nodes->names.n; i++)
		if (strcmp(nodes->names.v[i], node->name) == 0)
			return true;
	for (size_t i = 0; i < nodes->labels.n; i++)
		if (!has_label(&node->labels, &nodes->labels.v[i]))
			return false;
	return nodes->labels.n > 0;
}

const struct registry *cluster_registry(const struct cluster *cluster, const char *image)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	const struct registry *all = cluster->registry_map.v;
	const char *name = image_registry(image, pool);

	for (size_t i = 0; i < cluster->registry_map.n; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}

bool service_has_containers(const struct service *service)
{
	return service->kind == SERVICE_IMAGE || service->kind == SERVICE_COMPOSE;
}

/* Two containers that write to one volume may break what is in it. */
static bool writes_to_a_volume(const struct service *service)
{
	for (size_t i = 0; i < service->volumes.n; i++)
		if (!service->mounts[i].read_only)
			return true;
	return false;
}

bool service_starts_first(const struct service *service)
{
	if (service->kind != SERVICE_IMAGE)
		return false;
	if (service->update.order == UPDATE_AUTO)
		return !writes_to_a_volume(service);
	return service->update.order == UPDATE_START_FIRST;
}

int64_t node_priority(const struct cluster *cluster, const struct node *node)
{
	int64_t before = node - (const struct node *)cluster->node_map.v;
	int64_t priority = PRIORITY_FIRST - PRIORITY_STEP * before;

	if (node->priority)
		return node->priority;
	return priority < 1 ? 1 : priority;
}
