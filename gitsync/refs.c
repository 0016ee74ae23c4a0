#include "gitsync/refs.h"

#include <git2.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"

bool is_branch_name(const char *branch)
{
	AUTO_FREE char *ref = xasprintf(HEADS_PREFIX "%s", branch);

	if (branch[0] == '-' || strcmp(branch, "status") == 0 || strncmp(branch, "status/", 7) == 0)
		return false;
	return git_reference_is_valid_name(ref) == 1;
}

bool is_status_ref(const char *ref, const char *prefix, const char *cluster)
{
	size_t prefix_len = strlen(prefix);
	const char *rest = ref + prefix_len, *slash;
	AUTO_FREE char *name = NULL;

	if (strncmp(ref, prefix, prefix_len) != 0)
		return false;
	slash = strchr(rest, '/');
	if (!slash)
		return false;
	name = xstrndup(rest, (size_t)(slash - rest));
	return is_name(name) && is_name(slash + 1) && (!cluster || strcmp(name, cluster) == 0);
}

void status_ref_split(const char *ref, const char *prefix, struct pool *pool,
		      const char **ret_cluster, const char **ret_node)
{
	const char *rest = ref + strlen(prefix);
	const char *slash = strchr(rest, '/');

	*ret_cluster = pool_memdup(pool, rest, (size_t)(slash - rest));
	*ret_node = pool_strdup(pool, slash + 1);
}
