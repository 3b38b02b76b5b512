// SPDX-License-Identifier: BSD-2-Clause
/*
 * The decoder of packed weights, see ts_unpack.h.
 *
 * Code words are read bit by bit against the number of words of each length:
 * a table for longer windows would be faster and take 8 KiB per code.
 */
#include <stdbool.h>
#include <string.h>

#include "ts_unpack.h"

#define FIXED_SIZE	16
#define TABLE_SIZE	128
#define DIGEST_SIZE	4

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

/* CRC-32 as in zlib, four bits at a time */
static uint32_t crc32_of(const uint8_t *p, size_t size)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = UINT32_MAX;
	size_t i = 0;

	for (i = 0; i < size; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}

	return ~crc;
}

static uint32_t length_of(const uint8_t *nibbles, uint32_t symbol)
{
	return nibbles[symbol / 2] >> (symbol % 2 * 4) & 15;
}

/* The code with these lengths; false unless it is complete */
static bool read_code(const uint8_t *nibbles, struct ts_code *code)
{
	uint32_t at[TS_UNPACK_BITS + 1] = { 0 };
	uint32_t symbol = 0;
	uint32_t length = 0;
	uint32_t used = 0;

	memset(code, 0, sizeof(*code));
	for (symbol = 0; symbol < 256; symbol++) {
		length = length_of(nibbles, symbol);
		if (length > TS_UNPACK_BITS)
			return false;
		if (length) {
			code->count[length]++;
			used += 1u << (TS_UNPACK_BITS - length);
		}
	}
	if (used != 1u << TS_UNPACK_BITS)
		return false;

	for (length = 1; length < TS_UNPACK_BITS; length++)
		at[length + 1] = at[length] + code->count[length];
	for (symbol = 0; symbol < 256; symbol++) {
		length = length_of(nibbles, symbol);
		if (length)
			code->symbol[at[length]++] = (uint8_t)symbol;
	}

	return true;
}

enum ts_unpack_status ts_unpack_open(const void *data, size_t size,
				     size_t total, struct ts_packed *packed)
{
	const uint8_t *p = data;
	size_t at = FIXED_SIZE;
	uint32_t last = 0;
	uint32_t i = 0;

	memset(packed, 0, sizeof(*packed));
	if (size < FIXED_SIZE || total < size || memcmp(p, "TSW1", 4) ||
	    p[6] || p[7])
		return TS_UNPACK_BAD_HEADER;
	packed->planes = p[4];
	packed->turned = p[5];
	packed->elements = get32(p + 8);
	packed->block = get32(p + 12);
	if ((packed->planes != 1 && packed->planes != TS_UNPACK_PLANES) ||
	    packed->turned > (packed->planes == TS_UNPACK_PLANES) ||
	    !packed->elements || !packed->block ||
	    packed->block > TS_UNPACK_MAX_BLOCK)
		return TS_UNPACK_BAD_HEADER;

	for (i = 0; i < packed->planes; i++) {
		if (at >= size || p[at] > 1)
			return TS_UNPACK_BAD_HEADER;
		packed->coded[i] = p[at++];
		if (!packed->coded[i])
			continue;
		if (size - at < TABLE_SIZE)
			return TS_UNPACK_BAD_HEADER;
		if (!read_code(p + at, &packed->code[i]))
			return TS_UNPACK_BAD_TABLE;
		at += TABLE_SIZE;
	}

	packed->blocks = (packed->elements - 1) / packed->block + 1;
	if (packed->blocks > (size - at) / 4)
		return TS_UNPACK_BAD_HEADER;
	packed->ends = p + at;
	packed->header = at + (size_t)packed->blocks * 4;
	for (i = 0; i < packed->blocks; i++) {
		if (get32(packed->ends + (size_t)i * 4) <= last)
			return TS_UNPACK_BAD_ENDS;
		last = get32(packed->ends + (size_t)i * 4);
	}

	return last == total - packed->header ? TS_UNPACK_OK :
						TS_UNPACK_BAD_ENDS;
}

void ts_unpack_place(const struct ts_packed *packed, uint32_t index,
		     size_t *at, size_t *size)
{
	*at = index ? get32(packed->ends + (size_t)(index - 1) * 4) : 0;
	*size = get32(packed->ends + (size_t)index * 4) - *at;
}

static uint32_t elements_of(const struct ts_packed *packed, uint32_t index)
{
	uint32_t before = index * packed->block;

	if (packed->elements - before < packed->block)
		return packed->elements - before;

	return packed->block;
}

size_t ts_unpack_bytes(const struct ts_packed *packed, uint32_t index)
{
	return (size_t)elements_of(packed, index) * packed->planes;
}

/* Bits of a block, the most significant of each byte first */
struct bits {
	const uint8_t *p;
	size_t size;
	size_t at;		/* in bits */
};

/* The next symbol; false at the end of the data */
static bool next_symbol(struct bits *bits, const struct ts_code *code,
			uint8_t *symbol)
{
	uint32_t word = 0;
	uint32_t first = 0;
	uint32_t index = 0;
	uint32_t length = 0;

	for (length = 1; length <= TS_UNPACK_BITS; length++) {
		if (bits->at / 8 >= bits->size)
			return false;
		word |= bits->p[bits->at / 8] >> (7 - bits->at % 8) & 1;
		bits->at++;
		if (word - first < code->count[length]) {
			*symbol = code->symbol[index + word - first];
			return true;
		}
		index += code->count[length];
		first = (first + code->count[length]) << 1;
		word <<= 1;
	}

	return false;
}

/* The rest of a byte is zero, and is passed over */
static bool end_byte(struct bits *bits)
{
	while (bits->at % 8) {
		if (bits->p[bits->at / 8] >> (7 - bits->at % 8) & 1)
			return false;
		bits->at++;
	}

	return true;
}

static bool read_plane(struct bits *bits, const struct ts_packed *packed,
		       uint32_t plane, uint32_t count, uint8_t *out)
{
	uint32_t i = 0;

	if (packed->coded[plane]) {
		for (i = 0; i < count; i++)
			if (!next_symbol(bits, &packed->code[plane],
					 out + (size_t)i * packed->planes))
				return false;
		return end_byte(bits);
	}

	if (bits->size - bits->at / 8 < count)
		return false;
	for (i = 0; i < count; i++)
		out[(size_t)i * packed->planes] = bits->p[bits->at / 8 + i];
	bits->at += (size_t)count * 8;

	return true;
}

/* Turns every element of four bytes right by a bit */
static void turn_back(uint8_t *out, uint32_t count)
{
	uint32_t word = 0;
	uint32_t i = 0;
	uint32_t k = 0;

	for (i = 0; i < count; i++, out += 4) {
		word = get32(out) >> 1 | get32(out) << 31;
		for (k = 0; k < 4; k++)
			out[k] = (uint8_t)(word >> (8 * k));
	}
}

enum ts_unpack_status ts_unpack_block(const struct ts_packed *packed,
				      uint32_t index, const void *data,
				      size_t size, void *out, size_t room)
{
	struct bits bits = { .p = data, .size = size };
	uint32_t count = elements_of(packed, index);
	uint32_t plane = 0;
	uint8_t *to = out;

	if (room < ts_unpack_bytes(packed, index))
		return TS_UNPACK_NO_ROOM;
	if (size < DIGEST_SIZE)
		return TS_UNPACK_BAD_BLOCK;
	bits.size -= DIGEST_SIZE;
	for (plane = 0; plane < packed->planes; plane++)
		if (!read_plane(&bits, packed, plane, count, to + plane))
			return TS_UNPACK_BAD_BLOCK;
	if (bits.at / 8 != bits.size)
		return TS_UNPACK_BAD_BLOCK;
	if (packed->turned)
		turn_back(to, count);
	if (crc32_of(to, ts_unpack_bytes(packed, index)) !=
	    get32(bits.p + bits.size))
		return TS_UNPACK_BAD_DIGEST;

	return TS_UNPACK_OK;
}
