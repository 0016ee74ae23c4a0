/* What a row of a table says about itself. */
#include <string.h>

#include "base/cleanup.h"
#include "spec/table.h"

const struct field *field_find(const struct field *fields, const char *key)
{
	for (const struct field *f = fields; f->key; f++)
		if (strcmp(f->key, key) == 0)
			return f;
	return NULL;
}

struct unit {
	int64_t factor;
	const char *name;
};

static const struct unit duration_units[] = {
	{INT64_C(86400000), "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"},
};

static void add_duration(struct strbuf *sb, int64_t ms)
{
	if (ms == 0)
		strbuf_addstr(sb, "0s");
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		int64_t n = ms / duration_units[i].factor;

		if (n)
			strbuf_addf(sb, "%lld%s", (long long)n, duration_units[i].name);
		ms %= duration_units[i].factor;
	}
}

static void add_size(struct strbuf *sb, int64_t bytes)
{
	static const struct unit units[] = {{1 << 30, "G"},
					    {1 << 20, "M"},
					    {1 << 10, "k"},
					    {1, ""}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (bytes % units[i].factor == 0) {
			strbuf_addf(sb, "%lld%s", (long long)(bytes / units[i].factor),
				    units[i].name);
			return;
		}
	}
}

static void add_milli(struct strbuf *sb, int64_t milli)
{
	strbuf_addf(sb, "%lld", (long long)(milli / 1000));
	if (milli % 1000 == 0)
		return;
	strbuf_addf(sb, ".%03lld", (long long)(milli % 1000));
	while (sb->buf[sb->len - 1] == '0')
		strbuf_setlen(sb, sb->len - 1);
}

static void add_number(struct strbuf *sb, enum field_kind kind, int64_t value)
{
	switch (kind) {
	case FIELD_DURATION:
		add_duration(sb, value);
		break;
	case FIELD_SIZE:
		add_size(sb, value);
		break;
	case FIELD_MILLI:
		add_milli(sb, value);
		break;
	default:
		strbuf_addf(sb, "%lld", (long long)value);
	}
}

static bool is_number(enum field_kind kind)
{
	return kind == FIELD_INT || kind == FIELD_DURATION || kind == FIELD_SIZE ||
	       kind == FIELD_MILLI;
}

void field_bounds(const struct field *field, struct strbuf *ret)
{
	if (!is_number(field->kind) || (!field->min && !field->max))
		return;
	if (!field->max)
		strbuf_addstr(ret, "at least ");
	add_number(ret, field->kind, field->min);
	if (field->min == field->max)
		return;
	if (field->max) {
		strbuf_addstr(ret, " to ");
		add_number(ret, field->kind, field->max);
	}
}
