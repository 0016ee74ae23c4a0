#include "gitsync/git_error.h"

#include <errno.h>
#include <git2.h>
#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

static bool is_transport_class(int klass)
{
	return klass == GIT_ERROR_NET || klass == GIT_ERROR_OS || klass == GIT_ERROR_SSL ||
	       klass == GIT_ERROR_HTTP || klass == GIT_ERROR_SSH;
}

/* libgit2 may say of an object that cannot be read that it is not valid. */
static bool is_trouble_of_the_machine(int error)
{
	return error == EIO || error == ENOSPC || error == EDQUOT || error == EROFS ||
	       error == EMFILE || error == ENFILE || error == ENOMEM;
}

static void add_trouble(struct strbuf *to, int error)
{
	char buf[128];
	const char *trouble = strerror_r(error, buf, sizeof(buf));

	if (!strstr(to->buf, trouble))
		strbuf_addf(to, ": %s", trouble);
}

static int fail(struct err *err, bool network, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static int fail(struct err *err, bool network, const char *fmt, va_list ap)
{
	const int error = errno;
	const git_error *last = git_error_last();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	enum err_code code = ERR_GIT;

	strbuf_vaddf(&text, fmt, ap);
	if (last && last->klass != GIT_ERROR_NONE) {
		strbuf_addf(&text, ": %s", last->message);
		if (is_trouble_of_the_machine(error))
			add_trouble(&text, error);
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
