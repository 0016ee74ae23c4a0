#include "gitsync/pkt_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "tests/unit/test.h"

/* What the handler saw, as text: "data:TEXT ", "flush ", "delim ", "end ". */
struct seen {
	struct strbuf text;
	size_t n, largest;
	size_t stop_at; /* it has all with this packet; 0: never */
	size_t fail_at;
};

static int on_packet(void *arg, enum pkt_kind kind, char *data, size_t len, struct err *err)
{
	static const char *const names[] = {"data:", "flush", "delim", "end"};
	struct seen *seen = arg;

	seen->n++;
	assert_true(kind == PKT_DATA || len == 0);
	if (kind == PKT_DATA)
		assert_int_equal(data[len], '\0');
	strbuf_addstr(&seen->text, names[kind]);
	strbuf_add(&seen->text, data, kind == PKT_DATA && len < 100 ? len : 0);
	strbuf_addch(&seen->text, ' ');
	seen->largest = len > seen->largest ? len : seen->largest;
	if (seen->n == seen->fail_at)
		return err_set(err, ERR_GIT, "not this one");
	return seen->n == seen->stop_at;
}

/* Feeds it in pieces of so many bytes, to the first error or the end. */
static int feed(const char *data, size_t len, size_t piece, struct seen *seen, struct err *err)
{
	struct pkt_reader reader = {.on_packet = on_packet, .arg = seen};
	int rc = 0;

	strbuf_init(&seen->text);
	for (size_t at = 0; at < len && rc >= 0; at += piece)
		rc = pkt_feed(&reader, data + at, len - at < piece ? len - at : piece, err);
	pkt_reader_release(&reader);
	return rc;
}

static void assert_reads(const char *data, size_t len, const char *want)
{
	for (size_t piece = 1; piece <= len; piece++) {
		struct seen seen = {0};
		struct err err = {0};

		assert_int_equal(feed(data, len, piece, &seen, &err), 0);
		assert_string_equal(seen.text.buf, want);
		strbuf_release(&seen.text);
	}
}

static void assert_refuses(const char *data, size_t len, const char *text)
{
	for (size_t piece = 1; piece <= len; piece++) {
		struct seen seen = {0};
		struct err err = {0};

		assert_int_equal(feed(data, len, piece, &seen, &err), -1);
		assert_int_equal(err.code, ERR_GIT);
		if (!strstr(err.msg, text))
			fail_msg("'%s' is not in '%s'", text, err.msg);
		strbuf_release(&seen.text);
	}
}

#define READS(data, want) assert_reads(data, sizeof(data) - 1, want)
#define REFUSES(data, text) assert_refuses(data, sizeof(data) - 1, text)

static void test_packets_come_whole_however_they_are_cut(void **unused)
{
	(void)unused;
	READS("0009hello0000", "data:hello flush ");
	READS("0009hello000100090002x0002", "data:hello delim data:0002x end ");
	READS("0000000100020000", "flush delim end flush ");
	READS("0004", "data: ");
	READS("0005x0004", "data:x data: ");
	READS("000Ahello\n000ahello\n", "data:hello\n data:hello\n ");
	/* Not whole yet. */
	READS("0", "");
	READS("000", "");
	READS("0009", "");
	READS("0009hell", "");
	/* It may hold what looks like a header, and NUL bytes. */
	READS("000c00000000", "data:00000000 ");
}

static void test_nul_bytes(void **unused)
{
	struct seen seen = {0};
	struct err err = {0};

	(void)unused;
	assert_int_equal(feed("0008a\0b\0", 8, 3, &seen, &err), 0);
	assert_int_equal(seen.text.len, strlen("data:") + 4 + 1);
	assert_memory_equal(seen.text.buf, "data:a\0b\0 ", seen.text.len);
	strbuf_release(&seen.text);
	REFUSES("00\00009", "does not talk as a git server does");
}

static void test_what_is_no_header(void **unused)
{
	static const char *const headers[] = {"0003",
					      "fff1",
					      "FFFF",
					      "00g4",
					      " 004",
					      "+004",
					      "-004",
					      "0x05",
					      "4   ",
					      "HTTP",
					      "<htm",
					      "\r\n\r\n",
					      "\xff\xff\xff\xff"};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		CLEANUP(strbuf_release) struct strbuf second = STRBUF_INIT;

		assert_refuses(headers[i], 4, "does not talk as a git server does");
		strbuf_addf(&second, "0009hello%s", headers[i]);
		assert_refuses(second.buf, second.len, "does not talk as a git server does");
	}
}

static void test_the_largest_packet(void **unused)
{
	CLEANUP(strbuf_release) struct strbuf data = STRBUF_INIT;
	AUTO_FREE char *large = xmalloc(PKT_DATA_MAX);
	static const size_t pieces[] = {1, 3, 4, 5, 4096, PKT_DATA_MAX, PKT_DATA_MAX + 4, 1 << 20};

	(void)unused;
	memset(large, 'x', PKT_DATA_MAX);
	pkt_add(&data, large, PKT_DATA_MAX);
	assert_memory_equal(data.buf, "fff0", 4);
	pkt_add(&data, large, 3);
	pkt_add_flush(&data);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct seen seen = {0};
		struct err err = {0};

		assert_int_equal(feed(data.buf, data.len, pieces[i], &seen, &err), 0);
		assert_string_equal(seen.text.buf, "data: data:xxx flush ");
		assert_int_equal(seen.largest, PKT_DATA_MAX);
		strbuf_release(&seen.text);
	}
}

static void test_nothing_is_kept_of_what_was_read(void **unused)
{
	struct seen seen = {.text = STRBUF_INIT};
	struct pkt_reader reader = {.on_packet = on_packet, .arg = &seen};
	struct err err = {0};

	(void)unused;
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(pkt_feed(&reader, "0009hello0009he", 15, &err), 0);
		assert_int_equal(reader.pending.len, 6);
		assert_int_equal(pkt_feed(&reader, "llo", 3, &err), 0);
		assert_int_equal(reader.pending.len, 0);
	}
	assert_int_equal(seen.n, 20000);
	assert_int_equal(pkt_feed(&reader, NULL, 0, &err), 0);
	pkt_reader_release(&reader);
	strbuf_release(&seen.text);
}

static void test_the_end(void **unused)
{
	struct err err = {0};

	(void)unused;
	for (size_t piece = 1; piece <= 20; piece++) {
		struct seen seen = {.stop_at = 2};

		assert_int_equal(feed("0009hello0000", 13, piece, &seen, &err), 1);
		strbuf_release(&seen.text);
		/* One byte behind it, in the same piece or in another. */
		seen = (struct seen) {.stop_at = 2};
		assert_int_equal(feed("0009hello00000", 14, piece, &seen, &err), -1);
		assert_string_equal(err.msg, "the server says more than it was asked for");
		assert_int_equal(seen.n, 2);
		strbuf_release(&seen.text);
	}
}

static void test_a_handler_that_refuses(void **unused)
{
	struct seen seen = {.fail_at = 2};
	struct err err = {0};

	(void)unused;
	assert_int_equal(feed("0005a0005b0005c", 15, 100, &seen, &err), -1);
	assert_string_equal(err.msg, "not this one");
	assert_string_equal(seen.text.buf, "data:a data:b ");
	strbuf_release(&seen.text);
}

static void test_the_servers_own_error(void **unused)
{
	CLEANUP(strbuf_release) struct strbuf data = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct seen seen = {.text = STRBUF_INIT};
	struct pkt_reader reader = {.on_packet = on_packet, .arg = &seen};
	struct err err = {0};

	(void)unused;
	REFUSES("0015ERR access denied", "the server says: access denied");
	REFUSES("0016ERR access denied\n", "the server says: access denied");
	REFUSES("0005x0015ERR access denied", "the server says: access denied");
	REFUSES("0008ERR ", "the server says: ");
	READS("0007ERR", "data:ERR ");
	READS("0009ERRor", "data:ERRor ");
	READS("0009err x", "data:err x ");
	/* However long it is. */
	for (int i = 0; i < PKT_DATA_MAX - 4; i++)
		strbuf_addch(&text, 'y');
	pkt_addf(&data, "ERR %s", text.buf);
	assert_int_equal(pkt_feed(&reader, data.buf, data.len, &err), -1);
	assert_true(strlen(err.msg) < 400);
	assert_int_equal(seen.n, 0);
	pkt_reader_release(&reader);
	strbuf_release(&seen.text);
}

static void test_writing(void **unused)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;
	char text[] = "a\n\n", line[] = "\n", none[] = "";

	(void)unused;
	pkt_add(&out, "", 0);
	pkt_addf(&out, "command=%s\n", "ls-refs");
	pkt_add_delim(&out);
	pkt_add_flush(&out);
	assert_string_equal(out.buf, "00040014command=ls-refs\n00010000");
	assert_int_equal(pkt_chomp(text, 3), 2);
	assert_string_equal(text, "a\n");
	assert_int_equal(pkt_chomp(line, 1), 0);
	assert_string_equal(line, "");
	assert_int_equal(pkt_chomp(none, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_come_whole_however_they_are_cut),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_what_is_no_header),
		cmocka_unit_test(test_the_largest_packet),
		cmocka_unit_test(test_nothing_is_kept_of_what_was_read),
		cmocka_unit_test(test_the_end),
		cmocka_unit_test(test_a_handler_that_refuses),
		cmocka_unit_test(test_the_servers_own_error),
		cmocka_unit_test(test_writing),
	};

	return cmocka_run_group_tests_name("pkt_line", tests, NULL, NULL);
}
