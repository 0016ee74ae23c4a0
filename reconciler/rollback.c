#include "reconciler/rollback.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/pool.h"
#include "reconciler/apply.h"
#include "reconciler/state.h"

#define FILE_MAX (1 << 20)

/* The commit of a generation: 1, 0 where there is no record of it, -1. */
static int generation_revision(const struct root *root, int64_t generation, char ret[GIT_OID_HEX],
			       struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	const char *path = pool_printf(pool, "%s/%" PRId64 ".json", PATH_GENERATIONS, generation);
	int there = file_stat_in(root->fd, path, NULL, err);
	const char *revision;
	json_t *record;

	if (there <= 0)
		return there;
	if (file_read_in(root->fd, path, FILE_MAX, &text, err) < 0)
		return -1;
	record = json_loadb(text.buf, text.len, 0, NULL);
	revision = json_string_value(json_object_get(record, "revision"));
	there = revision && strlen(revision) == GIT_OID_HEX - 1;
	if (there)
		memcpy(ret, revision, GIT_OID_HEX);
	json_decref(record);
	return there;
}

static int find_earlier(const struct root *root, const struct state *state, char ret[GIT_OID_HEX],
			struct err *err)
{
	int64_t newest = state->status.generation;

	for (int64_t n = newest; n > 0 && n > newest - GENERATIONS_KEEP; n--) {
		int there = generation_revision(root, n, ret, err);

		if (there < 0)
			return -1;
		if (there && strcmp(ret, state->revision) != 0)
			return 0;
	}
	return err_set(err, ERR_USAGE, "there is no earlier generation of another commit");
}

static int find_revision(const struct root *root, const struct state *state, int64_t generation,
			 char ret[GIT_OID_HEX], struct err *err)
{
	int there;

	if (!generation)
		return find_earlier(root, state, ret, err);
	there = generation_revision(root, generation, ret, err);
	if (there < 0)
		return -1;
	if (!there)
		return err_set(err, ERR_USAGE,
			       "there is no generation %" PRId64 ": the newest is %" PRId64
			       ", and %d are kept",
			       generation, state->status.generation, GENERATIONS_KEEP);
	return 0;
}

int rollback_order(const struct root *root, int64_t generation, char ret_revision[GIT_OID_HEX],
		   struct err *err)
{
	CLEANUP(state_release) struct state state;
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

	state_init(&state);
	if (state_read(root, &state, err) < 0)
		return -1;
	if (!state.status.desired || !state.revision[0])
		return err_set(err, ERR_USAGE, "nothing has been applied here yet");
	if (find_revision(root, &state, generation, ret_revision, err) < 0)
		return -1;
	strbuf_addf(&line, "%s %s\n", state.status.desired, ret_revision);
	return file_replace_in(root->fd, PATH_ROLLBACK, line.buf, line.len, 0644, err);
}

int rollback_read(const struct root *root, const char *tip, char ret_revision[GIT_OID_HEX],
		  struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;
	const size_t width = GIT_OID_HEX - 1;
	int there = file_stat_in(root->fd, PATH_ROLLBACK, NULL, err);

	ret_revision[0] = '\0';
	if (there <= 0)
		return there;
	if (file_read_in(root->fd, PATH_ROLLBACK, FILE_MAX, &line, err) < 0)
		return -1;
	strbuf_trim(&line);
	if (line.len != 2 * width + 1 || strncmp(line.buf, tip, width) != 0)
		return file_remove_in(root->fd, PATH_ROLLBACK, err);
	memcpy(ret_revision, line.buf + width + 1, GIT_OID_HEX);
	return 1;
}
