#include "gitsync/git_error.h"

#include <git2.h>
#include <stdarg.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

static bool is_transport_class(int klass)
{
	return klass == GIT_ERROR_NET || klass == GIT_ERROR_OS || klass == GIT_ERROR_SSL ||
	       klass == GIT_ERROR_HTTP || klass == GIT_ERROR_SSH;
}

static int fail(struct err *err, bool network, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static int fail(struct err *err, bool network, const char *fmt, va_list ap)
{
	const git_error *last = git_error_last();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	enum err_code code = ERR_GIT;

	strbuf_vaddf(&text, fmt, ap);
	if (last && last->klass != GIT_ERROR_NONE) {
		strbuf_addf(&text, ": %s", last->message);
		if (last->klass == GIT_ERROR_NOMEMORY)
			code = ERR_LIMIT;
		if (network && is_transport_class(last->klass))
			code = ERR_NETWORK;
	}
	return err_set(err, code, "%s", text.buf);
}

int git_fail(struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(err, false, fmt, ap);
	va_end(ap);
	return -1;
}

int git_fail_remote(struct err *err, bool network, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(err, network, fmt, ap);
	va_end(ap);
	return -1;
}
