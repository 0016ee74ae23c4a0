/*
 * The agent's log. Only the top layers log (reconciler/, cli/); everything below returns an error.
 *
 * On a terminal: coloured level, no time. In a file or pipe: RFC 3339 UTC time, level, text. Under
 * systemd (JOURNAL_STREAM names standard error, see systemd.exec(5)): a "<N>" priority prefix as in
 * sd-daemon(3). Control characters are replaced by '?': one call is one line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

/* The values are syslog(3)'s priorities. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Chooses the form from what standard error is, NO_COLOR and JOURNAL_STREAM. `most` is the most
 * verbose level shown. */
void log_setup(enum log_level most);
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
