#include "base/strbuf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

static void test_starts_empty(void **state)
{
	struct strbuf sb = STRBUF_INIT;

	(void)state;
	assert_string_equal(sb.buf, "");
	strbuf_setlen(&sb, 0);
	strbuf_trim(&sb);
	strbuf_clear(&sb);
	strbuf_add(&sb, "", 0);
	assert_ptr_equal(sb.buf, strbuf_empty);
	memset(&sb, 0x55, sizeof(sb));
	strbuf_init(&sb);
	assert_ptr_equal(sb.buf, strbuf_empty);
	assert_int_equal(sb.limit, 0);
	strbuf_release(&sb);
}

static void test_grows(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		strbuf_addch(&sb, (char)('a' + i % 26));
	assert_int_equal(sb.len, 10000);
	assert_int_equal(strlen(sb.buf), 10000);
	assert_int_equal(sb.buf[9999], 'a' + 9999 % 26);
	assert_false(sb.overflow);
}

static void test_formats(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_addstr(&sb, "a ");
	strbuf_addf(&sb, "%s:%d", "host", 80);
	assert_string_equal(sb.buf, "a host:80");
	strbuf_clear(&sb);
	strbuf_addf(&sb, "%255d", 7); /* fits the buffer on the stack */
	assert_int_equal(sb.len, 255);
	strbuf_addf(&sb, "%256d", 7); /* does not */
	strbuf_addf(&sb, "%5000d", 7);
	assert_int_equal(sb.len, 255 + 256 + 5000);
	assert_string_equal(sb.buf + sb.len - 2, " 7");
}

static void test_holds_nul(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_add(&sb, "a\0b", 3);
	assert_int_equal(sb.len, 3);
	assert_memory_equal(sb.buf, "a\0b", 4);
}

static void test_limit(void **state)
{
	struct strbuf sb = STRBUF_LIMITED(5);

	(void)state;
	strbuf_addstr(&sb, "12345");
	assert_false(sb.overflow);
	strbuf_addch(&sb, '6');
	assert_true(sb.overflow);
	strbuf_addstr(&sb, "789");
	assert_string_equal(sb.buf, "12345");
	strbuf_clear(&sb);
	assert_false(sb.overflow);
	strbuf_addf(&sb, "%s", "abcdefgh");
	assert_string_equal(sb.buf, "abcde");
	assert_true(sb.overflow);
	strbuf_release(&sb);
	assert_int_equal(sb.limit, 5);
	assert_false(sb.overflow);
}

static void test_trim(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_addstr(&sb, " \t\n a b\r\n ");
	strbuf_trim(&sb);
	assert_string_equal(sb.buf, "a b");
	assert_int_equal(sb.len, 3);
	strbuf_clear(&sb);
	strbuf_addstr(&sb, " \n");
	strbuf_trim(&sb);
	assert_string_equal(sb.buf, "");
}

static void test_steal(void **state)
{
	struct strbuf sb = STRBUF_LIMITED(10);
	AUTO_FREE char *empty = strbuf_steal(&sb);
	AUTO_FREE char *text = NULL;

	(void)state;
	assert_string_equal(empty, "");
	strbuf_addstr(&sb, "abc");
	text = strbuf_steal(&sb);
	assert_string_equal(text, "abc");
	assert_int_equal(sb.len, 0);
	assert_string_equal(sb.buf, "");
	assert_int_equal(sb.limit, 10);
}

static void test_mask(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{"", ""},
		{"plain ~", "plain ~"},
		{"\x01\x1f\x7f\n", "????"},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\xa6\x89", "\xc3\xa4\xe2\x82\xac\xf0\x9f\xa6\x89"},
		{"\xc2\x80\xc2\x9f\xc2\xa0", "????\xc2\xa0"},              /* C1 */
		{"\xc0\xaf|\xe0\x80\xaf|\xf0\x80\x80\xaf", "??|???|????"}, /* overlong */
		{"\xed\xa0\x80|\xf4\x90\x80\x80|\xf5\x80", "???|????|??"}, /* no characters */
		{"\xe2\x82", "??"},                                        /* cut */
		{"\xe2\x82z\x80", "??z?"},
		/* U+202A, U+202E, U+2066, U+2069, U+200E, U+200F, U+061C: which way it is read */
		{"\xe2\x80\xaa|\xe2\x80\xae|\xe2\x81\xa6|\xe2\x81\xa9", "???|???|???|???"},
		{"\xe2\x80\x8e|\xe2\x80\x8f|\xd8\x9c", "???|???|??"},
		/* U+00AD, U+200B, U+2028, U+FEFF, U+E0041: not seen, or another line */
		{"\xc2\xad|\xe2\x80\x8b|\xe2\x80\xa8|\xef\xbb\xbf", "??|???|???|???"},
		{"\xf3\xa0\x81\x81", "????"},
		/* U+200D within an emoji, U+200C, and the seen U+2010, U+2026, U+202F */
		{"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xa7",
		 "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xa7"},
		{"\xe2\x80\x8c\xe2\x80\x90\xe2\x80\xa6\xe2\x80\xaf",
		 "\xe2\x80\x8c\xe2\x80\x90\xe2\x80\xa6\xe2\x80\xaf"},
		{"\xed\x9f\xbf\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xf4\x8f\xbf\xbf"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *s = strdup(cases[i].in);

		str_mask_controls(s);
		assert_string_equal(s, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_empty), cmocka_unit_test(test_grows),
		cmocka_unit_test(test_formats),      cmocka_unit_test(test_holds_nul),
		cmocka_unit_test(test_limit),        cmocka_unit_test(test_trim),
		cmocka_unit_test(test_steal),        cmocka_unit_test(test_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
