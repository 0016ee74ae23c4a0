#include "gitsync/verify_signature.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "base/strvec.h"
#include "gitsync/verify.h"

#define SIGNATURE_NAME "signature"
#define LIST_NAME "signers-in-force"
#define PROGRAM_MS 20000
#define OUTPUT_MAX (64 << 10)
#define PRINCIPALS_MAX 16

/* For the program that is run next, and nobody after it: it need not outlive a power cut. */
static int write_here(const char *name, const char *data, size_t len, struct err *err)
{
	AUTO_CLOSE int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	while (fd >= 0 && len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "write '%s'", name);
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return fd < 0 ? err_errno(err, "make '%s'", name) : 0;
}

/* Its output must not depend on the machine. */
static int run(const struct strvec *argv, const struct strbuf *input, struct process_result *ret,
	       struct err *err)
{
	char *const env[] = {(char[]) {"PATH=/usr/local/bin:/usr/bin:/bin"}, (char[]) {"LANG=C"},
			     (char[]) {"TZ=UTC"}, (char[]) {"HOME=."}, NULL};
	const struct process_spec spec = {
		.argv = argv->v,
		.env = env,
		.stdin_data = input->buf,
		.stdin_len = input->len,
		.timeout_ms = PROGRAM_MS,
		.capture_limit = OUTPUT_MAX,
	};

	return process_run(&spec, ret, err);
}

/* What a program said last, as a reason. */
static int refuse(const struct strvec *argv, const struct process_result *res, struct err *why)
{
	const struct process_spec spec = {.argv = argv->v};

	process_failed(&spec, res, why);
	why->code = ERR_VERIFY;
	return 0;
}

/* --- SSH ----------------------------------------------------------------------------- */

static void add_time(struct strvec *argv, int64_t at_s)
{
	time_t at = (time_t)at_s;
	struct tm tm;
	char text[32];

	gmtime_r(&at, &tm);
	if (strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm) > 0)
		strvec_pushf(argv, "-Overify-time=%s", text);
}

static int find_principals(const struct commit_object *commit, struct strbuf *ret, struct err *why,
			   struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	const struct strbuf nothing = STRBUF_INIT;

	strvec_pushl(&argv, "ssh-keygen", "-Y", "find-principals", "-f", LIST_NAME, "-s",
		     SIGNATURE_NAME, NULL);
	add_time(&argv, commit->committed_s);
	if (run(&argv, &nothing, &res, err) < 0)
		return -1;
	if (res.status != 0 || !res.out.len)
		return refuse(&argv, &res, why);
	strbuf_add(ret, res.out.buf, res.out.len);
	return 1;
}

static int verify_as(const struct commit_object *commit, const char *principal, struct err *why,
		     struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;

	strvec_pushl(&argv, "ssh-keygen", "-Y", "verify", "-n", "git", "-f", LIST_NAME, "-I",
		     principal, "-s", SIGNATURE_NAME, NULL);
	add_time(&argv, commit->committed_s);
	if (run(&argv, &commit->payload, &res, err) < 0)
		return -1;
	return res.status == 0 ? 1 : refuse(&argv, &res, why);
}

int verify_ssh(const struct commit_object *commit, const char *signers, struct err *why,
	       struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf principals = STRBUF_INIT;
	char *rest = NULL;
	int found;

	if (write_here(LIST_NAME, signers, strlen(signers), err) < 0 ||
	    write_here(SIGNATURE_NAME, commit->signature.buf, commit->signature.len, err) < 0)
		return -1;
	found = find_principals(commit, &principals, why, err);
	if (found <= 0)
		return found;
	found = err_set(why, ERR_VERIFY, "no principal is allowed") + 1;
	for (char *p = strtok_r(principals.buf, "\n", &rest); p && found == 0;
	     p = strtok_r(NULL, "\n", &rest))
		found = verify_as(commit, p, why, err);
	return found;
}

/* --- OpenPGP ------------------------------------------------------------------------- */

#define STATUS_PREFIX "[GNUPG:] "

static bool is_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	return strncmp(text, word, len) == 0 && (text[len] == ' ' || text[len] == '\0');
}

/* What says that a signature is not good, whatever else is said. GnuPG's doc/DETAILS. */
static const struct {
	const char *word;
	const char *why;
} bad_words[] = {
	{"BADSIG", "its signature is wrong"},
	{"ERRSIG", "its signature cannot be checked: the key is not in the keyring"},
	{"EXPSIG", "its signature has expired"},
	{"EXPKEYSIG", "the key that signed it has expired"},
	{"REVKEYSIG", "the key that signed it was revoked"},
	{"NO_PUBKEY", "the key that signed it is not in the keyring"},
	{"NODATA", "its signature cannot be read"},
	{"UNEXPECTED", "its signature cannot be read"},
	{"FAILURE", "gpgv failed"},
	{"ERROR", "gpgv failed"},
};

bool openpgp_status_is_good(const char *status, const char **ret_why)
{
	size_t good = 0, valid = 0;

	for (const char *line = status; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char text[128];

		if (strncmp(line, STATUS_PREFIX, strlen(STATUS_PREFIX)) != 0)
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
		for (size_t i = 0; i < ARRAY_SIZE(bad_words); i++) {
			if (is_word(text + strlen(STATUS_PREFIX), bad_words[i].word)) {
				*ret_why = bad_words[i].why;
				return false;
			}
		}
		good += is_word(text + strlen(STATUS_PREFIX), "GOODSIG");
		valid += is_word(text + strlen(STATUS_PREFIX), "VALIDSIG");
	}
	*ret_why = good > 1 ? "it has several signatures" : "its signature was not found good";
	return good == 1 && valid == 1;
}

int verify_openpgp(const struct commit_object *commit, struct err *why, struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	const char *reason;

	if (write_here(SIGNATURE_NAME, commit->signature.buf, commit->signature.len, err) < 0)
		return -1;
	strvec_pushl(&argv, "gpgv", "--homedir", ".", "--keyring", "./" VERIFY_KEYRING,
		     "--status-fd", "1", SIGNATURE_NAME, "-", NULL);
	if (run(&argv, &commit->payload, &res, err) < 0)
		return -1;
	if (!openpgp_status_is_good(res.out.buf, &reason)) {
		err_set(why, ERR_VERIFY, "%s", reason);
		return 0;
	}
	return res.status == 0 ? 1 : refuse(&argv, &res, why);
}
