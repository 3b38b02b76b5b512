// SPDX-License-Identifier: BSD-2-Clause
/*
 * memcpy(), memmove() and memset() by vectors, in the place of the TA kit's.
 *
 * The kit compiles its own for size: six instructions for each byte, where the
 * processor's decryption of one takes fewer. They stand in for those because
 * the kit's library is searched last. Loops of single bytes stay loops only
 * with -fno-tree-loop-distribute-patterns (see sub.mk): the compiler would make
 * calls of these very functions of them.
 */
#include <stddef.h>
#include <stdint.h>

/* The host's tests have the system's functions beside these */
#ifndef MEMORY_NAME
#define MEMORY_NAME(name) name
#endif

typedef uint8_t piece __attribute__((vector_size(16), aligned(1), may_alias));

#define PIECE	sizeof(piece)

void *MEMORY_NAME(memcpy)(void *restrict to, const void *restrict from,
			  size_t size);
void *MEMORY_NAME(memmove)(void *to, const void *from, size_t size);
void *MEMORY_NAME(memset)(void *to, int value, size_t size);

/* From the first to the last: what is read lies at or behind what was written */
static inline void forward(uint8_t *to, const uint8_t *from, size_t size)
{
	for (; size >= 4 * PIECE; size -= 4 * PIECE) {
		piece a = *(const piece *)from;
		piece b = *(const piece *)(from + PIECE);
		piece c = *(const piece *)(from + 2 * PIECE);
		piece d = *(const piece *)(from + 3 * PIECE);

		*(piece *)to = a;
		*(piece *)(to + PIECE) = b;
		*(piece *)(to + 2 * PIECE) = c;
		*(piece *)(to + 3 * PIECE) = d;
		from += 4 * PIECE;
		to += 4 * PIECE;
	}
	for (; size >= PIECE; size -= PIECE) {
		*(piece *)to = *(const piece *)from;
		from += PIECE;
		to += PIECE;
	}
	for (; size; size--)
		*to++ = *from++;
}

static inline void backward(uint8_t *to, const uint8_t *from, size_t size)
{
	for (; size >= PIECE; size -= PIECE)
		*(piece *)(to + size - PIECE) =
			*(const piece *)(from + size - PIECE);
	while (size--)
		to[size] = from[size];
}

void *MEMORY_NAME(memcpy)(void *restrict to, const void *restrict from,
			  size_t size)
{
	forward(to, from, size);

	return to;
}

void *MEMORY_NAME(memmove)(void *to, const void *from, size_t size)
{
	if ((uintptr_t)to - (uintptr_t)from >= size)
		forward(to, from, size);
	else
		backward(to, from, size);

	return to;
}

void *MEMORY_NAME(memset)(void *to, int value, size_t size)
{
	piece all = (piece){ 0 } + (uint8_t)value;
	uint8_t *at = to;

	for (; size >= 4 * PIECE; size -= 4 * PIECE) {
		*(piece *)at = all;
		*(piece *)(at + PIECE) = all;
		*(piece *)(at + 2 * PIECE) = all;
		*(piece *)(at + 3 * PIECE) = all;
		at += 4 * PIECE;
	}
	for (; size >= PIECE; size -= PIECE) {
		*(piece *)at = all;
		at += PIECE;
	}
	for (; size; size--)
		*at++ = (uint8_t)value;

	return to;
}
