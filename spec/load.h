/*
 * Reads a whole repository: every cluster, every service, and the files that services bring; then
 * checks across files (spec/check.h). What is wrong goes to diags; only what keeps it from being
 * read at all is an error.
 *
 *	struct diags diags = DIAGS_INIT;
 *	CLEANUP(spec_freep) struct spec *spec = NULL;
 *	if (spec_load(src, NULL, &spec, &diags, err) < 0) …      the source failed
 *	if (diags.n) { diags_sort(&diags); diags_print(&diags, stderr); … }
 *
 * Limits: a YAML file 1 MiB, another file 16 MiB, a repository 256 MiB and 20,000 files, 100
 * clusters, 10,000 services.
 */
#ifndef SPEC_LOAD_H
#define SPEC_LOAD_H

#include "base/diag.h"
#include "base/err.h"
#include "spec/model.h"
#include "spec/source.h"

/* `only` names the one cluster to load, or NULL for all. *ret_spec is set also where there are
 * diagnostics (what could be read is in it, but must not be rendered); NULL on error. */
int spec_load(struct source *src, const char *only, struct spec **ret_spec, struct diags *diags,
	      struct err *err);
void spec_free(struct spec *spec);
void spec_freep(struct spec **spec);

/* agent.yaml of this node: `data` is the file's content, `path` is for messages. Allocated in the
 * pool. */
struct agent_config *agent_config_load(const char *path, const char *data, size_t len,
				       struct pool *pool, struct diags *diags);
/* What no single row says: keys that need another. root is the map that the config was read from. */
void agent_config_check(const struct agent_config *config, const char *path,
			const struct yaml_node *root, struct diags *diags);

/* secrets.yaml: one flat map of name to string. */
struct spec_pairs *secrets_load(const char *path, const char *data, size_t len, struct pool *pool,
				struct diags *diags);

#endif
