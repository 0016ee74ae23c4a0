/* What a pass found out, to the status ref and the state file. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/process.h"
#include "base/strvec.h"
#include "gitsync/status_ref.h"
#include "reconciler/report.h"
#include "reconciler/steps.h"

static bool heartbeat_is_due(const struct pass *p, int64_t now_s)
{
	const struct state *state = &p->agent->state;

	/* After a clock that was ahead, the last one is yet to come. */
	return now_s < state->published_at_s ||
	       now_s - state->published_at_s >= p->agent->config->status.heartbeat_ms / 1000;
}

#define SIGN_MS 20000
#define SIGNATURE_MAX (16 << 10)

/* `arg` is the key's path. */
static int sign_with_ssh(void *arg, const char *payload, size_t len, struct strbuf *ret,
			 struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	struct process_spec spec = {
		.stdin_data = payload,
		.stdin_len = len,
		.cwd = "/",
		.timeout_ms = SIGN_MS,
		.capture_limit = SIGNATURE_MAX,
	};

	strvec_pushl(&argv, "ssh-keygen", "-Y", "sign", "-n", "git", "-f", (const char *)arg, NULL);
	spec.argv = argv.v;
	if (process_run(&spec, &res, err) < 0)
		return -1;
	if (res.status != 0)
		return process_failed(&spec, &res, err);
	strbuf_add(ret, res.out.buf, res.out.len);
	return 0;
}

struct status_signer own_signer(struct pass *p)
{
	const char *key = p->agent->config->status.signing_key;

	return (struct status_signer) {
		.sign = key ? sign_with_ssh : NULL,
		.arg = key ? (void *)root_outside(&p->agent->root, p->pool, key) : NULL,
	};
}

static int commit_status(struct pass *p, const struct node_status *status, int64_t now_s,
			 struct err *err)
{
	struct agent *agent = p->agent;
	json_t *object = status_to_json(status);
	char *text = json_dumps(object, JSON_INDENT(1));
	const char *subject = report_subject(status, p->pool);
	const struct status_signer signer = own_signer(p);
	int failed = status_ref_commit(agent->mirror, agent->cluster, agent->node, text,
				       strlen(text), subject, now_s, agent->config->status.keep,
				       signer.sign ? &signer : NULL, err);

	free(text);
	json_decref(object);
	if (!failed)
		log_info("status: %s", subject);
	return failed;
}

/* The state's strings move into a pool of their own by way of the disk: what this pass's pool holds
 * goes with it. Where it cannot be written, the agent goes on with what it last wrote, and the next
 * pass looks at everything again. */
static int save_state(struct pass *p, const struct node_status *status, struct err *err)
{
	struct agent *agent = p->agent;
	struct err unreadable = {0};
	struct state fresh;
	int failed;

	agent->state.status = *status;
	failed = state_write(&agent->root, &agent->state, err);
	state_init(&fresh);
	if (state_read(&agent->root, &fresh, &unreadable) < 0 && !failed) {
		*err = unreadable;
		failed = -1;
	}
	if (failed)
		fresh.has_watch = false;
	state_release(&agent->state);
	agent->state = fresh;
	return failed < 0 ? err_wrap(err, "write the state") : 0;
}

/* A transition, or the heartbeat, is a commit. Where it could not be made, it stays due. */
static int publish(struct pass *p, const struct node_status *status, int64_t now_s, struct err *err)
{
	struct state *state = &p->agent->state;
	char digest[SHA256_HEX_SIZE];

	report_digest(status, digest);
	if (strcmp(digest, state->published) == 0 && !heartbeat_is_due(p, now_s))
		return 0;
	p->dirty = true;
	if (commit_status(p, status, now_s, err) < 0)
		return err_wrap(err, "write the status");
	memcpy(state->published, digest, sizeof(digest));
	state->published_at_s = now_s;
	return 0;
}

/* Why the status did not get to its repository, by the last try. */
static const struct err *unreported(const struct agent *agent)
{
	if (agent->push.why.code)
		return &agent->push.why;
	return agent->look.why.code ? &agent->look.why : NULL;
}

/* It is told until the next heartbeat, and for good under `drift`. */
static const char *trouble(const struct pass *p, int64_t now_s)
{
	char *text = p->agent->ref_trouble;

	if (!p->foreign && heartbeat_is_due(p, now_s))
		text[0] = '\0';
	return text[0] ? text : NULL;
}

int step_report(struct pass *p, const struct err *failed, struct err *err)
{
	struct agent *agent = p->agent;
	int64_t now_s = clock_wall_s();
	const struct findings found = {
		.desired = p->tip[0] ? p->tip : NULL,
		.synced = p->synced.code ? &p->synced : NULL,
		.behind = p->behind,
		.refused = p->refused.err.code ? &p->refused.err : NULL,
		.refused_reason = p->refused.reason,
		.refused_forward = p->refused.is_forward,
		.foreign = p->foreign,
		.unreported = unreported(agent),
		.ref_trouble = trouble(p, now_s),
		.failed = failed,
		.facts = p->has_facts ? &p->facts : NULL,
		.machine = &p->machine,
		.seen = p->has_seen ? &p->seen : NULL,
		.applied = p->applied,
		.held = p->held,
		.waits = p->waits,
		.proved = p->proved,
		.generation = agent->index.generation,
	};
	struct node_status status;
	int published;

	report_status(agent, &found, now_s, p->pool, &status);
	notify_status("%s", report_subject(&status, p->pool));
	if (status.last_good && strcmp(status.last_good, agent->state.revision) == 0)
		agent->state.good_generation = agent->index.generation;
	published = publish(p, &status, now_s, err);
	if (p->dirty && save_state(p, &status, err) < 0)
		return -1;
	if (published < 0)
		return -1;
	if (push_status(p, err) < 0)
		return err_wrap(err, "push the status");
	return 0;
}
