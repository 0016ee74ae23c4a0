#include "base/file.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define SCRATCH(name) CLEANUP(scratch_release) struct scratch name = scratch_make()

static void put(int dirfd, const char *path, const char *text)
{
	struct err err = {0};

	if (file_replace_in(dirfd, path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_content(int dirfd, const char *path, const char *want)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err err = {0};

	if (file_read_in(dirfd, path, 1 << 20, &text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text.buf, want);
}

static bool is_there(int dirfd, const char *path)
{
	struct err err = {0};
	int there = file_stat_in(dirfd, path, NULL, &err);

	if (there < 0)
		fail_msg("%s", err.msg);
	return there;
}

static void assert_mode(int dirfd, const char *path, mode_t want)
{
	struct err err = {0};
	struct stat st;

	assert_int_equal(file_stat_in(dirfd, path, &st, &err), 1);
	assert_int_equal(st.st_mode & 07777, want);
}

static void test_replace_and_read(void **state)
{
	SCRATCH(dir);

	(void)state;
	put(dir.fd, "a/b/c.conf", "one");
	assert_content(dir.fd, "a/b/c.conf", "one");
	assert_content(dir.fd, "/a/b/../b/c.conf", "one");
	put(dir.fd, "/a/b/c.conf", "two");
	assert_content(dir.fd, "a/b/c.conf", "two");
	put(dir.fd, "empty", "");
	assert_content(dir.fd, "empty", "");
	assert_false(is_there(dir.fd, "a/b/.c.conf.dynia-tmp"));
	assert_mode(dir.fd, "a", 0755);
}

static void test_mode_is_exact(void **state)
{
	SCRATCH(dir);
	struct err err = {0};
	mode_t before = umask(0077);

	(void)state;
	assert_int_equal(file_replace_in(dir.fd, "d/open", "x", 1, 0666, &err), 0);
	assert_int_equal(file_replace_in(dir.fd, "d/closed", "x", 1, 0400, &err), 0);
	assert_int_equal(file_mkdirs_in(dir.fd, "e/f", 0775, &err), 0);
	umask(before);
	assert_mode(dir.fd, "d", 0755);
	assert_mode(dir.fd, "d/open", 0666);
	assert_mode(dir.fd, "d/closed", 0400);
	assert_mode(dir.fd, "e", 0775);
	assert_mode(dir.fd, "e/f", 0775);
}

static void test_replace_takes_over_leftovers(void **state)
{
	SCRATCH(dir);
	SCRATCH(outside);

	(void)state;
	put(dir.fd, ".x.dynia-tmp", "left by a kill -9");
	put(dir.fd, "x", "new");
	assert_content(dir.fd, "x", "new");
	assert_false(is_there(dir.fd, ".x.dynia-tmp"));
	/* A planted symlink is not written through. */
	put(outside.fd, "victim", "safe");
	AUTO_FREE char *victim = xasprintf("%s/victim", outside.path);
	assert_int_equal(symlinkat(victim, dir.fd, ".y.dynia-tmp"), 0);
	put(dir.fd, "y", "new");
	assert_content(dir.fd, "y", "new");
	assert_content(outside.fd, "victim", "safe");
}

static void test_replace_fails(void **state)
{
	static const char *const no_files[] = {"", ".", "..", "a/", "a/.", "a/..", "/"};
	SCRATCH(dir);
	struct err err = {0};
	char too_long[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(no_files); i++)
		assert_int_equal(file_replace_in(dir.fd, no_files[i], "", 0, 0644, &err), -1);
	put(dir.fd, "file", "x");
	assert_int_equal(file_replace_in(dir.fd, "file/below", "", 0, 0644, &err), -1);
	assert_non_null(strstr(err.msg, "Not a directory"));
	assert_int_equal(file_mkdirs_in(dir.fd, "folder", 0755, &err), 0);
	assert_int_equal(file_replace_in(dir.fd, "folder", "", 0, 0644, &err), -1);
	assert_non_null(strstr(err.msg, "replace 'folder'"));
	assert_false(is_there(dir.fd, ".folder.dynia-tmp"));
	memset(too_long, 'x', sizeof(too_long));
	too_long[250] = '\0';
	assert_int_equal(file_replace_in(dir.fd, too_long, "", 0, 0644, &err), -1);
	assert_non_null(strstr(err.msg, "File name too long"));
	assert_int_equal(err.code, ERR_SYSTEM);
}

/* RLIMIT_FSIZE stands for a full disk: the write stops in the middle. */
static void test_full_disk_leaves_the_old_file(void **state)
{
	SCRATCH(dir);
	AUTO_FREE char *large = xcalloc(1, 100000);
	struct rlimit before;
	struct rlimit small;
	struct err err = {0};
	int rc;

	(void)state;
	put(dir.fd, "x", "old");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = (struct rlimit) {50000, before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	rc = file_replace_in(dir.fd, "x", large, 100000, 0644, &err);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(err.msg, "File too large"));
	assert_content(dir.fd, "x", "old");
	assert_false(is_there(dir.fd, ".x.dynia-tmp"));
}

static void test_root_holds_symlinks_in(void **state)
{
	SCRATCH(dir);
	SCRATCH(outside);
	struct err err = {0};

	(void)state;
	put(outside.fd, "f", "outside");
	put(dir.fd, "in/f", "inside");
	assert_int_equal(symlinkat(outside.path, dir.fd, "out"), 0);
	assert_int_equal(symlinkat("/in", dir.fd, "absolute"), 0);
	assert_int_equal(symlinkat("../../../in", dir.fd, "up"), 0);
	assert_content(dir.fd, "absolute/f", "inside");
	assert_content(dir.fd, "up/f", "inside");
	assert_content(dir.fd, "../../in/f", "inside");
	put(dir.fd, "absolute/g", "through the link");
	assert_content(dir.fd, "in/g", "through the link");
	assert_int_equal(file_replace_in(dir.fd, "out/f", "x", 1, 0644, &err), -1);
	assert_content(outside.fd, "f", "outside");
	assert_int_equal(file_remove_in(dir.fd, "out/f", &err), 0);
	assert_content(outside.fd, "f", "outside");
}

static void test_beneath_refuses_symlinks(void **state)
{
	SCRATCH(dir);
	struct err err = {0};
	int fd;

	(void)state;
	put(dir.fd, "a/f", "x");
	assert_int_equal(symlinkat("a", dir.fd, "link"), 0);
	fd = file_open_beneath(dir.fd, "a/f", O_RDONLY, &err);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(file_open_beneath(dir.fd, "link/f", O_RDONLY, &err), -1);
	assert_int_equal(file_open_beneath(dir.fd, "link", O_RDONLY, &err), -1);
	assert_int_equal(file_open_beneath(dir.fd, "../x", O_RDONLY, &err), -1);
	assert_int_equal(file_open_beneath(dir.fd, "/a/f", O_RDONLY, &err), -1);
	assert_int_equal(file_open_beneath(dir.fd, "none", O_RDONLY, &err), -1);
	assert_string_equal(err.msg, "open 'none': No such file or directory");
}

static void test_open_creates(void **state)
{
	SCRATCH(dir);
	struct err err = {0};
	int fd = file_open_in(dir.fd, "lock", O_RDWR | O_CREAT, 0600, &err);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_mode(dir.fd, "lock", 0600);
}

static void test_read_limit(void **state)
{
	SCRATCH(dir);
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	AUTO_FREE char *large = xcalloc(1, 40000);
	struct err err = {0};

	(void)state;
	put(dir.fd, "five", "12345");
	assert_int_equal(file_read_in(dir.fd, "five", 5, &text, &err), 0);
	assert_string_equal(text.buf, "12345");
	assert_int_equal(file_read_in(dir.fd, "five", 4, &text, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "'five' is larger than 4 bytes");
	assert_int_equal(file_replace_in(dir.fd, "large", large, 40000, 0644, &err), 0);
	assert_int_equal(file_read_in(dir.fd, "large", 40000, &text, &err), 0);
	assert_int_equal(text.len, 40000);
	assert_int_equal(file_read_in(dir.fd, "large", 39999, &text, &err), -1);
}

static void test_read_only_regular_files(void **state)
{
	SCRATCH(dir);
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	struct err err = {0};
	int fds[2];

	(void)state;
	assert_int_equal(mkfifoat(dir.fd, "fifo", 0600), 0);
	assert_int_equal(file_read_in(dir.fd, "fifo", 10, &text, &err), -1);
	assert_string_equal(err.msg, "'fifo' is no regular file");
	assert_int_equal(file_read_in(dir.fd, ".", 10, &text, &err), -1);
	assert_int_equal(file_read_in(dir.fd, "none", 10, &text, &err), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(file_read("/dev/null", 10, &text, &err), -1);
	assert_int_equal(file_read("/does/not/exist", 10, &text, &err), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(file_read_fd(-1, "closed", 10, &text, &err), -1);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(file_read_fd(fds[0], "pipe", 10, &text, &err), -1);
	close(fds[0]);
	close(fds[1]);
	AUTO_CLOSE int fd = file_open_in(dir.fd, "w", O_WRONLY | O_CREAT, 0600, &err);
	assert_int_equal(file_read_fd(fd, "w", 10, &text, &err), -1);
	assert_string_equal(err.msg, "read 'w': Bad file descriptor");
	assert_int_equal(file_read("/proc/self/status", 1 << 16, &text, &err), 0);
	assert_memory_equal(text.buf, "Name:", 5);
}

static void test_stat(void **state)
{
	SCRATCH(dir);
	struct err err = {0};
	struct stat st;

	(void)state;
	put(dir.fd, "f", "123");
	assert_int_equal(symlinkat("nowhere", dir.fd, "dangling"), 0);
	assert_int_equal(file_stat_in(dir.fd, "f", &st, &err), 1);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(file_stat_in(dir.fd, "dangling", &st, &err), 1);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(file_stat_in(dir.fd, "none", &st, &err), 0);
	assert_int_equal(file_stat_in(dir.fd, "f/below", &st, &err), 0);
	assert_int_equal(file_stat_in(-1, "f", &st, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
}

static void test_mkdirs(void **state)
{
	SCRATCH(dir);
	struct err err = {0};

	(void)state;
	assert_int_equal(file_mkdirs_in(dir.fd, "a/b", 0700, &err), 0);
	assert_int_equal(file_mkdirs_in(dir.fd, "/a//b/c/", 0755, &err), 0);
	assert_int_equal(file_mkdirs_in(dir.fd, "a/b/c", 0711, &err), 0);
	assert_int_equal(file_mkdirs_in(dir.fd, ".", 0711, &err), 0);
	assert_mode(dir.fd, "a/b", 0700);
	assert_mode(dir.fd, "a/b/c", 0755);
	assert_int_equal(symlinkat("a", dir.fd, "link"), 0);
	assert_int_equal(file_mkdirs_in(dir.fd, "link/d/e", 0755, &err), 0);
	assert_true(is_there(dir.fd, "a/d/e"));
	put(dir.fd, "file", "x");
	assert_int_equal(file_mkdirs_in(dir.fd, "file", 0755, &err), -1);
	assert_int_equal(file_mkdirs_in(dir.fd, "file/x", 0755, &err), -1);
	assert_int_equal(symlinkat("nowhere", dir.fd, "dangling"), 0);
	assert_int_equal(file_mkdirs_in(dir.fd, "dangling/x", 0755, &err), -1);
	assert_int_equal(file_mkdirs_in(-1, "x", 0755, &err), -1);
}

static void test_remove(void **state)
{
	SCRATCH(dir);
	struct err err = {0};

	(void)state;
	put(dir.fd, "a/f", "x");
	assert_int_equal(file_remove_in(dir.fd, "a/f", &err), 0);
	assert_false(is_there(dir.fd, "a/f"));
	assert_int_equal(file_remove_in(dir.fd, "a/f", &err), 0);
	assert_int_equal(file_remove_in(dir.fd, "none/f", &err), 0);
	put(dir.fd, "f", "x");
	assert_int_equal(file_remove_in(dir.fd, "f/below", &err), 0);
	assert_int_equal(file_remove_in(dir.fd, "a", &err), -1);
	assert_int_equal(file_remove_in(dir.fd, "a/..", &err), -1);
	assert_int_equal(file_remove_in(-1, "a", &err), -1);
}

static void test_remove_tree(void **state)
{
	SCRATCH(dir);
	SCRATCH(outside);
	struct err err = {0};

	(void)state;
	put(outside.fd, "f", "kept");
	put(dir.fd, "t/a/b/c", "x");
	put(dir.fd, "t/d", "x");
	assert_int_equal(symlinkat(outside.path, dir.fd, "t/a/link"), 0);
	assert_int_equal(file_remove_tree_in(dir.fd, "t", &err), 0);
	assert_false(is_there(dir.fd, "t"));
	assert_content(outside.fd, "f", "kept");
	assert_int_equal(file_remove_tree_in(dir.fd, "t", &err), 0);
	assert_int_equal(file_remove_tree_in(dir.fd, "t/u", &err), 0);
	put(dir.fd, "f", "x");
	assert_int_equal(file_remove_tree_in(dir.fd, "f", &err), 0);
	assert_false(is_there(dir.fd, "f"));
	assert_int_equal(symlinkat(outside.path, dir.fd, "link"), 0);
	assert_int_equal(file_remove_tree_in(dir.fd, "link", &err), 0);
	assert_content(outside.fd, "f", "kept");
	assert_int_equal(file_remove_tree_in(dir.fd, ".", &err), -1);
	assert_int_equal(file_remove_tree_in(-1, "x", &err), -1);
}

static void test_prune(void **state)
{
	SCRATCH(dir);
	struct err err = {0};

	(void)state;
	assert_int_equal(file_mkdirs_in(dir.fd, "opt/dynia/a/b/c", 0755, &err), 0);
	file_prune_dirs_in(dir.fd, "opt/dynia/a/b/c", "opt/other");
	file_prune_dirs_in(dir.fd, "opt/dynia/a/b/c", "opt/dyn");
	assert_true(is_there(dir.fd, "opt/dynia/a/b/c"));
	put(dir.fd, "opt/dynia/a/f", "x");
	file_prune_dirs_in(dir.fd, "opt/dynia/a/b/c", "opt/dynia");
	assert_false(is_there(dir.fd, "opt/dynia/a/b"));
	assert_true(is_there(dir.fd, "opt/dynia/a/f"));
	assert_int_equal(file_remove_in(dir.fd, "opt/dynia/a/f", &err), 0);
	file_prune_dirs_in(dir.fd, "opt/dynia/a/b", "opt/dynia/");
	assert_false(is_there(dir.fd, "opt/dynia/a"));
	assert_true(is_there(dir.fd, "opt/dynia"));
	file_prune_dirs_in(dir.fd, "opt/dynia", "");
	assert_false(is_there(dir.fd, "opt"));
}

static void batch_put(struct file_batch *batch, const char *path, const char *text)
{
	struct err err = {0};

	if (file_batch_add(batch, path, text, strlen(text), 0640, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_batch(void **state)
{
	SCRATCH(dir);
	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(dir.fd);
	struct err err = {0};

	(void)state;
	put(dir.fd, "b/2", "old");
	batch_put(&batch, "a/1", "one");
	batch_put(&batch, "b/2", "two");
	batch_put(&batch, "a/3", "three");
	batch_put(&batch, "4", "four");
	assert_content(dir.fd, "b/2", "old");
	assert_false(is_there(dir.fd, "a/1"));
	assert_true(is_there(dir.fd, "a/.1.dynia-tmp"));
	assert_int_equal(file_batch_sync(&batch, &err), 0);
	assert_int_equal(file_batch_publish(&batch, &err), 0);
	assert_content(dir.fd, "a/1", "one");
	assert_content(dir.fd, "b/2", "two");
	assert_content(dir.fd, "a/3", "three");
	assert_content(dir.fd, "4", "four");
	assert_mode(dir.fd, "a/1", 0640);
	assert_false(is_there(dir.fd, "a/.1.dynia-tmp"));
}

static void test_batch_released_early(void **state)
{
	SCRATCH(dir);
	struct file_batch batch = FILE_BATCH_INIT(dir.fd);
	struct err err = {0};

	(void)state;
	batch_put(&batch, "a/1", "one");
	batch_put(&batch, "b/2", "two");
	assert_int_equal(file_batch_sync(&batch, &err), 0);
	file_batch_release(&batch);
	assert_false(is_there(dir.fd, "a/.1.dynia-tmp"));
	assert_false(is_there(dir.fd, "b/.2.dynia-tmp"));
	assert_int_equal(batch.n, 0);
	file_batch_release(&batch);
	assert_int_equal(file_batch_sync(&batch, &err), 0);
	assert_int_equal(file_batch_publish(&batch, &err), 0);
}

static void test_batch_fails_in_the_middle(void **state)
{
	SCRATCH(dir);
	struct file_batch batch = FILE_BATCH_INIT(dir.fd);
	struct err err = {0};

	(void)state;
	batch_put(&batch, "a/1", "one");
	batch_put(&batch, "a/2", "two");
	batch_put(&batch, "a/3", "three");
	assert_int_equal(file_mkdirs_in(dir.fd, "a/2/full", 0755, &err), 0);
	assert_int_equal(file_batch_publish(&batch, &err), -1);
	assert_string_equal(err.msg, "replace 'a/2': Is a directory");
	file_batch_release(&batch);
	assert_content(dir.fd, "a/1", "one");
	assert_false(is_there(dir.fd, "a/3"));
	assert_false(is_there(dir.fd, "a/.2.dynia-tmp"));
	assert_false(is_there(dir.fd, "a/.3.dynia-tmp"));
}

static void test_batch_add_fails(void **state)
{
	SCRATCH(dir);
	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(dir.fd);
	struct err err = {0};

	(void)state;
	put(dir.fd, "file", "x");
	assert_int_equal(file_batch_add(&batch, "", "x", 1, 0644, &err), -1);
	assert_int_equal(file_batch_add(&batch, "a/", "x", 1, 0644, &err), -1);
	assert_int_equal(file_batch_add(&batch, "file/x", "x", 1, 0644, &err), -1);
	assert_non_null(strstr(err.msg, "replace 'file/x': "));
}

static void test_batch_loses_its_files(void **state)
{
	SCRATCH(dir);
	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(dir.fd);
	struct err err = {0};

	(void)state;
	batch_put(&batch, "a/1", "one");
	batch_put(&batch, "b/1", "one");
	assert_int_equal(file_remove_tree_in(dir.fd, "a", &err), 0);
	assert_int_equal(file_batch_sync(&batch, &err), -1);
	assert_non_null(strstr(err.msg, "sync 'a/1': "));
	assert_int_equal(file_batch_publish(&batch, &err), -1);
	assert_non_null(strstr(err.msg, "replace 'a/1': "));
}

static void test_large_batch_needs_few_descriptors(void **state)
{
	SCRATCH(dir);
	CLEANUP(file_batch_release) struct file_batch batch = FILE_BATCH_INIT(dir.fd);
	struct rlimit before;
	struct rlimit few;
	struct err err = {0};

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit) {16, before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &few);
	for (int i = 0; i < 100; i++) {
		AUTO_FREE char *path = xasprintf("d%d/f%d", i % 50, i);

		batch_put(&batch, path, path);
	}
	assert_int_equal(file_batch_sync(&batch, &err), 0);
	assert_int_equal(file_batch_publish(&batch, &err), 0);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_content(dir.fd, "d49/f99", "d49/f99");
	assert_content(dir.fd, "d0/f0", "d0/f0");
}

/* --- without openat2(2) --------------------------------------------------------------- */

/* As systemd's RestrictSUIDSGID= does it. There is no way back. */
static int refuse_openat2(void **state)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

	(void)state;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void test_no_link_is_followed_below_a_folder(void **state)
{
	SCRATCH(dir);
	struct err err = {0};

	(void)state;
	put(dir.fd, "/a//b/f", "x");
	assert_content(dir.fd, "a/b/f", "x");
	assert_true(is_there(dir.fd, "."));
	assert_true(is_there(dir.fd, "/"));
	assert_int_equal(file_stat_in(dir.fd, "", NULL, &err), 0);
	assert_int_equal(symlinkat("a", dir.fd, "link"), 0);
	assert_int_equal(symlinkat("f", dir.fd, "a/b/last"), 0);
	assert_int_equal(file_open_in(dir.fd, "link/b/f", O_RDONLY, 0, &err), -1);
	assert_int_equal(file_open_in(dir.fd, "a/b/last", O_RDONLY, 0, &err), -1);
	assert_int_equal(file_open_in(dir.fd, "a/../a/b/f", O_RDONLY, 0, &err), -1);
	assert_int_equal(file_open_in(dir.fd, "a/b/f/g", O_RDONLY, 0, &err), -1);
	assert_int_equal(file_replace_in(dir.fd, "link/b/f", "y", 1, 0644, &err), -1);
	assert_content(dir.fd, "a/b/f", "x");
}

static void test_links_are_followed_below_the_machines_root(void **state)
{
	SCRATCH(dir);
	AUTO_CLOSE int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE char *through = xasprintf("%s/link/f", dir.path);
	AUTO_FREE char *around = xasprintf("%s/../..%s/a/f", dir.path, dir.path);

	(void)state;
	put(dir.fd, "a/f", "x");
	assert_int_equal(symlinkat("a", dir.fd, "link"), 0);
	assert_content(root, through, "x");
	put(root, through, "y");
	assert_content(dir.fd, "a/f", "y");
	assert_content(root, around + 1, "y");
	assert_true(is_there(root, "/"));
}

int main(void)
{
	const struct CMUnitTest without[] = {
		cmocka_unit_test(test_no_link_is_followed_below_a_folder),
		cmocka_unit_test(test_links_are_followed_below_the_machines_root),
		cmocka_unit_test(test_mode_is_exact),
		cmocka_unit_test(test_replace_takes_over_leftovers),
		cmocka_unit_test(test_replace_fails),
		cmocka_unit_test(test_beneath_refuses_symlinks),
		cmocka_unit_test(test_open_creates),
		cmocka_unit_test(test_read_only_regular_files),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_remove_tree),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_batch),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replace_and_read),
		cmocka_unit_test(test_mode_is_exact),
		cmocka_unit_test(test_replace_takes_over_leftovers),
		cmocka_unit_test(test_replace_fails),
		cmocka_unit_test(test_full_disk_leaves_the_old_file),
		cmocka_unit_test(test_root_holds_symlinks_in),
		cmocka_unit_test(test_beneath_refuses_symlinks),
		cmocka_unit_test(test_open_creates),
		cmocka_unit_test(test_read_limit),
		cmocka_unit_test(test_read_only_regular_files),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_mkdirs),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_remove_tree),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_batch_released_early),
		cmocka_unit_test(test_batch_fails_in_the_middle),
		cmocka_unit_test(test_batch_add_fails),
		cmocka_unit_test(test_batch_loses_its_files),
		cmocka_unit_test(test_large_batch_needs_few_descriptors),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + cmocka_run_group_tests(without, refuse_openat2, NULL);
}
