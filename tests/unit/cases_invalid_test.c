/*
 * Every folder of tests/cases/invalid holds a repository with mistakes (`repo`), and what is said
 * about them
 * (`error`): the lines that `dynia validate` prints. GOLDEN=1 writes the lines that are printed
 * now.
 */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "base/strvec.h"
#include "spec/load.h"

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static char *cases_dir(void)
{
	const char *tests = getenv("DYNIA_TESTS");

	return xasprintf("%s/cases/invalid", tests ? tests : "tests");
}

static void list_cases(const char *dir, struct strvec *ret)
{
	CLEANUP(closedirp) DIR *stream = opendir(dir);
	const struct dirent *item;

	if (!stream)
		fail_msg("cannot open '%s': run from the root, or set DYNIA_TESTS", dir);
	while ((item = readdir(stream)) != NULL)
		if (item->d_name[0] != '.')
			strvec_push(ret, item->d_name);
	strvec_sort(ret);
}

/* What is printed about a repository. The caller frees it. */
static char *diagnose(const char *repo)
{
	CLEANUP(source_freep) struct source *src = NULL;
	CLEANUP(spec_freep) struct spec *spec = NULL;
	CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
	struct err err = {0};
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	src = source_from_dir(repo, &err);
	if (!src || spec_load(src, NULL, &spec, &diags, &err) < 0)
		fail_msg("%s: %s", repo, err.msg);
	assert_non_null(spec);
	diags_sort(&diags);
	diags_print(&diags, to);
	fclose(to);
	return text;
}

/* Is what is printed what `error` holds? Writes it instead where GOLDEN is set. */
static bool run_case(const char *dir, const char *name)
{
	AUTO_FREE char *repo = xasprintf("%s/%s/repo", dir, name);
	AUTO_FREE char *error = xasprintf("%s/%s/error", dir, name);
	AUTO_FREE char *got = diagnose(repo);
	CLEANUP(strbuf_release) struct strbuf want = STRBUF_INIT;
	struct err err = {0};

	if (got[0] == '\0') {
		print_error("%s: the repository is valid\n", name);
		return false;
	}
	if (getenv("GOLDEN")) {
		assert_int_equal(file_replace_in(AT_FDCWD, error, got, strlen(got), 0644, &err), 0);
		return true;
	}
	if (file_read(error, 1 << 20, &want, &err) < 0)
		fail_msg("%s", err.msg);
	if (strcmp(got, want.buf) == 0)
		return true;
	print_error("%s: wanted\n%sbut got\n%s", name, want.buf, got);
	return false;
}

static void test_cases(void **state)
{
	AUTO_FREE char *dir = cases_dir();
	CLEANUP(strvec_release) struct strvec cases = STRVEC_INIT;
	size_t wrong = 0;

	(void)state;
	list_cases(dir, &cases);
	assert_true(cases.n > 0);
	for (size_t i = 0; i < cases.n; i++)
		wrong += !run_case(dir, cases.v[i]);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
