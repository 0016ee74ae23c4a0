#include "reconciler/candidate.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "reconciler/plan_programs.h"
#include "reconciler/runtime.h"
#include "render/render.h"

#define DIAGS_LOGGED_MAX 20

void candidate_init(struct candidate *c)
{
	memset(c, 0, sizeof(*c));
	c->pool = pool_new();
	c->plan.pool = c->pool;
	fileset_init(&c->files, c->pool);
	index_init(&c->want);
}

void candidate_release(struct candidate *c)
{
	plan_release(&c->plan);
	fileset_release(&c->files);
	index_release(&c->want);
	spec_free(c->spec);
	pool_free(c->pool);
	memset(c, 0, sizeof(*c));
}

/* --- load ---------------------------------------------------------------------------- */

static int load_spec(struct agent *agent, const char *revision, struct spec **ret,
		     struct diags *diags, struct err *err)
{
	CLEANUP(source_freep) struct source *src = NULL;

	if (snapshot_open(agent->mirror, revision, &src, err) < 0)
		return -1;
	return spec_load(src, agent->cluster, ret, diags, err);
}

/* All of them go to the log; the first stands for them in the status. */
static int refuse(struct diags *diags, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf first = STRBUF_INIT;

	diags_sort(diags);
	for (size_t i = 0; i < diags->n && i < DIAGS_LOGGED_MAX; i++) {
		CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

		diag_text(&diags->v[i], &line);
		log_error("%s", line.buf);
	}
	diag_text(&diags->v[0], &first);
	if (diags->n == 1)
		return err_set(err, ERR_CONFIG, "%s", first.buf);
	return err_set(err, ERR_CONFIG, "%s (and %zu more: run dynia validate)", first.buf,
		       diags->n - 1);
}

int candidate_load(struct candidate *c, struct agent *agent, const char *revision, struct err *err)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;

	memcpy(c->revision, revision, GIT_OID_HEX);
	if (load_spec(agent, revision, &c->spec, &diags, err) < 0)
		return -1;
	if (diags.n)
		return refuse(&diags, err);
	c->cluster = spec_cluster(c->spec, agent->cluster);
	if (!c->cluster)
		return err_set(err, ERR_CONFIG, "the repository has no cluster '%s': see clusters/",
			       agent->cluster);
	c->node = cluster_find_node(c->cluster, agent->node);
	if (!c->node)
		return err_set(err, ERR_UNNAMED,
			       "%s has no node '%s': add it to 'nodes:', or take its machine away "
			       "with dynia bootstrap apply",
			       c->cluster->path, agent->node);
	return runtime_check(&agent->root, c->cluster->ingress.runtime, err);
}

bool candidate_needs_peers(const struct candidate *c)
{
	for (size_t i = 0; i < c->cluster->node_map.n; i++)
		if (!cluster_node(c->cluster, i)->address)
			return true;
	return false;
}

int candidate_render(struct candidate *c, struct node_facts *nf, struct err *err)
{
	const struct certificates *certificates =
		node_certificates(nf, c->cluster->ingress.runtime);

	nf->facts.certificates = certificates->digest;
	nf->facts.certificate_files = certificates->good;
	nf->facts.n_certificate_files = certificates->n_good;
	if (render_node(c->cluster, c->node, &nf->facts, &c->files, err) < 0)
		return -1;
	index_from_fileset(&c->want, &c->files);
	records_from_fileset(&c->files, c->pool, &c->containers);
	watch_from_cluster(c->cluster, c->node, &nf->facts, &c->files, c->pool, &c->watch);
	return 0;
}

/* --- causes -------------------------------------------------------------------------- */

/* The older revision may be gone from the mirror, or have been written for another version: then
 * nothing of it is known, and the change is called a first one. */
static void spec_causes(const struct candidate *c, struct agent *agent, struct causes *ret)
{
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	CLEANUP(spec_freep) struct spec *old = NULL;
	struct err ignored;

	if (strcmp(agent->state.revision, c->revision) == 0)
		return;
	if (agent->state.revision[0] &&
	    load_spec(agent, agent->state.revision, &old, &diags, &ignored) == 0 && !diags.n)
		causes_between(spec_cluster(old, agent->cluster), c->cluster, ret);
	else
		causes_between(NULL, c->cluster, ret);
}

static void collect_causes(const struct candidate *c, struct agent *agent,
			   const struct ground *ground, const struct node_facts *nf,
			   struct causes *ret)
{
	spec_causes(c, agent, ret);
	inputs_causes(agent->state.inputs, nf->inputs, ret);
	if (ground->unfinished)
		causes_add(ret, NULL, false, "%s", ground->unfinished);
	/* The same commit and inputs give the same files: where some are news, the memory of them
	 * is gone. */
	if (!ret->n)
		causes_add(ret, NULL, false, "node: its record of what it had applied was lost");
}

/* NULL where Docker cannot say, and where nothing was ever in a container: such a node needs none. */
static const struct container_list *look_at_containers(const struct candidate *c,
						       struct agent *agent)
{
	struct err ignored;

	if (!c->containers.n && !agent->state.containers.n && agent->state.has_watch)
		return NULL;
	return services_look(agent->services, &agent->root, &ignored);
}

/* --- the plan ------------------------------------------------------------------------ */

int candidate_plan(struct candidate *c, struct agent *agent, const struct ground *ground,
		   const struct node_facts *nf, struct err *err)
{
	CLEANUP(causes_release) struct causes causes = CAUSES_INIT(c->pool);

	collect_causes(c, agent, ground, nf, &causes);
	plan_files(&c->plan, ground->now, &c->files, &c->want, &causes, ground->unfinished);
	const struct service_ground services = {
		.before = &agent->state.containers,
		.want = &c->containers,
		.seen = look_at_containers(c, agent),
		.unfinished = ground->unfinished,
		.causes = &causes,
	};
	const struct program_ground programs = {
		.root = &agent->root,
		.want = &c->watch,
		.before = agent->state.has_watch ? &agent->state.watch : NULL,
		.unfinished = ground->unfinished,
		.causes = &causes,
	};

	services_plan(&c->plan, &services);
	if (plan_programs(&c->plan, &programs, err) < 0)
		return -1;
	services_plan_removed(&c->plan, &services);
	return 0;
}
