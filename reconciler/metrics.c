#include "reconciler/metrics.h"

#include <inttypes.h>
#include <string.h>

/* A label's value: backslash, quote and line feed are escaped (Prometheus' exposition format 0.0.4). */
static void add_value(struct strbuf *out, const char *text)
{
	strbuf_addch(out, '"');
	for (; text && *text; text++) {
		if (*text == '\n')
			strbuf_addstr(out, "\\n");
		else if (*text == '\\' || *text == '"')
			strbuf_addf(out, "\\%c", *text);
		else
			strbuf_addch(out, *text);
	}
	strbuf_addch(out, '"');
}

static void add_label(struct strbuf *out, const char *before, const char *name, const char *text)
{
	strbuf_addf(out, "%s%s=", before, name);
	add_value(out, text);
}

static void add_family(struct strbuf *out, const char *name, const char *type, const char *help)
{
	strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_number(struct strbuf *out, const char *name, const char *type, const char *help,
		       int64_t value)
{
	add_family(out, name, type, help);
	strbuf_addf(out, "%s %" PRId64 "\n", name, value);
}

static void add_identity(const struct node_status *s, struct strbuf *out)
{
	add_family(out, "dynia_info", "gauge", "The agent and what it is at.");
	add_label(out, "dynia_info{", "version", s->agent_version);
	add_label(out, ",", "cluster", s->cluster);
	add_label(out, ",", "node", s->node);
	add_label(out, ",", "applied", s->applied);
	add_label(out, ",", "desired", s->desired);
	strbuf_addstr(out, "} 1\n");
}

static void add_conditions(const struct node_status *s, struct strbuf *out)
{
	add_family(out, "dynia_condition", "gauge",
		   "A condition of the node: 1 true, 0 false, -1 unknown.");
	for (size_t i = 0; i < s->n_conditions; i++) {
		const char *status = s->conditions[i].status;

		add_label(out, "dynia_condition{", "type", s->conditions[i].type);
		add_label(out, ",", "reason", s->conditions[i].reason);
		strbuf_addf(out, "} %d\n",
			    strcmp(status, "True") == 0    ? 1
			    : strcmp(status, "False") == 0 ? 0
							   : -1);
	}
}

static void add_services(const struct node_status *s, struct strbuf *out)
{
	add_family(out, "dynia_service_healthy", "gauge", "Is the service healthy? 1 yes, 0 no.");
	for (size_t i = 0; i < s->n_services; i++) {
		add_label(out, "dynia_service_healthy{", "service", s->services[i].name);
		strbuf_addf(out, "} %d\n", strcmp(s->services[i].health, "healthy") == 0);
	}
}

/* Nothing before a commit was taken: a zero would read as one that took no time. */
static void add_took(const struct pass_counts *counts, struct strbuf *out)
{
	if (!counts->took.revision[0])
		return;
	add_family(out, "dynia_commit_seconds", "gauge",
		   "How long the node took to take the last new commit, part by part.");
	for (size_t i = 0; i < TOOK_PARTS; i++) {
		add_label(out, "dynia_commit_seconds{", "part", took_part_name((enum took_part)i));
		strbuf_addf(out, "} %.3f\n", (double)counts->took.ms[i] / 1000);
	}
	add_family(out, "dynia_commit_found_timestamp_seconds", "gauge",
		   "When the pass began that found that commit.");
	strbuf_addf(out, "dynia_commit_found_timestamp_seconds %.3f\n",
		    (double)counts->took_began_ms / 1000);
}

void metrics_text(const struct node_status *s, const struct pass_counts *counts, struct strbuf *out)
{
	add_identity(s, out);
	add_conditions(s, out);
	add_services(s, out);
	add_number(out, "dynia_generation", "gauge", "Number of the generation that is applied.",
		   s->generation);
	add_number(out, "dynia_changed_timestamp_seconds", "gauge",
		   "When something was changed last.", s->changed_at_s);
	add_number(out, "dynia_passes_total", "counter", "Passes since the agent was started.",
		   (int64_t)counts->passes);
	add_number(out, "dynia_passes_failed_total", "counter", "Those of them that failed.",
		   (int64_t)counts->failed);
	add_number(out, "dynia_passes_asked_total", "counter",
		   "Those of them that a webhook asked for.", (int64_t)counts->asked);
	add_number(out, "dynia_last_pass_timestamp_seconds", "gauge", "When the last pass ended.",
		   counts->last_at_s);
	add_family(out, "dynia_last_pass_seconds", "gauge", "How long the last pass took.");
	strbuf_addf(out, "dynia_last_pass_seconds %.3f\n", (double)counts->last_ms / 1000);
	add_took(counts, out);
}

void metrics_health(const struct node_status *s, struct strbuf *out)
{
	const struct condition *ready = status_condition(s, "Ready");
	const char *health = status_health(s);

	strbuf_addf(out, "%s at %.7s", health, s->applied ? s->applied : "nothing");
	if (ready && strcmp(health, "healthy") != 0)
		strbuf_addf(out, ": %s", ready->reason);
	strbuf_addch(out, '\n');
}
