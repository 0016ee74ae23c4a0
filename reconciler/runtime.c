#include "reconciler/runtime.h"

#include "spec/model.h"

static const struct {
	const char *name;
	const struct runtime_ops
		*ops; /* NULL: rendered, planned and checked, but not run by this version */
} runtimes[] = {
	[RUNTIME_SYSTEM] = {"system", NULL},
	[RUNTIME_CONTAINER] = {"container", NULL},
	[RUNTIME_PROCESS] = {"process", &runtime_process},
};

const struct runtime_ops *runtime_find(int runtime, struct err *err)
{
	if (!runtimes[runtime].ops)
		err_set(err, ERR_CONFIG,
			"this version of dynia cannot run 'ingress.runtime: %s' yet: use 'process'",
			runtimes[runtime].name);
	return runtimes[runtime].ops;
}
