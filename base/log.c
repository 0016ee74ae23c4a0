#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"

enum log_form { LOG_FORM_FILE, LOG_FORM_TERMINAL, LOG_FORM_COLOUR, LOG_FORM_JOURNAL };

static struct {
	enum log_level most;
	enum log_form form;
} settings = {.most = LOG_LEVEL_INFO, .form = LOG_FORM_FILE};

struct level_look {
	const char *name;
	const char *colour; /* SGR parameters, ECMA-48 */
};

static const struct level_look looks[] = {
	[LOG_LEVEL_ERROR] = {"error", "31"},
	[LOG_LEVEL_WARN] = {"warning", "33"},
	[LOG_LEVEL_INFO] = {"info", "32"},
	[LOG_LEVEL_DEBUG] = {"debug", "2"},
};

/* systemd.exec(5): JOURNAL_STREAM holds "DEVICE:INODE" of the journal's socket. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev;
	unsigned long long ino;
	struct stat st;
	char end;

	if (!stream || sscanf(stream, "%llu:%llu%c", &dev, &ino, &end) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_setup(enum log_level most)
{
	const char *no_color = getenv("NO_COLOR");

	settings.most = most;
	if (is_journal())
		settings.form = LOG_FORM_JOURNAL;
	else if (!isatty(STDERR_FILENO))
		settings.form = LOG_FORM_FILE;
	else if (no_color && *no_color)
		settings.form = LOG_FORM_TERMINAL;
	else
		settings.form = LOG_FORM_COLOUR;
}

static void add_prefix(struct strbuf *line, enum log_level level)
{
	const struct level_look *look = &looks[level];
	char now[CLOCK_TEXT_SIZE];

	switch (settings.form) {
	case LOG_FORM_JOURNAL:
		strbuf_addf(line, "<%d>", (int)level);
		break;
	case LOG_FORM_COLOUR:
		strbuf_addf(line, "\033[%sm%s\033[0m: ", look->colour, look->name);
		break;
	case LOG_FORM_TERMINAL:
		strbuf_addf(line, "%s: ", look->name);
		break;
	case LOG_FORM_FILE:
		clock_format(clock_wall_s(), now);
		strbuf_addf(line, "%s %s ", now, look->name);
		break;
	}
}

/* One write(2) a line, so that lines of several processes do not mix. */
__attribute__((format(printf, 2, 0))) static void write_line(enum log_level level, const char *fmt,
							     va_list ap)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	size_t text;

	if (level > settings.most)
		return;
	add_prefix(&line, level);
	text = line.len;
	strbuf_vaddf(&line, fmt, ap);
	str_mask_controls(line.buf + text);
	strbuf_addch(&line, '\n');
	if (write(STDERR_FILENO, line.buf, line.len) < 0)
		return; /* there is no other place to say it */
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_LEVEL_WARN, fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}
