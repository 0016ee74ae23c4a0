#include "reconciler/high_water.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define HIGH_WATER_VERSION 1
#define FILE_MAX (64 << 10)
#define OID_LEN (GIT_OID_HEX - 1)

static bool is_oid(const char *text)
{
	return text && strlen(text) == OID_LEN && strspn(text, "0123456789abcdef") == OID_LEN;
}

static bool has(const struct commit_list *list, const char *oid)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], oid) == 0)
			return true;
	return false;
}

/* Where it is full, the entry at `keep` makes room: those before it stay. */
static void add(struct commit_list *list, const char *oid, size_t keep)
{
	if (has(list, oid))
		return;
	if (list->n == HIGH_WATER_MARKS) {
		memmove(list->v[keep], list->v[keep + 1],
			(HIGH_WATER_MARKS - keep - 1) * sizeof(list->v[0]));
		list->n--;
	}
	memcpy(list->v[list->n++], oid, GIT_OID_HEX);
}

static json_t *list_to_json(const struct commit_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(array, json_string(list->v[i]));
	return array;
}

/* -1 where something in it is no commit's id. */
static int list_from_json(const json_t *array, struct commit_list *ret)
{
	if (!json_is_array(array) || json_array_size(array) > HIGH_WATER_MARKS)
		return -1;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *oid = json_string_value(json_array_get(array, i));

		if (!is_oid(oid))
			return -1;
		add(ret, oid, 0);
	}
	return 0;
}

static int from_json(const json_t *object, struct high_water *ret)
{
	const char *verified = json_string_value(json_object_get(object, "verified"));

	if (json_integer_value(json_object_get(object, "version")) != HIGH_WATER_VERSION ||
	    list_from_json(json_object_get(object, "marks"), &ret->marks) < 0 ||
	    list_from_json(json_object_get(object, "waived"), &ret->waived) < 0 || !verified)
		return -1;
	if (!*verified)
		return 0;
	if (!is_oid(verified))
		return -1;
	memcpy(ret->verified, verified, GIT_OID_HEX);
	return 0;
}

int high_water_read(const struct root *root, struct high_water *ret, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	int there = file_stat_in(root->fd, PATH_HIGH_WATER, NULL, err);
	json_t *object;
	int failed;

	memset(ret, 0, sizeof(*ret));
	if (there <= 0)
		return there;
	if (file_read_in(root->fd, PATH_HIGH_WATER, FILE_MAX, &text, err) < 0)
		return -1;
	object = json_loadb(text.buf, text.len, 0, NULL);
	failed = from_json(object, ret);
	json_decref(object);
	if (!failed)
		return 1;
	memset(ret, 0, sizeof(*ret));
	return err_set(err, ERR_SYSTEM, "'%s' is damaged, or of another version of dynia",
		       PATH_HIGH_WATER);
}

int high_water_write(const struct root *root, const struct high_water *hw, struct err *err)
{
	json_t *object = json_pack("{si so so ss}", "version", HIGH_WATER_VERSION, "marks",
				   list_to_json(&hw->marks), "waived", list_to_json(&hw->waived),
				   "verified", hw->verified);
	char *text = json_dumps(object, JSON_COMPACT);
	int failed = file_replace_in(root->fd, PATH_HIGH_WATER, text, strlen(text), 0600, err);

	free(text);
	json_decref(object);
	return failed;
}

bool high_water_advance(struct high_water *hw, const char *oid)
{
	if (hw->marks.n == 1 && strcmp(hw->marks.v[0], oid) == 0)
		return false;
	hw->marks.n = 0;
	add(&hw->marks, oid, 0);
	return true;
}

bool high_water_learn(struct high_water *hw, const char *oid)
{
	if (!is_oid(oid) || has(&hw->marks, oid) || has(&hw->waived, oid))
		return false;
	/* The first is this disk's own word. */
	add(&hw->marks, oid, 1);
	return true;
}

int accept_history_order(const struct root *root, const char *oid, struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

	strbuf_addf(&line, "%s\n", oid);
	return file_replace_in(root->fd, PATH_ACCEPTED, line.buf, line.len, 0600, err);
}

int accept_history_read(const struct root *root, char ret_oid[GIT_OID_HEX], struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	int there = file_stat_in(root->fd, PATH_ACCEPTED, NULL, err);

	ret_oid[0] = '\0';
	if (there <= 0)
		return there;
	if (file_read_in(root->fd, PATH_ACCEPTED, FILE_MAX, &text, err) < 0)
		return -1;
	strbuf_trim(&text);
	if (!is_oid(text.buf))
		return err_set(err, ERR_SYSTEM, "'%s' holds no commit's id: remove it",
			       PATH_ACCEPTED);
	memcpy(ret_oid, text.buf, GIT_OID_HEX);
	return 1;
}

int accept_history_take(const struct root *root, struct high_water *hw, const char *oid,
			struct err *err)
{
	for (size_t i = 0; i < hw->marks.n; i++)
		if (strcmp(hw->marks.v[i], oid) != 0)
			add(&hw->waived, hw->marks.v[i], 0);
	high_water_advance(hw, oid);
	/* What was signed belonged to the other history. */
	hw->verified[0] = '\0';
	if (high_water_write(root, hw, err) < 0)
		return -1;
	return file_remove_in(root->fd, PATH_ACCEPTED, err);
}
