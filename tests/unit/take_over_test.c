#include "gitsync/take_over.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/pool.h"
#include "gitsync/internal.h"
#include "tests/unit/git_fixture.h"

/* A mirror with one commit of its own, and a worker's folder with a pack of another one. */
struct env {
	struct fixture fx;
	struct mirror *m;
	struct worker_folder folder;
	char *old, *oid;  /* the two commits */
	char *name;       /* of the pack: 40 hex digits */
	char *pack, *idx; /* the files' names */
	int objects_fd;   /* the mirror's */
	off_t pack_bytes, idx_bytes;
};

static off_t size_of(int dir_fd, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_size;
}

/* From the fixture into the worker's folder. */
static void give(struct env *env, const char *from, const char *name)
{
	CLEANUP(strbuf_release) struct strbuf data = STRBUF_INIT;
	struct err err = {0};

	assert_ok(file_read_in(env->fx.fd, from, 64 << 20, &data, &err), &err);
	assert_ok(worker_folder_add(&env->folder, name, data.buf, data.len, &err), &err);
}

static char *name_of_pack(struct env *env)
{
	AUTO_FREE char *path = fixture_path(&env->fx, "packed.git/objects/pack");
	DIR *dir = opendir(path);
	const struct dirent *entry;
	char *name = NULL;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (!name && strncmp(entry->d_name, "pack-", 5) == 0)
			name = xstrndup(entry->d_name + 5, GIT_OID_HEX - 1);
	closedir(dir);
	assert_non_null(name);
	return name;
}

static int setup(void **state)
{
	struct env *env = xcalloc(1, sizeof(*env));
	AUTO_FREE char *mirror = NULL, *folder = NULL, *pack = NULL, *idx = NULL;
	struct err err = {0};

	fixture_init(&env->fx);
	env->folder = (struct worker_folder)WORKER_FOLDER_INIT;
	env->old = fixture_work(&env->fx);
	mirror = fixture_path(&env->fx, "repo.git");
	assert_ok(mirror_create(mirror, &env->m, NULL, &err), &err);
	env->objects_fd = openat(env->fx.fd, "repo.git/objects", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(env->objects_fd >= 0);
	fixture_run(&env->fx, "work", "push", "-q", mirror, "main", NULL);
	fixture_write(&env->fx, "work/b.yaml", "b\n");
	env->oid = fixture_commit(&env->fx, "work", "second");
	fixture_run(&env->fx, ".", "clone", "-q", "--bare", "--no-local", "work", "packed.git",
		    NULL);
	fixture_run(&env->fx, "packed.git", "-c", "pack.writeReverseIndex=false", "repack", "-adq",
		    NULL);
	env->name = name_of_pack(env);
	env->pack = xasprintf("pack-%s.pack", env->name);
	env->idx = xasprintf("pack-%s.idx", env->name);
	folder = fixture_path(&env->fx, "incoming");
	assert_ok(worker_folder_open(folder, getuid(), getgid(), &env->folder, &err), &err);
	pack = xasprintf("packed.git/objects/pack/%s", env->pack);
	idx = xasprintf("packed.git/objects/pack/%s", env->idx);
	give(env, pack, env->pack);
	give(env, idx, env->idx);
	env->pack_bytes = size_of(env->folder.fd, env->pack);
	env->idx_bytes = size_of(env->folder.fd, env->idx);
	assert_true(env->pack_bytes < env->idx_bytes);
	*state = env;
	return 0;
}

static int teardown(void **state)
{
	struct env *env = *state;

	mirror_free(env->m);
	close(env->objects_fd);
	worker_folder_close(&env->folder);
	fixture_release(&env->fx);
	free(env->old);
	free(env->oid);
	free(env->name);
	free(env->pack);
	free(env->idx);
	free(env);
	return 0;
}

static bool has(const struct env *env, const char *oid)
{
	git_commit *commit = NULL;
	struct err ignored;
	bool there = commit_lookup(env->m, oid, &commit, &ignored) == 0;

	git_commit_free(commit);
	return there;
}

static bool mirror_has_file(const struct env *env, const char *name)
{
	AUTO_FREE char *path = xasprintf("repo.git/objects/pack/%s", name);

	return fixture_has(&env->fx, path);
}

/* The old commit can be read, git finds nothing amiss, and the mirror is taken for sound. */
static void assert_sound(const struct env *env)
{
	assert_true(has(env, env->old));
	assert_true(mirror_is_sound(env->m));
	fixture_run(&env->fx, "repo.git", "fsck", "--strict", "--no-dangling", NULL);
}

/* Files that are not whole yet, each of another process. */
static size_t unfinished(const struct env *env)
{
	CLEANUP(strvec_release) struct strvec names = STRVEC_INIT;
	struct err err = {0};
	size_t n = 0;

	assert_int_equal(file_list_in(env->fx.fd, "repo.git/objects/pack", &names, &err), 1);
	for (size_t i = 0; i < names.n; i++)
		n += strncmp(names.v[i], "incoming_git2_", strlen("incoming_git2_")) == 0;
	return n;
}

static void assert_not_taken(const struct env *env)
{
	assert_false(has(env, env->oid));
	assert_false(mirror_has_file(env, env->idx));
	assert_sound(env);
}

static void assert_takes(const struct env *env)
{
	struct err err = {0};

	assert_ok(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err), &err);
	assert_true(has(env, env->oid));
	assert_sound(env);
	assert_int_equal(unfinished(env), 0);
}

static void test_a_whole_pack(void **state)
{
	const struct env *env = *state;
	AUTO_FREE char *path = xasprintf("repo.git/objects/pack/%s", env->pack);
	struct stat st;

	assert_not_taken(env);
	assert_takes(env);
	assert_int_equal(fstatat(env->fx.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_nlink, 1);
}

static void test_the_same_pack_again(void **state)
{
	const struct env *env = *state;

	assert_takes(env);
	assert_takes(env);
}

static void test_has_a_pack(void **state)
{
	struct env *env = *state;
	struct err err = {0};

	assert_int_equal(worker_folder_has_pack(&env->folder, &err), 0);
	assert_ok(worker_folder_add(&env->folder, "incoming.pack", "x", 1, &err), &err);
	assert_int_equal(worker_folder_has_pack(&env->folder, &err), 1);
	close(env->folder.fd);
	env->folder.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_fails(worker_folder_has_pack(&env->folder, &err), &err, ERR_SYSTEM, "look for");
}

static void test_a_name_is_forty_digits(void **state)
{
	const struct env *env = *state;
	AUTO_FREE char *longer = xasprintf("%s0", env->name);
	AUTO_FREE char *upper = xstrdup(env->name);
	AUTO_FREE char *shorter = xstrndup(env->name, GIT_OID_HEX - 2);
	const char *const names[] = {"",
				     "x",
				     longer,
				     shorter,
				     upper,
				     "../../../../../../../../../../../../../tmp/x",
				     "000000000000000000000000000000000000000/",
				     "000000000000000000000000000000000000000\n"};
	struct err err = {0};

	upper[0] = 'A';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, names[i], &err),
			     &err, ERR_SYSTEM, "the worker's answer cannot be read");
	assert_not_taken(env);
}

static void test_one_of_the_two_is_missing(void **state)
{
	const struct env *env = *state;
	struct err err = {0};

	assert_int_equal(renameat(env->folder.fd, env->idx, env->folder.fd, "idx"), 0);
	assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err), &err,
		     ERR_SYSTEM, env->idx);
	assert_not_taken(env);
	assert_int_equal(renameat(env->folder.fd, "idx", env->folder.fd, env->idx), 0);
	assert_int_equal(renameat(env->folder.fd, env->pack, env->folder.fd, "pack"), 0);
	assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err), &err,
		     ERR_SYSTEM, env->pack);
	assert_not_taken(env);
	assert_int_equal(renameat(env->folder.fd, "pack", env->folder.fd, env->pack), 0);
	assert_takes(env);
}

/* What a worker may put in a file's place: no file of the machine's is read, and nothing waits. */
static void test_what_is_no_file(void **state)
{
	const struct env *env = *state;
	struct err err = {0};

	for (int i = 0; i < 2; i++) {
		const char *name = i ? env->idx : env->pack;

		assert_int_equal(renameat(env->folder.fd, name, env->folder.fd, "kept"), 0);
		assert_int_equal(symlinkat("kept", env->folder.fd, name), 0);
		assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err),
			     &err, ERR_SYSTEM, name);
		assert_int_equal(unlinkat(env->folder.fd, name, 0), 0);
		assert_int_equal(mkdirat(env->folder.fd, name, 0700), 0);
		assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err),
			     &err, ERR_LIMIT, "is none that is taken");
		assert_int_equal(unlinkat(env->folder.fd, name, AT_REMOVEDIR), 0);
		assert_int_equal(mkfifoat(env->folder.fd, name, 0600), 0);
		assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err),
			     &err, ERR_LIMIT, "is none that is taken");
		assert_int_equal(renameat(env->folder.fd, "kept", env->folder.fd, name), 0);
		assert_not_taken(env);
	}
	assert_takes(env);
}

/* Found by its size, before a byte of it is copied. */
static void test_what_is_too_large(void **state)
{
	const struct env *env = *state;
	const struct {
		const char *name;
		off_t size, most;
	} rows[] = {{env->pack, env->pack_bytes, (off_t)WORKER_FILE_BYTES},
		    {env->idx, env->idx_bytes, (off_t)128 << 20}};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_CLOSE int fd = openat(env->folder.fd, rows[i].name, O_WRONLY | O_CLOEXEC);

		assert_int_equal(ftruncate(fd, rows[i].most + 1), 0);
		assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err),
			     &err, ERR_LIMIT, rows[i].name);
		assert_int_equal(ftruncate(fd, rows[i].size), 0);
		assert_not_taken(env);
	}
	assert_takes(env);
}

/* In a child that can write no file longer than so: how it ended. */
static int take_with_limit(const struct env *env, off_t most, bool is_killed, struct err *err)
{
	int fds[2], status = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		const struct rlimit limit = {(rlim_t)most, (rlim_t)most};
		const struct rlimit no_core = {0, 0};

		signal(SIGXFSZ, is_killed ? SIG_DFL : SIG_IGN);
		if (setrlimit(RLIMIT_CORE, &no_core) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
			_exit(2);
		if (take_over_pack(env->m, env->objects_fd, &env->folder, env->name, err) == 0)
			_exit(0);
		_exit(write(fds[1], err, sizeof(*err)) == sizeof(*err) ? 1 : 2);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		assert_int_equal(read(fds[0], err, sizeof(*err)), sizeof(*err));
	close(fds[0]);
	return status;
}

/* At the pack's first byte, in its middle, at its end, and the same in the index. */
#define CUTS(env)                                                                                  \
	{                                                                                          \
		0, 1, (env)->pack_bytes / 2, (env)->pack_bytes - 1, (env)->pack_bytes,             \
			(env)->pack_bytes + 1, (env)->idx_bytes - 1                                \
	}

static void test_killed_in_the_middle(void **state)
{
	const struct env *env = *state;
	const off_t cuts[] = CUTS(env);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		bool has_pack = cuts[i] >= env->pack_bytes;
		int status = take_with_limit(env, cuts[i], true, &err);

		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
		assert_int_equal(mirror_has_file(env, env->pack), has_pack);
		assert_int_equal(unfinished(env), i + 1);
		assert_not_taken(env);
	}
	/* The next agent sweeps what is left of it. */
	mirror_sweep(env->m->path);
	assert_int_equal(unfinished(env), 0);
	assert_sound(env);
	assert_takes(env);
}

static void test_the_disk_takes_no_more(void **state)
{
	const struct env *env = *state;
	const off_t cuts[] = CUTS(env);

	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct err err = {0};
		int status = take_with_limit(env, cuts[i], false, &err);

		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		assert_int_equal(err.code, ERR_SYSTEM);
		assert_non_null(strstr(err.msg, "write a pack to the mirror"));
		assert_not_taken(env);
	}
	assert_int_equal(unfinished(env), 0);
	assert_takes(env);
}

/* Two workers made it: what is not a pack brings nothing, and takes nothing away. */
static void test_a_pack_of_nonsense(void **state)
{
	struct env *env = *state;
	static const char *const texts[] = {"", "x", "PACK", "\377tOc"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO_FREE char *name = xasprintf("%040zu", i);
		AUTO_FREE char *pack = xasprintf("pack-%s.pack", name);
		AUTO_FREE char *idx = xasprintf("pack-%s.idx", name);
		struct err err = {0};

		assert_ok(worker_folder_add(&env->folder, pack, texts[i], strlen(texts[i]), &err),
			  &err);
		assert_ok(worker_folder_add(&env->folder, idx, texts[i], strlen(texts[i]), &err),
			  &err);
		if (take_over_pack(env->m, env->objects_fd, &env->folder, name, &err) < 0)
			assert_int_equal(err.code, ERR_GIT);
		assert_false(has(env, env->oid));
		assert_true(has(env, env->old));
		assert_true(mirror_is_sound(env->m));
	}
	assert_int_equal(take_over_pack(env->m, env->objects_fd, &env->folder, env->name,
					&(struct err) {0}),
			 0);
	assert_true(has(env, env->oid));
}

static void test_a_mirror_without_a_place_for_packs(void **state)
{
	const struct env *env = *state;
	struct err err = {0};

	assert_int_equal(renameat(env->fx.fd, "repo.git/objects/pack", env->fx.fd, "elsewhere"), 0);
	assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err), &err,
		     ERR_SYSTEM, "open the packs of");
	assert_int_equal(symlinkat("../../elsewhere", env->fx.fd, "repo.git/objects/pack"), 0);
	assert_fails(take_over_pack(env->m, env->objects_fd, &env->folder, env->name, &err), &err,
		     ERR_SYSTEM, "open the packs of");
	assert_int_equal(unlinkat(env->fx.fd, "repo.git/objects/pack", 0), 0);
	assert_int_equal(renameat(env->fx.fd, "elsewhere", env->fx.fd, "repo.git/objects/pack"), 0);
	assert_takes(env);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_whole_pack),
		TEST(test_the_same_pack_again),
		TEST(test_has_a_pack),
		TEST(test_a_name_is_forty_digits),
		TEST(test_one_of_the_two_is_missing),
		TEST(test_what_is_no_file),
		TEST(test_what_is_too_large),
		TEST(test_killed_in_the_middle),
		TEST(test_the_disk_takes_no_more),
		TEST(test_a_pack_of_nonsense),
		TEST(test_a_mirror_without_a_place_for_packs),
	};

	return cmocka_run_group_tests_name("take_over", tests, NULL, NULL);
}
