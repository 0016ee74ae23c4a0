#include "reconciler/suspend.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "gitsync/text.h"

#define FILE_MAX (64 << 10)

int suspend_node(const struct root *root, const char *reason, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

	strbuf_addf(&line, "%s\n", reason);
	return file_replace_in(root->fd, PATH_SUSPENDED, line.buf, line.len, 0644, err);
}

int suspend_resume(const struct root *root, struct err *err)
{
	return file_remove_in(root->fd, PATH_SUSPENDED, err);
}

int suspend_read(const struct root *root, struct pool *pool, const char **ret_reason,
		 struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	int there = file_stat_in(root->fd, PATH_SUSPENDED, NULL, err);

	if (there <= 0)
		return there;
	if (file_read_in(root->fd, PATH_SUSPENDED, FILE_MAX, &text, err) < 0)
		return -1;
	*ret_reason = text_line(pool, text.buf, SUSPEND_REASON_MAX);
	return 1;
}
