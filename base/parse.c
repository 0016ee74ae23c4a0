#include "base/parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

/* Reads decimal digits and moves *s past them. -1 where there is none or the number has no room. */
static int take_number(const char **s, int64_t *ret)
{
	int64_t value = 0;

	if (!isdigit((unsigned char)**s))
		return -1;
	for (; isdigit((unsigned char)**s); (*s)++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, **s - '0', &value))
			return -1;
	}
	*ret = value;
	return 0;
}

static bool has_leading_zero(const char *s)
{
	return s[0] == '0' && isdigit((unsigned char)s[1]);
}

int parse_int(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	const char *digits = *s == '-' ? s + 1 : s;
	const char *end = digits;
	size_t len = strspn(digits, "0123456789");
	int64_t value;

	if (len == 0 || digits[len] || has_leading_zero(digits) || strcmp(s, "-0") == 0)
		return err_set(err, ERR_CONFIG, "'%s' is no whole number", s);
	if (take_number(&end, &value) < 0)
		value = INT64_MAX;
	if (*s == '-')
		value = -value;
	if (*end || value < min || value > max)
		return err_set(err, ERR_CONFIG, "%s is not between %lld and %lld", s,
			       (long long)min, (long long)max);
	*ret = value;
	return 0;
}

struct unit {
	const char *name;
	int64_t factor;
};

/* The index in a table of the unit that is len bytes at s, -1 where there is none. */
static int find_unit(const struct unit *units, size_t n, const char *s, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(units[i].name) == len && strncasecmp(units[i].name, s, len) == 0)
			return (int)i;
	}
	return -1;
}

/* From the largest: each may come once, and only after larger ones. */
static const struct unit duration_units[] = {
	{"d", INT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

int parse_duration_ms(const char *s, int64_t *ret_ms, struct err *err)
{
	const char *at = s;
	int64_t total = 0;
	int last = -1;

	do {
		int64_t value;
		size_t len;
		int unit;

		if (take_number(&at, &value) < 0)
			break;
		len = strspn(at, "dhms");
		unit = find_unit(duration_units, ARRAY_SIZE(duration_units), at, len);
		if (unit <= last ||
		    __builtin_mul_overflow(value, duration_units[unit].factor, &value) ||
		    __builtin_add_overflow(total, value, &total))
			break;
		last = unit;
		at += len;
		if (!*at) {
			*ret_ms = total;
			return 0;
		}
	} while (true);
	return err_set(err, ERR_CONFIG, "'%s' is no duration: write 30s, 1m30s or 500ms", s);
}

static const struct unit size_units[] = {
	{"", 1},        {"b", 1},        {"k", 1 << 10}, {"kb", 1 << 10},
	{"m", 1 << 20}, {"mb", 1 << 20}, {"g", 1 << 30}, {"gb", 1 << 30},
};

int parse_size_bytes(const char *s, int64_t *ret_bytes, struct err *err)
{
	const char *at = s;
	int64_t value;
	int unit = -1;

	if (!has_leading_zero(s) && take_number(&at, &value) == 0)
		unit = find_unit(size_units, ARRAY_SIZE(size_units), at, strlen(at));
	if (unit < 0 || __builtin_mul_overflow(value, size_units[unit].factor, &value))
		return err_set(err, ERR_CONFIG, "'%s' is no size: write 512k, 256M or 1G", s);
	*ret_bytes = value;
	return 0;
}

/* Up to three digits after the point, as thousandths. */
static int take_thousandths(const char **s, int64_t *ret)
{
	size_t len = strspn(*s, "0123456789");

	if (len == 0 || len > 3 || take_number(s, ret) < 0)
		return -1;
	for (; len < 3; len++)
		*ret *= 10;
	return 0;
}

int parse_milli(const char *s, int64_t *ret_milli, struct err *err)
{
	const char *at = s;
	int64_t whole = 0;
	int64_t milli = 0;
	bool ok = !has_leading_zero(s) && take_number(&at, &whole) == 0;

	if (ok && *at == '.') {
		at++;
		ok = take_thousandths(&at, &milli) == 0;
	}
	if (!ok || *at || __builtin_mul_overflow(whole, 1000, &whole) ||
	    __builtin_add_overflow(whole, milli, &milli))
		return err_set(err, ERR_CONFIG,
			       "'%s' is no number with at most three decimals, such as 0.5", s);
	*ret_milli = milli;
	return 0;
}

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9-]{1,max}, with no '-' at either end. */
static bool is_label(const char *s, size_t len, size_t max)
{
	if (len == 0 || len > max || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_lower_alnum(s[i]) && s[i] != '-')
			return false;
	}
	return true;
}

bool is_name(const char *s)
{
	return is_label(s, strlen(s), 32);
}

bool is_hostname(const char *s, bool wildcard)
{
	const char *label = s;
	size_t len;

	if (strlen(s) > 253)
		return false;
	if (wildcard && strncmp(s, "*.", 2) == 0)
		label += 2;
	for (;; label += len + 1) {
		len = strcspn(label, ".");
		if (!is_label(label, len, 63))
			return false;
		if (!label[len])
			break;
	}
	/* A last label of digits only would make it look like an address (RFC 1123, 2.1). */
	return strspn(label, "0123456789") != len;
}

/* Longest word that is compared; longer ones are nobody's misspelling. */
#define WORD_MAX 64

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. Only
 * three rows of the matrix are needed at a time: row i is rows[i % 3].
 */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i - 1) % 3];
		const size_t *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t cost = a[i - 1] != b[j - 1];

			row[j] = min_size(above[j] + 1, row[j - 1] + 1);
			row[j] = min_size(row[j], above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min_size(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *nearest_word(const char *word, const char *const *candidates)
{
	size_t len = strlen(word);
	size_t most = len / 3 > 1 ? len / 3 : 1;
	const char *nearest = NULL;

	if (len > WORD_MAX)
		return NULL;
	for (; *candidates; candidates++) {
		size_t candidate_len = strlen(*candidates);
		size_t d;

		if (candidate_len > WORD_MAX)
			continue;
		d = distance(word, len, *candidates, candidate_len);
		if (d <= most && (!nearest || d < most)) {
			nearest = *candidates;
			most = d;
		}
	}
	return nearest;
}
