// SPDX-License-Identifier: BSD-2-Clause
/* Semihosting calls, memory, and the few functions that compilers call */
#include <string.h>

#include "bare.h"

#define OPEN	0x01
#define CLOSE	0x02
#define WRITE	0x05
#define READ	0x06
#define LENGTH	0x0c
#define EXIT	0x18
#define TICK	16	/* the counter runs at 62.5 MHz: instructions of a nanosecond */

extern uint8_t free_memory[];

static int64_t ask(uint64_t what, const void *words)
{
	register uint64_t x0 __asm__("x0") = what;
	register const void *x1 __asm__("x1") = words;

	__asm__ __volatile__("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
	return (int64_t)x0;
}

static int64_t open_file(const char *name, uint64_t mode)
{
	uint64_t words[3] = { (uintptr_t)name, mode, strlen(name) };

	return ask(OPEN, words);
}

void *bare_read(const char *name, size_t *size)
{
	uint64_t words[3] = { 0 };
	int64_t file = open_file(name, 1);
	int64_t length = 0;
	void *data = NULL;

	if (file < 0)
		return NULL;
	words[0] = (uint64_t)file;
	length = ask(LENGTH, words);
	if (length >= 0)
		data = aligned_alloc(64, (size_t)length);
	words[1] = (uintptr_t)data;
	words[2] = (uint64_t)length;
	if (data && ask(READ, words))
		data = NULL;
	ask(CLOSE, words);
	*size = (size_t)length;

	return data;
}

int bare_write(const char *name, const void *data, size_t size)
{
	uint64_t words[3] = { 0, (uintptr_t)data, size };
	int64_t file = open_file(name, 5);
	int64_t left = 0;

	if (file < 0)
		return -1;
	words[0] = (uint64_t)file;
	left = ask(WRITE, words);
	ask(CLOSE, words);

	return left ? -1 : 0;
}

void bare_exit(int code)
{
	uint64_t words[2] = { 0x20026, (uint64_t)code };

	for (;;)
		ask(EXIT, words);
}

uint64_t bare_instructions(void)
{
	uint64_t ticks = 0;

	__asm__ __volatile__("isb; mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks * TICK;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	static uint8_t *next;

	if (!next)
		next = free_memory;
	next += -(uintptr_t)next % alignment;
	next += size;

	return next - size;
}

void *malloc(size_t size)
{
	return aligned_alloc(64, size);
}

void *calloc(size_t count, size_t size)
{
	return memset(malloc(count * size), 0, count * size);
}

void free(void *data)
{
	(void)data;
}

/* Words where both sides are aligned alike; the compiler must not see a copy */
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	uint8_t *out = to;
	const uint8_t *in = from;

	for (; size >= 16; size -= 16, out += 16, in += 16) {
		uint64_t low = 0;
		uint64_t high = 0;

		__asm__ __volatile__("ldp %0, %1, [%2]\n\tstp %0, %1, [%3]"
				     : "=&r"(low), "=&r"(high)
				     : "r"(in), "r"(out) : "memory");
	}
	while (size--)
		*out++ = *in++;

	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	uint8_t *out = to;
	const uint8_t *in = from;

	if (out <= in)
		return memcpy(to, from, size);
	while (size--)
		out[size] = in[size];

	return to;
}

void *memset(void *to, int value, size_t size)
{
	uint8_t *out = to;

	while (size--)
		*out++ = (uint8_t)value;

	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *left = a;
	const uint8_t *right = b;

	for (; size; size--, left++, right++)
		if (*left != *right)
			return *left < *right ? -1 : 1;

	return 0;
}

size_t strlen(const char *text)
{
	size_t size = 0;

	while (text[size])
		size++;

	return size;
}
