/*
 * The firewall of the machine: ufw's rules, and Docker's chain DOCKER-USER, as render/firewall.c wrote
 * them. A rule is dynia's where its comment begins with `dynia-`; no other one is touched.
 *
 * Never `ufw reset` or `reload`, and `default` only where the policy is another one: they open the host
 * for a second. A new rule is added before an old one goes, and the firewall is switched on last, so
 * that who is let in by both is let in throughout.
 *
 * ufw's files are looked at, and no program is started for it. What they had when the rules were applied
 * is noted in /run: it is gone after a boot, as is DOCKER-USER.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "base/strvec.h"
#include "reconciler/runtime.h"
#include "render/layout.h"

#define RULES_MAX (1 << 20)
#define UFW_TIMEOUT_MS 60000
#define CAPTURE_MAX (64 << 10)
#define TUPLE "### tuple ### "
/* "dynia-", as ufw writes comments */
#define OWN_COMMENT " comment=64796e69612d"
#define NOTE PATH_RUN "/firewall"

/* --- what ufw has -------------------------------------------------------------------- */

static const char *const rule_files[] = {"/etc/ufw/user.rules", "/etc/ufw/user6.rules"};

/* Of each policy: its key, and ufw's word for a direction. */
static const struct {
	const char *key;
	const char *direction;
} policies[] = {
	{"DEFAULT_INPUT_POLICY", "incoming"},
	{"DEFAULT_FORWARD_POLICY", "routed"},
	{"DEFAULT_OUTPUT_POLICY", "outgoing"},
};

/* The lines of a file, cut up in the pool; none where it is not there. */
static const char **read_lines(const struct runtime_context *rt, const char *path, size_t *ret_n)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err ignored;
	const char **lines;
	char *rest, *line;
	size_t n = 1;

	*ret_n = 0;
	if (file_read_in(rt->root->fd, path, RULES_MAX, &text, &ignored) < 0)
		return NULL;
	for (size_t i = 0; i < text.len; i++)
		n += text.buf[i] == '\n';
	lines = pool_alloc(rt->pool, n * sizeof(*lines));
	rest = pool_strdup(rt->pool, text.buf);
	while ((line = strsep(&rest, "\n")))
		lines[(*ret_n)++] = line;
	return lines;
}

/* Rules of dynia's: the tuple, without its comment. */
static void read_own(const struct runtime_context *rt, struct strvec *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(rule_files); i++) {
		size_t n;
		const char **lines = read_lines(rt, rule_files[i], &n);

		for (size_t k = 0; k < n; k++) {
			const char *comment = strstr(lines[k], OWN_COMMENT);

			if (comment && strncmp(lines[k], TUPLE, strlen(TUPLE)) == 0)
				strvec_pushf(ret, "%.*s",
					     (int)(comment - lines[k] - (ptrdiff_t)strlen(TUPLE)),
					     lines[k] + strlen(TUPLE));
		}
	}
}

/* The last value of KEY=value or KEY="value"; "" where there is none. */
static const char *setting(const struct runtime_context *rt, const char *path, const char *key)
{
	size_t n, len = strlen(key);
	const char **lines = read_lines(rt, path, &n);

	while (n-- > 0) {
		const char *value = lines[n] + len + 1;

		if (strncmp(lines[n], key, len) != 0 || lines[n][len] != '=')
			continue;
		value += *value == '"';
		return pool_printf(rt->pool, "%.*s", (int)strcspn(value, "\""), value);
	}
	return "";
}

static void digest_of_what_is_there(const struct runtime_context *rt, char ret[SHA256_HEX_SIZE])
{
	CLEANUP(strvec_release) struct strvec own = STRVEC_INIT;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;

	read_own(rt, &own);
	for (size_t i = 0; i < own.n; i++)
		strbuf_addf(&text, "%s\n", own.v[i]);
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		strbuf_addf(&text, "%s\n", setting(rt, "/etc/default/ufw", policies[i].key));
	strbuf_addf(&text, "%s\n", setting(rt, "/etc/ufw/ufw.conf", "ENABLED"));
	sha256_hex(text.buf, text.len, ret);
}

static int firewall_observe(const struct runtime_context *rt, enum program program,
			    struct program_state *ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf note = STRBUF_INIT;
	char there[SHA256_HEX_SIZE], noted[SHA256_HEX_SIZE];
	struct err ignored;

	(void)program;
	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->boots = true;
	if (file_read_in(rt->root->fd, NOTE, CAPTURE_MAX, &note, &ignored) < 0 ||
	    sscanf(note.buf, "%64[0-9a-f] %64[0-9a-f]\n", ret->config, noted) != 2) {
		ret->config[0] = '\0';
		return 0;
	}
	ret->running = ret->answers = true;
	digest_of_what_is_there(rt, there);
	if (strcmp(there, noted) != 0)
		ret->amiss = "its rules were changed by hand";
	return 0;
}

/* --- what is wanted ------------------------------------------------------------------ */

struct rule {
	struct strvec words;  /* as ufw takes them */
	struct strvec tuples; /* as ufw writes them: one for each of IPv4 and IPv6 that it is for */
};

static void rule_release(struct rule *rule)
{
	strvec_release(&rule->words);
	strvec_release(&rule->tuples);
}

static const char *word_after(const struct strvec *words, const char *key)
{
	for (size_t i = 0; i + 1 < words->n; i++)
		if (strcmp(words->v[i], key) == 0)
			return words->v[i + 1];
	return NULL;
}

static void clear_host_bits(unsigned char *address, size_t bits, size_t length)
{
	for (size_t i = length; i < bits; i++)
		address[i / 8] &= (unsigned char)~(0x80U >> (i % 8));
}

/* "10.1.2.3/8" as ufw writes it: "10.0.0.0/8"; a single address has no length. */
static const char *normal_prefix(struct pool *pool, const char *prefix)
{
	unsigned char address[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(prefix, '/');
	int family = strchr(prefix, ':') ? AF_INET6 : AF_INET;
	size_t bits = family == AF_INET6 ? 128 : 32;
	size_t length = *slash ? strtoul(slash + 1, NULL, 10) : bits;

	if (length > bits ||
	    inet_pton(family, pool_printf(pool, "%.*s", (int)(slash - prefix), prefix), address) !=
		    1)
		return prefix;
	clear_host_bits(address, bits, length);
	inet_ntop(family, address, text, sizeof(text));
	return length == bits ? pool_strdup(pool, text) : pool_printf(pool, "%s/%zu", text, length);
}

static void add_tuple(struct rule *rule, const char *proto, const char *port, const char *any,
		      const char *from)
{
	const char *interface = word_after(&rule->words, "on");

	strvec_pushf(&rule->tuples, "%s %s %s %s any %s in%s%s", rule->words.v[0], proto, port, any,
		     from, interface ? "_" : "", interface ? interface : "");
}

static void add_tuples(struct rule *rule, struct pool *pool)
{
	const char *from = word_after(&rule->words, "from");
	const char *proto = word_after(&rule->words, "proto");
	const char *port = word_after(&rule->words, "port");
	const char *slash = rule->words.n > 1 ? strchr(rule->words.v[1], '/') : NULL;

	if (!from && slash) {
		port = pool_printf(pool, "%.*s", (int)(slash - rule->words.v[1]), rule->words.v[1]);
		add_tuple(rule, slash + 1, port, "0.0.0.0/0", "0.0.0.0/0");
		add_tuple(rule, slash + 1, port, "::/0", "::/0");
	} else if (from) {
		add_tuple(rule, proto ? proto : "any", port ? port : "any",
			  strchr(from, ':') ? "::/0" : "0.0.0.0/0", normal_prefix(pool, from));
	}
}

static void cut_words(const char *line, struct strvec *ret)
{
	for (line += strspn(line, " "); *line; line += strspn(line, " ")) {
		size_t len = strcspn(line, " ");

		strvec_pushf(ret, "%.*s", (int)len, line);
		line += len;
	}
}

/* --- changing it --------------------------------------------------------------------- */

static int run(const struct strvec *argv, const struct strbuf *input, struct err *err)
{
	CLEANUP(process_result_release) struct process_result res = PROCESS_RESULT_INIT;
	const struct process_spec spec = {
		.argv = argv->v,
		.cwd = "/",
		.stdin_data = input ? input->buf : NULL,
		.stdin_len = input ? input->len : 0,
		.timeout_ms = UFW_TIMEOUT_MS,
		.capture_limit = CAPTURE_MAX,
	};

	if (process_run(&spec, &res, err) < 0)
		return err_wrap(err, "firewall");
	if (res.status == 0)
		return 0;
	process_failed(&spec, &res, err);
	err->code = ERR_APPLY;
	return -1;
}

/* ufw [delete] WORD... */
static int ufw(const char *verb, const struct strvec *words, struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;

	strvec_push(&argv, "ufw");
	if (verb)
		strvec_push(&argv, verb);
	for (size_t i = 0; i < words->n; i++)
		strvec_push(&argv, words->v[i]);
	return run(&argv, NULL, err);
}

/* "default deny incoming": it restarts the firewall, and is left out where it says nothing new. */
static int set_policy(const struct runtime_context *rt, const struct strvec *words, struct err *err)
{
	const char *value = strcmp(words->v[1], "deny") == 0     ? "DROP"
			    : strcmp(words->v[1], "reject") == 0 ? "REJECT"
								 : "ACCEPT";

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (strcmp(policies[i].direction, words->v[2]) == 0 &&
		    strcmp(setting(rt, "/etc/default/ufw", policies[i].key), value) == 0)
			return 0;
	return ufw(NULL, words, err);
}

static int add_where_missing(const struct runtime_context *rt, const struct rule *rule,
			     struct err *err)
{
	CLEANUP(strvec_release) struct strvec own = STRVEC_INIT;

	read_own(rt, &own);
	for (size_t i = 0; i < rule->tuples.n; i++)
		if (!strvec_has(&own, rule->tuples.v[i]))
			return ufw(NULL, &rule->words, err);
	return 0;
}

static int add_rules(const struct runtime_context *rt, const struct rule *rules, size_t n,
		     struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].tuples.n && add_where_missing(rt, &rules[i], err) < 0)
			return -1;
	return 0;
}

/* "allow tcp 80 0.0.0.0/0 any 10.0.0.1 in_eth1": action, protocol, port and address here, port and
 * address there, direction. */
static int delete_tuple(const char *tuple, struct err *err)
{
	CLEANUP(strvec_release) struct strvec t = STRVEC_INIT;
	CLEANUP(strvec_release) struct strvec words = STRVEC_INIT;
	const char *interface;

	cut_words(tuple, &t);
	if (t.n != 7)
		return err_set(err, ERR_APPLY, "firewall: ufw's rule '%s' is not one of dynia's",
			       tuple);
	interface = strchr(t.v[6], '_');
	strvec_push(&words, t.v[0]);
	strvec_pushf(&words, "%.*s", (int)strcspn(t.v[6], "_"), t.v[6]);
	if (interface)
		strvec_pushl(&words, "on", interface + 1, NULL);
	strvec_pushl(&words, "from", t.v[5], NULL);
	if (strcmp(t.v[4], "any") != 0)
		strvec_pushl(&words, "port", t.v[4], NULL);
	strvec_pushl(&words, "to", t.v[3], NULL);
	if (strcmp(t.v[2], "any") != 0)
		strvec_pushl(&words, "port", t.v[2], NULL);
	if (strcmp(t.v[1], "any") != 0)
		strvec_pushl(&words, "proto", t.v[1], NULL);
	return ufw("delete", &words, err);
}

static bool is_wanted(const struct rule *rules, size_t n, const char *tuple)
{
	for (size_t i = 0; i < n; i++)
		if (strvec_has(&rules[i].tuples, tuple))
			return true;
	return false;
}

static int delete_others(const struct runtime_context *rt, const struct rule *rules, size_t n,
			 struct err *err)
{
	CLEANUP(strvec_release) struct strvec own = STRVEC_INIT;

	read_own(rt, &own);
	for (size_t i = 0; i < own.n; i++)
		if (!is_wanted(rules, n, own.v[i]) && delete_tuple(own.v[i], err) < 0)
			return -1;
	return 0;
}

/* Last again what is wanted: should ufw write a rule in another way than thought here, then it was
 * taken for an old one. */
static int apply_rules(const struct runtime_context *rt, const struct rule *rules, size_t n,
		       struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].words.n == 3 && strcmp(rules[i].words.v[0], "default") == 0 &&
		    set_policy(rt, &rules[i].words, err) < 0)
			return -1;
	if (add_rules(rt, rules, n, err) < 0 || delete_others(rt, rules, n, err) < 0 ||
	    add_rules(rt, rules, n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (rules[i].words.n && strcmp(rules[i].words.v[0], "--force") == 0 &&
		    ufw(NULL, &rules[i].words, err) < 0)
			return -1;
	return 0;
}

static int apply_ufw(const struct runtime_context *rt, struct err *err)
{
	const char *path = layout_file(rt->pool, "", LAYOUT_FIREWALL, rt->at->runtime, "ufw.rules");
	size_t n_lines, n = 0;
	const char **lines = read_lines(rt, path, &n_lines);
	struct rule *rules;
	int failed;

	if (!n_lines)
		return err_set(err, ERR_APPLY, "firewall: '%s' cannot be read", path);
	rules = pool_alloc(rt->pool, n_lines * sizeof(*rules));
	for (size_t i = 0; i < n_lines; i++) {
		if (lines[i][0] == '#' || !lines[i][0])
			continue;
		rules[n] = (struct rule) {.words = STRVEC_INIT, .tuples = STRVEC_INIT};
		cut_words(lines[i], &rules[n].words);
		add_tuples(&rules[n], rt->pool);
		n++;
	}
	failed = apply_rules(rt, rules, n, err);
	for (size_t i = 0; i < n; i++)
		rule_release(&rules[i]);
	return failed;
}

static int apply_docker(const struct runtime_context *rt, struct err *err)
{
	CLEANUP(strvec_release) struct strvec argv = STRVEC_INIT;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	const char *path =
		layout_file(rt->pool, "", LAYOUT_FIREWALL, rt->at->runtime, "docker-user.rules");

	if (file_read_in(rt->root->fd, path, RULES_MAX, &text, err) < 0)
		return -1;
	strvec_pushl(&argv, "iptables-restore", "--noflush", "--wait", "10", NULL);
	return run(&argv, &text, err);
}

static int firewall_apply(const struct runtime_context *rt, enum program program,
			  const char *config, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf note = STRBUF_INIT;
	char there[SHA256_HEX_SIZE];

	(void)program;
	/* What is done in part only is not noted. */
	if (file_remove_in(rt->root->fd, NOTE, err) < 0 || apply_ufw(rt, err) < 0 ||
	    apply_docker(rt, err) < 0)
		return -1;
	digest_of_what_is_there(rt, there);
	strbuf_addf(&note, "%s %s\n", config, there);
	return file_replace_in(rt->root->fd, NOTE, note.buf, note.len, 0644, err);
}

/* A cluster that has no `firewall:` any more leaves the rules where they are: to take them away might
 * open the machine, or lock its user out. */
const struct runtime_ops runtime_firewall = {
	.name = "firewall",
	.observe = firewall_observe,
	.start = firewall_apply,
	.reload = firewall_apply,
	.stop = NULL,
};
