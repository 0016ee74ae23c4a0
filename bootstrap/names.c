#include "bootstrap/names.h"

#include "base/cleanup.h"
#include "base/hash.h"

/* Easy to say and to spell; nothing that reads as a state of a machine or of a service. */
static const char *const firsts[] = {
	"amber",  "ample",  "azure",  "balmy",  "bold",   "brave",  "bright", "brisk",
	"calm",   "candid", "clever", "coral",  "crisp",  "daring", "deft",   "eager",
	"early",  "fair",   "fancy",  "fleet",  "fond",   "frank",  "fresh",  "gentle",
	"glad",   "golden", "grand",  "happy",  "hardy",  "humble", "jolly",  "keen",
	"kind",   "lively", "loyal",  "lucky",  "mellow", "merry",  "mild",   "misty",
	"modest", "neat",   "nimble", "noble",  "plucky", "polite", "proud",  "quick",
	"quiet",  "rapid",  "royal",  "rustic", "sandy",  "sharp",  "silver", "smart",
	"snowy",  "stout",  "sunny",  "swift",  "tidy",   "vivid",  "warm",   "witty",
};

static const char *const seconds[] = {
	"badger", "bear",    "beaver", "bison", "camel",   "cat",     "condor", "coyote",
	"crane",  "cricket", "deer",   "dingo", "dolphin", "dove",    "eagle",  "egret",
	"elk",    "falcon",  "ferret", "finch", "fox",     "gecko",   "goose",  "heron",
	"horse",  "ibis",    "jackal", "jay",   "koala",   "lark",    "lemur",  "lion",
	"llama",  "lynx",    "marten", "mole",  "moose",   "newt",    "ocelot", "orca",
	"otter",  "owl",     "panda",  "pika",  "plover",  "puffin",  "quail",  "rabbit",
	"raven",  "robin",   "seal",   "shrew", "sloth",   "sparrow", "stork",  "swan",
	"tapir",  "tern",    "tiger",  "toad",  "trout",   "turtle",  "walrus", "wren",
};

#define COUNT (ARRAY_SIZE(firsts) * ARRAY_SIZE(seconds))
/* No divisor in common with COUNT, a power of two: each step leads to another pair, and all come. */
#define STRIDE 1571

static const char *name_at(uint64_t at, struct pool *pool)
{
	size_t i = at % COUNT;

	return pool_printf(pool, "%s-%s", firsts[i % ARRAY_SIZE(firsts)],
			   seconds[i / ARRAY_SIZE(firsts)]);
}

const char *node_name_first(const char *cluster, struct pool *pool)
{
	return name_at(fnv1a64(cluster), pool);
}

const char *node_name_propose(const struct cluster *cluster, unsigned i, struct pool *pool)
{
	uint64_t at = fnv1a64(cluster->name);

	for (size_t n = 0; n < COUNT; n++, at += STRIDE) {
		const char *name = name_at(at, pool);

		if (!cluster_find_node(cluster, name) && !i--)
			return name;
	}
	return name_at(at, pool);
}
