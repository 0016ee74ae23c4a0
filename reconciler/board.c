#include "reconciler/board.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define READ_TRIES 100

/* The sequence is odd while the text is being written. */
struct board_slot {
	atomic_uint sequence;
	atomic_size_t len;
	char text[BOARD_TEXT_MAX];
};

struct board {
	struct board_slot slots[BOARD_TEXTS];
};

struct board *board_make(struct err *err)
{
	/* Pages that nobody writes cost nothing. */
	void *p = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		err_errno(err, "memory to share with the listener");
		return NULL;
	}
	return p;
}

void board_free(struct board *board)
{
	if (board)
		munmap(board, sizeof(*board));
}

/* How much of it fits, up to the end of a line. */
static size_t fitting(const char *text, size_t len)
{
	const char *end;

	if (len <= BOARD_TEXT_MAX)
		return len;
	end = memrchr(text, '\n', BOARD_TEXT_MAX);
	return end ? (size_t)(end - text) + 1 : 0;
}

void board_write(struct board *board, enum board_text which, const char *text, size_t len)
{
	struct board_slot *slot = &board->slots[which];
	unsigned sequence = atomic_load(&slot->sequence);

	len = fitting(text, len);
	if (len == atomic_load(&slot->len) && memcmp(slot->text, text, len) == 0)
		return;
	atomic_store(&slot->sequence, sequence + 1);
	atomic_thread_fence(memory_order_seq_cst);
	memcpy(slot->text, text, len);
	atomic_store(&slot->len, len);
	atomic_thread_fence(memory_order_seq_cst);
	atomic_store(&slot->sequence, sequence + 2);
}

bool board_read(const struct board *board, enum board_text which, struct strbuf *ret)
{
	const struct board_slot *slot = &board->slots[which];

	for (int i = 0; i < READ_TRIES; i++) {
		unsigned before = atomic_load(&slot->sequence);
		size_t len = atomic_load(&slot->len);

		if (before % 2 || len > BOARD_TEXT_MAX)
			continue;
		strbuf_clear(ret);
		strbuf_add(ret, slot->text, len);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&slot->sequence) == before)
			return true;
	}
	return false;
}
