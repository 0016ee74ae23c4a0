#include "tests/unit/test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "render/writer.h"
#include "render/yaml_writer.h"

struct fixture {
	struct pool *pool;
	struct conf_writer w;
};

static void begin(struct fixture *f, const struct dialect *dialect)
{
	f->pool = pool_new();
	conf_init(&f->w, dialect, f->pool);
}

static void end(struct fixture *f)
{
	conf_release(&f->w);
	pool_free(f->pool);
}

static void finish(struct fixture *f, const char *want)
{
	struct err err;
	const char *text;
	size_t len;

	assert_int_equal(conf_finish(&f->w, &text, &len, &err), 0);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	end(f);
}

static void test_haproxy_block(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &dialect_haproxy);
	conf_open(&f.w, "backend %s", "be one");
	conf_line(&f.w, "server %s %s check fall %d", "a", "10.0.0.1:80", 2);
	conf_close(&f.w);
	conf_blank(&f.w);
	conf_comment(&f.w, "%s", "end");
	finish(&f, "backend 'be one'\n    server a 10.0.0.1:80 check fall 2\n\n# end\n");
}

static void test_braces_nest(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &dialect_caddyfile);
	conf_open_bare(&f.w);
	conf_line(&f.w, "admin off");
	conf_close(&f.w);
	conf_open(&f.w, "%s", "http://:80");
	conf_open(&f.w, "handle");
	conf_line(&f.w, "respond * %s %lld", "a b", 200LL);
	conf_close(&f.w);
	conf_close(&f.w);
	finish(&f,
	       "{\n\tadmin off\n}\nhttp://:80 {\n\thandle {\n\t\trespond * `a b` 200\n\t}\n}\n");
}

static void test_numbers(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &dialect_systemd);
	conf_line(&f.w, "a=%d b=%u%% c=%zu d=%ld e=%lld", -1, 2u, (size_t)3, 4L, 5LL);
	finish(&f, "a=-1 b=2% c=3 d=4 e=5\n");
}

/* A mistake in a format string: the program ends before it writes a file. */
static void test_word_not_set_off(void **state)
{
	struct fixture f;
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit) {0});
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		begin(&f, &dialect_haproxy);
		conf_line(&f.w, "a=%s", "b");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_comment_holds_its_line(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &dialect_caddyfile);
	conf_comment(&f.w, "a\nadmin {$X} \\");
	finish(&f, "# a?admin ?$X? ?\n");
}

static void test_first_error_is_kept(void **state)
{
	struct fixture f;
	struct err err;
	const char *text;
	size_t len;

	(void)state;
	begin(&f, &dialect_caddyfile);
	conf_line(&f.w, "respond %s", "fine");
	conf_line(&f.w, "respond %s", "first\nbad");
	conf_line(&f.w, "respond %s", "{second}");
	assert_int_equal(conf_finish(&f.w, &text, &len, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "'first?bad'"));
	assert_null(strstr(err.msg, "second"));
	end(&f);
}

struct quote_case {
	const struct dialect *dialect;
	const char *word;
	const char *want; /* NULL: refused */
};

static const struct quote_case quote_cases[] = {
	{&dialect_haproxy, "plain-1.2:3", "plain-1.2:3"},
	{&dialect_haproxy, "", "''"},
	{&dialect_haproxy, "it's", "'it'\\''s'"},
	{&dialect_haproxy, "a\"b\\c $X", "'a\"b\\c $X'"},
	{&dialect_haproxy, "a\nb", NULL},
	{&dialect_haproxy, "a\x7f", NULL},
	{&dialect_caddyfile, "@name", "@name"},
	{&dialect_caddyfile, "", "``"},
	{&dialect_caddyfile, "a \"b\" \\", "`a \"b\" \\`"},
	{&dialect_caddyfile, "`\"", "\"`\\\"\""},
	{&dialect_caddyfile, "`\\", NULL},
	{&dialect_caddyfile, "`\\\\", "\"`\\\\\""},
	{&dialect_caddyfile, "`\\\"", NULL},
	{&dialect_caddyfile, "`\\n", "\"`\\n\""},
	{&dialect_caddyfile, "{env.X}", NULL},
	{&dialect_caddyfile, "{$X}", NULL},
	{&dialect_caddyfile, "\\{$X\\}", NULL},
	{&dialect_caddyfile, "\\{x\\}", "`\\{x\\}`"},
	{&dialect_caddyfile, "}", NULL},
	{&dialect_caddyfile, "{", NULL},
	{&dialect_caddyfile, "a}", "`a}`"},
	{&dialect_keepalived, "/usr/bin/dynia vrrp master", "\"/usr/bin/dynia vrrp master\""},
	{&dialect_keepalived, "eth1", "eth1"},
	{&dialect_keepalived, "", NULL},
	{&dialect_keepalived, "a\"b", NULL},
	{&dialect_keepalived, "a$b", NULL},
	{&dialect_keepalived, "a}", NULL},
	{&dialect_logrotate, "/var/log/*.log", "/var/log/*.log"},
	{&dialect_logrotate, "/var/my log/*.log", "\"/var/my log/*.log\""},
	{&dialect_logrotate, "/var/[a]", NULL},
	{&dialect_logrotate, "/var/\n", NULL},
	{&dialect_systemd, "a b\"%$", "\"a b\\\"%%$$\""},
	{&dialect_systemd, "\n", NULL},
	{&dialect_arguments, "10.0.0.0/8", "10.0.0.0/8"},
	{&dialect_arguments, "a b", NULL},
	{&dialect_arguments, "", NULL},
};

static void test_quote(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(quote_cases); i++) {
		const struct quote_case *c = &quote_cases[i];
		CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
		struct err err;
		int rc = c->dialect->quote(&out, c->word, &err);

		assert_int_equal(rc, c->want ? 0 : -1);
		if (c->want)
			assert_string_equal(out.buf, c->want);
		else
			assert_int_equal(err.code, ERR_CONFIG);
	}
}

static void test_words_put_together(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &dialect_haproxy);
	assert_string_equal(conf_endpoint(&f.w, "10.0.0.1", 80), "10.0.0.1:80");
	assert_string_equal(conf_endpoint(&f.w, "fd00::1", 80), "[fd00::1]:80");
	assert_string_equal(conf_endpoint(&f.w, "", 80), ":80");
	assert_string_equal(conf_haproxy_text(&f.w, "%[src] 5%"), "%%[src] 5%%");
	assert_string_equal(conf_haproxy_text(&f.w, "none"), "none");
	assert_string_equal(conf_caddy_text(&f.w, "{env.X}"), "\\{env.X\\}");
	assert_string_equal(conf_caddy_text(&f.w, "only }"), "only }");
	assert_string_equal(conf_word(&f.w, "%s-%d", "a", 1), "a-1");
	end(&f);
}

static void test_yaml(void **state)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
	struct err err;

	(void)state;
	yaml_map_begin(y, "services");
	yaml_string(y, "image", "a: $b\n");
	yaml_string(y, "NO", "no");
	yaml_string(y, "no", "x");
	yaml_list_begin(y, "l");
	yaml_stringf(y, NULL, "%d:%s", 1, "x");
	yaml_end(y);
	yaml_int(y, "n", -5);
	yaml_milli(y, "cpus", 1050);
	yaml_bool(y, "b", true);
	yaml_end(y);
	assert_int_equal(yaml_writer_finish(y, &out, &err), 0);
	assert_string_equal(out.buf, "services:\n  image: \"a: $$b\\n\"\n  \"NO\": \"no\"\n"
				     "  \"no\": \"x\"\n  l:\n  - \"1:x\"\n  \"n\": -5\n"
				     "  cpus: 1.050\n  b: true\n");
}

static void test_yaml_refuses(void **state)
{
	CLEANUP(yaml_writer_freep) struct yaml_writer *latin = yaml_writer_new();
	CLEANUP(yaml_writer_freep) struct yaml_writer *unbalanced = yaml_writer_new();
	CLEANUP(yaml_writer_freep) struct yaml_writer *deep = yaml_writer_new();
	CLEANUP(yaml_writer_freep) struct yaml_writer *none = NULL;
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
	struct err err;

	(void)state;
	(void)none;
	yaml_string(latin, "a", "\xe9");
	assert_int_equal(yaml_writer_finish(latin, &out, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	yaml_map_begin(unbalanced, "a");
	assert_int_equal(yaml_writer_finish(unbalanced, &out, &err), -1);
	for (int i = 0; i < 40; i++)
		yaml_list_begin(deep, i ? NULL : "a");
	for (int i = 0; i < 41; i++)
		yaml_end(deep);
	assert_int_equal(yaml_writer_finish(deep, &out, &err), -1);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_haproxy_block),
		cmocka_unit_test(test_braces_nest),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_word_not_set_off),
		cmocka_unit_test(test_comment_holds_its_line),
		cmocka_unit_test(test_first_error_is_kept),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_words_put_together),
		cmocka_unit_test(test_yaml),
		cmocka_unit_test(test_yaml_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
