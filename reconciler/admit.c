/* May the branch's tip be taken at all? History only moves forward, and is signed where signers are configured. */
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "gitsync/verify_run.h"
#include "reconciler/high_water.h"
#include "reconciler/steps.h"

#define SIGNER_FILE_MAX (8 << 20)

/* A person's word on the node comes before what the marks say. */
static int take_order(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;
	char accepted[GIT_OID_HEX];
	int there = accept_history_read(&agent->root, accepted, err);

	if (there <= 0)
		return there;
	if (agent->dry_run)
		return 0;
	log_warn("the history of %.7s is accepted, by order on this node", accepted);
	return accept_history_take(&agent->root, &agent->high_water, accepted, err);
}

/* 1: the tip contains all marks; 0: not, and why; -1. */
static int is_forward(struct pass *p, struct err *err)
{
	const struct commit_list *marks = &p->agent->high_water.marks;

	for (size_t i = 0; i < marks->n; i++) {
		const char *mark = marks->v[i];
		const char *who = i == 0 ? "this node has applied"
					 : "its status ref says this node has applied";
		int older, forward = mirror_is_ancestor(p->agent->mirror, mark, p->tip, err);

		if (forward < 0)
			return -1;
		if (forward)
			continue;
		older = mirror_is_ancestor(p->agent->mirror, p->tip, mark, err);
		/* Of a mark that the mirror does not know nothing more can be said. */
		if (older < 0)
			err_clear(err);
		p->refused.is_forward = true;
		p->refused.reason = older > 0 ? REASON_OLDER_HISTORY : REASON_HISTORY_REWRITTEN;
		err_set(&p->refused.err, ERR_VERIFY,
			"%.7s %s %.7s, which %s, and history only moves forward: push a commit on "
			"top of %.7s, or "
			"run 'dynia reconcile --accept-history %.7s' on this node",
			p->tip, older > 0 ? "is older than" : "does not descend from", mark, who,
			mark, p->tip);
		return 0;
	}
	return 1;
}

/* --- signatures ---------------------------------------------------------------------- */

/* The node's own files of who may sign. */
struct signer_files {
	struct strbuf signers;
	struct strbuf keyring;
	char digest[SHA256_HEX_SIZE];
};

static void signer_files_release(struct signer_files *files)
{
	strbuf_release(&files->signers);
	strbuf_release(&files->keyring);
}

static int read_signer_files(const struct agent *agent, struct signer_files *ret, struct err *err)
{
	const struct verify *verify = agent->config->verify;
	struct sha256 *digest;

	if ((verify->signers && file_read_in(agent->root.fd, verify->signers, SIGNER_FILE_MAX,
					     &ret->signers, err) < 0) ||
	    (verify->keyring && file_read_in(agent->root.fd, verify->keyring, SIGNER_FILE_MAX,
					     &ret->keyring, err) < 0))
		return err_wrap(err, "who may sign commits");
	digest = sha256_begin();
	sha256_add_str(digest, ret->signers.buf);
	sha256_add(digest, ret->keyring.buf, ret->keyring.len);
	sha256_end(digest, ret->digest);
	return 0;
}

static void refuse_unverified(struct pass *p)
{
	p->refused.err = p->agent->unverified.why;
	p->refused.reason = p->agent->unverified.reason;
	p->refused.is_forward = false;
}

static int verify_tip(struct pass *p, const struct signer_files *files, struct err *err)
{
	struct agent *agent = p->agent;
	const struct verify *config = agent->config->verify;
	struct high_water *hw = &agent->high_water;
	struct verify_answer answer;
	/* Of a history that was left by a person's order, or that is not known any more, nothing was verified. */
	int has_base =
		hw->verified[0] ? mirror_is_ancestor(agent->mirror, hw->verified, p->tip, err) : 0;
	const struct verify_request request = {
		.tip = p->tip,
		.base = has_base > 0 ? hw->verified : NULL,
		.signers = config->signers ? &files->signers : NULL,
		.keyring = config->keyring ? &files->keyring : NULL,
		.deadline_ms = (int)agent->config->deadline_ms,
	};

	if (has_base < 0 || mirror_verify(agent->mirror, &request, p->pool, &answer, err) < 0)
		return -1;
	if (answer.reason) {
		memcpy(agent->unverified.tip, p->tip, GIT_OID_HEX);
		memcpy(agent->unverified.signers, files->digest, SHA256_HEX_SIZE);
		agent->unverified.reason = reason_named(answer.reason, REASON_VERIFY_ERROR);
		agent->unverified.why = answer.why;
		refuse_unverified(p);
		return 0;
	}
	if (agent->dry_run)
		return 0;
	memcpy(hw->verified, p->tip, GIT_OID_HEX);
	log_info("%.7s is verified: %zu good signature%s", p->tip, answer.commits,
		 answer.commits == 1 ? "" : "s");
	return high_water_write(&agent->root, hw, err);
}

static int is_signed(struct pass *p, struct err *err)
{
	CLEANUP(signer_files_release)
	struct signer_files files = {
		.signers = STRBUF_INIT,
		.keyring = STRBUF_INIT,
	};
	struct agent *agent = p->agent;

	if (!agent->config->verify || strcmp(agent->high_water.verified, p->tip) == 0)
		return 0;
	if (read_signer_files(agent, &files, err) < 0)
		return -1;
	if (strcmp(agent->unverified.tip, p->tip) == 0 &&
	    strcmp(agent->unverified.signers, files.digest) == 0) {
		refuse_unverified(p);
		return 0;
	}
	return verify_tip(p, &files, err);
}

/* What cannot be verified is not taken; the node goes on with what it has, and tries again. */
static void admit_signed(struct pass *p)
{
	struct err err = {0};

	if (is_signed(p, &err) == 0)
		return;
	p->refused.err = err;
	p->refused.reason = REASON_VERIFY_ERROR;
	p->refused.is_forward = false;
}

int step_admit(struct pass *p, struct err *err)
{
	if (take_order(p, err) < 0)
		return -1;
	if (!p->tip[0])
		return 0;
	if (is_forward(p, err) < 0)
		return -1;
	if (!p->refused.err.code)
		admit_signed(p);
	return 0;
}

int admit_applied(struct pass *p, struct err *err)
{
	struct agent *agent = p->agent;

	if (agent->dry_run || strcmp(agent->state.revision, p->tip) != 0 ||
	    !high_water_advance(&agent->high_water, p->tip))
		return 0;
	return high_water_write(&agent->root, &agent->high_water, err);
}
