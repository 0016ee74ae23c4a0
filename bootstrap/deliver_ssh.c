#include "bootstrap/deliver_ssh.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strvec.h"
#include "bootstrap/contact.h"
#include "bootstrap/deliver.h"
#include "bootstrap/provider.h"

#define ANSWER_MAX ((size_t)64 << 10)
/* For one look, at most (deliver_work.c). ssh itself gives up where nobody answers, or what answers falls silent. */
#define VISIT_MS 120000
#define SSH_FAILED 255
#define NOT_FOUND 127

static void release_json(json_t **json)
{
	json_decref(*json);
}

int visit_failed(struct boot *boot, struct boot_step *step, const char *why)
{
	boot_set(boot, step, BOOT_FAILED, pool_strdup(boot->pool, why));
	return 0;
}

/* --- who the machine is -------------------------------------------------------------------- */

/* known_hosts with the one line that counts; as a file that is nowhere and ends with its descriptor. */
static int known_hosts(struct boot *boot, const struct boot_node *node, struct err *err)
{
	const struct droplet *droplet = node->droplet;
	const char *hex = droplet->host_key ? droplet->host_key : droplet->contact;
	const char *line =
		pool_printf(boot->pool, "%s%s %s\n", droplet->host_key ? "" : "@cert-authority ",
			    node->name, ssh_public_key(boot->pool, hex));
	int fd = memfd_create("known_hosts", MFD_CLOEXEC);
	size_t len = strlen(line);

	if (fd >= 0 && write(fd, line, len) == (ssize_t)len)
		return fd;
	err_errno(err, "write known_hosts");
	cleanup_close(&fd);
	return -1;
}

/* What a person's ssh_config says about keys, jumps and the like counts; what it says about whom to
 * believe does not. */
static void ssh_command(const struct boot *boot, const struct boot_node *node, int known_hosts_fd,
			struct strvec *argv)
{
	static const char *const options[] = {
		"BatchMode=yes",
		"StrictHostKeyChecking=yes",
		"GlobalKnownHostsFile=/dev/null",
		"KnownHostsCommand=none",
		"VerifyHostKeyDNS=no",
		"UpdateHostKeys=no",
		"CheckHostIP=no",
		"NoHostAuthenticationForLocalhost=no",
		"ControlMaster=no",
		"ControlPath=none",
		"ClearAllForwardings=yes",
		"ForwardAgent=no",
		"ForwardX11=no",
		"PermitLocalCommand=no",
		"RequestTTY=no",
		"RemoteCommand=none",
		"SendEnv=-*",
		"ConnectTimeout=5",
		"ServerAliveInterval=5",
		"ServerAliveCountMax=3",
		"LogLevel=INFO",
	};

	strvec_push(argv, "ssh");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		strvec_pushf(argv, "-o%s", options[i]);
	strvec_pushf(argv, "-oUserKnownHostsFile=/proc/%d/fd/%d", (int)getpid(), known_hosts_fd);
	strvec_pushf(argv, "-oHostKeyAlias=%s", node->name);
	strvec_pushf(argv, "-oHostKeyAlgorithms=%s",
		     node->droplet->host_key ? "ssh-ed25519" : "ssh-ed25519-cert-v01@openssh.com");
	if (boot->options.identity) {
		strvec_push(argv, "-oIdentitiesOnly=yes");
		strvec_push(argv, "-i");
		strvec_push(argv, boot->options.identity);
	}
	strvec_push(argv, "-lroot");
	strvec_push(argv, "--");
	strvec_push(argv, node->public_address);
	strvec_push(argv, "dynia credentials install");
}

static void ssh_environment(struct strvec *env)
{
	static const char *const names[] = {"PATH", "HOME",   "USER",         "LOGNAME",
					    "LANG", "TMPDIR", "SSH_AUTH_SOCK"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value)
			strvec_pushf(env, "%s=%s", names[i], value);
	}
}

/* --- what it says -------------------------------------------------------------------------- */

/* The last line, fit for a terminal. */
static const char *last_line(struct boot *boot, struct strbuf *said)
{
	const char *line;
	char *text;

	strbuf_trim(said);
	line = strrchr(said->buf, '\n');
	text = pool_printf(boot->pool, "%.300s", line ? line + 1 : said->buf);
	str_mask_controls(text);
	return text;
}

/* The session was with this very machine, so what it says of its own key is so. */
static int take_answer(struct boot *boot, struct boot_step *step, const struct strbuf *out,
		       struct err *err)
{
	CLEANUP(release_json) json_t *answer = json_loadb(out->buf, out->len, 0, NULL);
	const char *line = json_string_value(json_object_get(answer, "host_key"));
	const char *hex = line ? ssh_public_key_hex(boot->pool, line) : NULL;
	size_t changed = json_array_size(json_object_get(answer, "changed"));
	struct droplet *droplet = step->node->droplet;

	if (!answer)
		return visit_failed(boot, step, "it answered something else than dynia does");
	if (!hex && !droplet->host_key)
		return visit_failed(
			boot, step,
			"it took the credentials, and has no ssh_host_ed25519_key.pub to be "
			"known by: make one, then run it again");
	if (droplet_pin(boot, droplet, droplet->host_key ? droplet->host_key : hex, err) < 0)
		return -1;
	step->detail =
		changed ? pool_printf(boot->pool, "%zu file%s", changed, changed > 1 ? "s" : "")
			: "nothing new";
	boot_set(boot, step, BOOT_DONE, "");
	return 0;
}

/* It did not come to a message: is it worth another look? */
static bool is_refused(const struct strbuf *said)
{
	static const char *const words[] = {"Host key verification failed", "Permission denied",
					    "HOST IDENTIFICATION HAS CHANGED", "Bad configuration",
					    "not found in PATH"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(said->buf, words[i]))
			return true;
	return false;
}

static const char *explain(struct boot *boot, const struct boot_node *node, struct strbuf *said)
{
	bool is_other = strstr(said->buf, "Host key verification failed") ||
			strstr(said->buf, "HOST IDENTIFICATION HAS CHANGED");
	const char *line;

	if (is_other)
		return pool_printf(
			boot->pool,
			"what answers at %s is not this node: its host key is another one than "
			"the %s says. Nothing was sent",
			node->public_address,
			node->droplet->host_key ? "tag " HOST_KEY_TAG "..."
						: "tag " CONTACT_TAG "...");
	if (strstr(said->buf, "no matching host key type"))
		return pool_printf(boot->pool,
				   "what answers at %s shows no certificate for its host key: its "
				   "first boot is not that far, or it is not this node",
				   node->public_address);
	line = last_line(boot, said);
	return strncmp(line, "ssh: ", 5) == 0 ? line : pool_printf(boot->pool, "ssh: %s", line);
}

/* --- one look ------------------------------------------------------------------------------ */

int visit_begin(struct boot *boot, struct boot_step *step, struct err *err)
{
	const struct boot_node *node = step->node;
	struct visit *visit = step->visit;
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec env = STRVEC_INIT;
	CLEANUP(strbuf_wipe) struct strbuf message = STRBUF_INIT;
	AUTO_CLOSE int fd = known_hosts(boot, node, err);
	struct process_spec spec = {.timeout_ms = VISIT_MS, .capture_limit = ANSWER_MAX};

	if (fd < 0 || deliver_message(boot->cluster, boot->options.credentials, node->node->name,
				      &message, err) < 0)
		return -1;
	ssh_command(boot, node, fd, &argv);
	ssh_environment(&env);
	spec.argv = argv.v;
	spec.env = env.v;
	spec.stdin_data = message.buf;
	spec.stdin_len = message.len;
	visit->ssh = process_begin(&spec, err);
	if (!visit->ssh)
		return -1;
	visit->known_hosts_fd = STEAL_FD(fd);
	visit->began_ms = clock_ms();
	return 0;
}

void visit_stop(struct visit *visit)
{
	if (!visit->ssh)
		return;
	process_job_freep(&visit->ssh);
	cleanup_close(&visit->known_hosts_fd);
}

int visit_end(struct boot *boot, struct boot_step *step, struct err *err)
{
	const struct boot_node *node = step->node;
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	bool ended = process_has_ended(step->visit->ssh);
	int late = process_end(&step->visit->ssh, &res, err);
	const char *why;

	cleanup_close(&step->visit->known_hosts_fd);
	if (late < 0)
		return -1;
	late = late || !ended;
	if (!late && res.status == 0)
		return take_answer(boot, step, &res.out, err);
	if (late)
		why = "ssh did not finish in time";
	else if (res.status == SSH_FAILED)
		why = explain(boot, node, &res.errout);
	else if (res.status == NOT_FOUND)
		why = "dynia is not installed there yet";
	else
		return visit_failed(boot, step, last_line(boot, &res.errout));
	if (!late && res.status == SSH_FAILED && is_refused(&res.errout))
		return visit_failed(boot, step, why);
	if (clock_ms() - step->began_ms > boot->options.machine_ms)
		return visit_failed(boot, step, pool_printf(boot->pool, "not in time: %s", why));
	boot_set(boot, step, BOOT_RUNNING, pool_printf(boot->pool, "waits: %s", why));
	return 0;
}
