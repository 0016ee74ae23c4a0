/* Fuzzes status.json of another node: what is read of it is clean, fits, and can be written and read again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "reconciler/metrics.h"
#include "reconciler/report.h"
#include "reconciler/status.h"
#include "tests/fuzz/fuzz.h"

static void assert_clean(const char *text)
{
	assert(!text || strlen(text) <= STATUS_TEXT_MAX);
	for (; text && *text; text++)
		assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void look(const struct node_status *s, struct pool *pool)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	const struct pass_counts counts = {0};

	assert_clean(s->cluster);
	assert_clean(s->node);
	assert_clean(s->address);
	assert_clean(s->high_water);
	for (size_t i = 0; i < s->n_conditions; i++)
		assert_clean(s->conditions[i].message);
	for (size_t i = 0; i < s->n_services; i++)
		assert_clean(s->services[i].name);
	status_health(s);
	if (status_condition(s, "Ready") && status_condition(s, "Reconciling"))
		assert(report_subject(s, pool));
	assert(took_total_ms(&s->took) >= 0);
	took_text(&s->took, &text);
	assert_clean(text.buf);
	metrics_health(s, &text);
	metrics_text(s, &counts, &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	struct node_status status, again;
	struct err err = {0};
	json_t *object;
	char *text;

	if (status_from_json((const char *)data, size, pool, &status, &err) < 0) {
		assert(err.code == ERR_CONFIG);
		return 0;
	}
	look(&status, pool);
	object = status_to_json(&status);
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	assert(text && status_from_json(text, strlen(text), pool, &again, &err) == 0);
	assert(again.n_conditions == status.n_conditions && again.n_services == status.n_services);
	free(text);
	json_decref(object);
	return 0;
}
