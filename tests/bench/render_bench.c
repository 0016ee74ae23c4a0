/*
 * Loads a repository and renders nodes of one cluster, memory to memory.
 *
 *	render_bench REPO CLUSTER RUNS
 *
 * Prints the seconds of loading, the median seconds of rendering one node in RUNS runs, the seconds
 * of rendering every node once, the files and bytes of one node, and the most memory in KiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "render/render.h"
#include "spec/load.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds; adds to files and bytes. */
static double render_one(const struct cluster *cluster, size_t node, size_t *files, size_t *bytes)
{
	const struct facts facts = {.root = "", .program = "/usr/bin/dynia", .certificates = ""};
	double begin = now();
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(fileset_release) struct fileset set;
	struct err err = {0};

	fileset_init(&set, pool);
	if (render_node(cluster, cluster_node(cluster, node), &facts, &set, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	*files = set.n;
	*bytes = 0;
	for (size_t i = 0; i < set.n; i++)
		*bytes += set.v[i].len;
	return now() - begin;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct spec *load(const char *path)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(source_freep) struct source *src = NULL;
	struct spec *spec = NULL;
	struct err err = {0};

	src = source_from_dir(path, &err);
	if (!src || spec_load(src, NULL, &spec, &diags, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	if (diags.n) {
		diags_print(&diags, stderr);
		exit(1);
	}
	return spec;
}

int main(int argc, char **argv)
{
	CLEANUP(spec_freep) struct spec *spec = NULL;
	const struct cluster *cluster;
	AUTO_FREE double *times = NULL;
	double begin = now(), loaded, all = 0;
	size_t runs, files = 0, bytes = 0;
	struct rusage usage;

	if (argc != 4)
		return 2;
	spec = load(argv[1]);
	loaded = now() - begin;
	cluster = spec_cluster(spec, argv[2]);
	runs = strtoul(argv[3], NULL, 10);
	if (!cluster || !runs)
		return 2;
	for (size_t i = 0; i < cluster->node_map.n; i++)
		all += render_one(cluster, i, &files, &bytes);
	times = xcalloc(runs, sizeof(*times));
	for (size_t i = 0; i < runs; i++)
		times[i] = render_one(cluster, 0, &files, &bytes);
	qsort(times, runs, sizeof(*times), by_value);
	getrusage(RUSAGE_SELF, &usage);
	printf("%.6f %.6f %.6f %zu %zu %ld\n", loaded, times[runs / 2], all, files, bytes,
	       usage.ru_maxrss);
	return 0;
}
