/* Characters of text that a stranger may have written. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at s, and its code point; 0 where it is no shortest-form UTF-8. */
size_t utf8_decode(const char *s, uint32_t *ret);
/* Does it drive a terminal, break the line, turn the direction of writing, or show nothing at all? */
bool utf8_is_harmful(uint32_t c);

#endif
