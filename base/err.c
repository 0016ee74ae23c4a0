#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

#define MSG_LIMITED STRBUF_LIMITED(sizeof(((struct err *)NULL)->msg) - 1)

/* The message is always built beside err->msg, which may be among the arguments. */
static int store(struct err *err, enum err_code code, struct strbuf *msg)
{
	str_mask_controls(msg->buf);
	err->code = code;
	memcpy(err->msg, msg->buf, strlen(msg->buf) + 1);
	return -1;
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf msg = MSG_LIMITED;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&msg, fmt, ap);
	va_end(ap);
	return store(err, code, &msg);
}

int err_errno(struct err *err, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf msg = MSG_LIMITED;
	int saved = errno;
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&msg, fmt, ap);
	va_end(ap);
	strbuf_addf(&msg, ": %s", strerror_r(saved, text, sizeof(text)));
	store(err, ERR_SYSTEM, &msg);
	errno = saved;
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	CLEANUP(strbuf_release) struct strbuf msg = MSG_LIMITED;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&msg, fmt, ap);
	va_end(ap);
	strbuf_addf(&msg, ": %s", err->msg);
	return store(err, err->code, &msg);
}

void err_clear(struct err *err)
{
	err->code = ERR_NONE;
	err->msg[0] = '\0';
}

const char *err_code_reason(enum err_code code)
{
	static const char *const reasons[] = {
		[ERR_NONE] = "None",
		[ERR_USAGE] = "UsageError",
		[ERR_CONFIG] = "ConfigError",
		[ERR_GIT] = "GitError",
		[ERR_NETWORK] = "NetworkError",
		[ERR_VERIFY] = "VerifyError",
		[ERR_CHECK] = "CheckError",
		[ERR_APPLY] = "ApplyError",
		[ERR_HEALTH] = "HealthError",
		[ERR_SYSTEM] = "SystemError",
		[ERR_LIMIT] = "LimitError",
		[ERR_DOCKER] = "DockerUnavailable",
		[ERR_IMAGE] = "ImageUnavailable",
		[ERR_WAITS] = "WaitsForCredentials",
		[ERR_UNNAMED] = "NotNamed",
	};

	return (size_t)code < ARRAY_SIZE(reasons) ? reasons[code] : "UnknownError";
}
