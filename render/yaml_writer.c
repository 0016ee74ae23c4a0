#include "render/yaml_writer.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/cleanup.h"

/* Nesting of a compose file: services, one service, deploy, resources, limits. */
#define DEPTH_MAX 16

struct yaml_writer {
	yaml_emitter_t emitter;
	struct strbuf out;
	struct strbuf scratch;
	bool is_map[DEPTH_MAX];
	unsigned depth;
	bool failed;
};

static int write_out(void *data, unsigned char *buffer, size_t size)
{
	strbuf_add(data, buffer, size);
	return 1;
}

/* An initializer that fails is out of memory, like an emitter that does; finish() reports both. */
static void emit(struct yaml_writer *y, yaml_event_t *event, int initialized)
{
	if (!initialized || !yaml_emitter_emit(&y->emitter, event))
		y->failed = true;
}

static void emit_scalar(struct yaml_writer *y, const char *text, size_t len,
			yaml_scalar_style_t style)
{
	yaml_event_t event;
	/* It copies the text; libyaml 0.2.2 does not say const. */
	int ok = yaml_scalar_event_initialize(&event, NULL, NULL, (yaml_char_t *)text, (int)len,
					      style == YAML_PLAIN_SCALAR_STYLE, 1, style);

	emit(y, &event, ok);
}

/* Words that YAML 1.1 reads as a boolean or null where they are not quoted. */
static bool is_special(const char *key)
{
	static const char *const words[] = {"y",  "n",   "yes",  "no",   "true",
					    "on", "off", "null", "false"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (key[0] == words[i][0] && strcmp(key, words[i]) == 0)
			return true;
	return false;
}

/* By hand: a large file has ten thousands of keys, and strspn(3) makes a table for each. */
static bool is_plain(const char *key)
{
	const char *c = key;

	while ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' ||
	       *c == '.')
		c++;
	return key[0] >= 'a' && key[0] <= 'z' && !*c && !is_special(key);
}

static void emit_key(struct yaml_writer *y, const char *key)
{
	if (!key)
		return;
	emit_scalar(y, key, strlen(key),
		    is_plain(key) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static void push(struct yaml_writer *y, bool is_map)
{
	if (y->depth == DEPTH_MAX) {
		y->failed = true;
		return;
	}
	y->is_map[y->depth++] = is_map;
}

struct yaml_writer *yaml_writer_new(void)
{
	struct yaml_writer *y = xcalloc(1, sizeof(*y));
	yaml_event_t event;

	strbuf_init(&y->out);
	strbuf_init(&y->scratch);
	if (!yaml_emitter_initialize(&y->emitter)) {
		y->failed = true;
		return y;
	}
	yaml_emitter_set_output(&y->emitter, write_out, &y->out);
	yaml_emitter_set_unicode(&y->emitter, 1);
	yaml_emitter_set_width(&y->emitter, -1);
	emit(y, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(y, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	yaml_map_begin(y, NULL);
	return y;
}

void yaml_writer_freep(struct yaml_writer **y)
{
	if (!*y)
		return;
	yaml_emitter_delete(&(*y)->emitter);
	strbuf_release(&(*y)->out);
	strbuf_release(&(*y)->scratch);
	free(*y);
}

void yaml_map_begin(struct yaml_writer *y, const char *key)
{
	yaml_event_t event;

	emit_key(y, key);
	emit(y, &event,
	     yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
	push(y, true);
}

void yaml_list_begin(struct yaml_writer *y, const char *key)
{
	yaml_event_t event;

	emit_key(y, key);
	emit(y, &event,
	     yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
						  YAML_BLOCK_SEQUENCE_STYLE));
	push(y, false);
}

void yaml_end(struct yaml_writer *y)
{
	yaml_event_t event;

	if (!y->depth) {
		y->failed = true;
		return;
	}
	y->depth--;
	emit(y, &event,
	     y->is_map[y->depth] ? yaml_mapping_end_event_initialize(&event)
				 : yaml_sequence_end_event_initialize(&event));
}

void yaml_string(struct yaml_writer *y, const char *key, const char *value)
{
	emit_key(y, key);
	strbuf_clear(&y->scratch);
	for (const char *at; (at = strchr(value, '$')); value = at + 1) {
		strbuf_add(&y->scratch, value, (size_t)(at - value));
		strbuf_addstr(&y->scratch, "$$");
	}
	strbuf_addstr(&y->scratch, value);
	emit_scalar(y, y->scratch.buf, y->scratch.len, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

void yaml_text(struct yaml_writer *y, const char *key, const char *value)
{
	emit_key(y, key);
	emit_scalar(y, value, strlen(value),
		    strchr(value, '\n') ? YAML_LITERAL_SCALAR_STYLE
					: YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

void yaml_stringf(struct yaml_writer *y, const char *key, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	yaml_string(y, key, text.buf);
}

static void emit_number(struct yaml_writer *y, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void emit_number(struct yaml_writer *y, const char *key, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	emit_key(y, key);
	emit_scalar(y, text.buf, text.len, YAML_PLAIN_SCALAR_STYLE);
}

void yaml_int(struct yaml_writer *y, const char *key, int64_t value)
{
	emit_number(y, key, "%lld", (long long)value);
}

void yaml_milli(struct yaml_writer *y, const char *key, int64_t thousandths)
{
	emit_number(y, key, "%lld.%03lld", (long long)thousandths / 1000,
		    (long long)thousandths % 1000);
}

void yaml_bool(struct yaml_writer *y, const char *key, bool value)
{
	emit_number(y, key, "%s", value ? "true" : "false");
}

int yaml_writer_finish(struct yaml_writer *y, struct strbuf *ret, struct err *err)
{
	yaml_event_t event;

	yaml_end(y);
	emit(y, &event, yaml_document_end_event_initialize(&event, 1));
	emit(y, &event, yaml_stream_end_event_initialize(&event));
	if (y->failed || y->depth)
		return err_set(err, ERR_CONFIG, "cannot be written as YAML: %s",
			       y->emitter.problem ? y->emitter.problem : "text that is not UTF-8");
	strbuf_add(ret, y->out.buf, y->out.len);
	return 0;
}
