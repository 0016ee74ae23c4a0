/* Memory that a long-lived process does not need while it waits. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/*
 * After work that comes seldom: what malloc(3) keeps goes back to the kernel, and the pages of the program's and the
 * libraries' code are unmapped, so that those which the waiting needs come back one by one, and the others do not.
 * Costs a few hundred page faults from memory; nothing is read from a disk that has not been evicted since.
 */
void memory_give_back(void);

#endif
