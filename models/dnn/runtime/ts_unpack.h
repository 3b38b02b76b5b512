/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed weights, block by block.
 *
 * The format is described in kit/tessera/plan/compress/stream.py. The header
 * is checked whole before a block is asked for; a block is decoded alone, into
 * a buffer whose size is known from the header. Nothing here allocates or
 * keeps state, reads beyond the bytes that it is given, or loops longer than
 * the header's counts say.
 */
#ifndef TS_UNPACK_H
#define TS_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#define TS_UNPACK_PLANES	4
#define TS_UNPACK_BITS		12
#define TS_UNPACK_MAX_BLOCK	65536u

enum ts_unpack_status {
	TS_UNPACK_OK = 0,
	TS_UNPACK_BAD_HEADER = 1,	/* no such stream, or cut off */
	TS_UNPACK_BAD_TABLE = 2,	/* lengths of no complete code */
	TS_UNPACK_BAD_ENDS = 3,		/* blocks not one after the other */
	TS_UNPACK_BAD_BLOCK = 4,	/* a block of another length */
	TS_UNPACK_BAD_DIGEST = 5,	/* the checksum does not match */
	TS_UNPACK_NO_ROOM = 6,		/* the buffer is too small */
};

/* A canonical code: how many words of each length, and their symbols */
struct ts_code {
	uint16_t count[TS_UNPACK_BITS + 1];
	uint8_t symbol[256];
};

struct ts_packed {
	uint32_t planes;	/* bytes of an element, 1 or 4 */
	uint32_t turned;	/* elements are turned left by a bit */
	uint32_t elements;
	uint32_t block;		/* elements of a block */
	uint32_t blocks;
	size_t header;		/* bytes before the first block */
	const uint8_t *ends;	/* per block where it ends, 4 bytes each */
	uint8_t coded[TS_UNPACK_PLANES];
	struct ts_code code[TS_UNPACK_PLANES];
};

/*
 * Checks the header, size bytes at data or more of the stream, which has total
 * bytes, and describes it in *packed, which points into data.
 */
enum ts_unpack_status ts_unpack_open(const void *data, size_t size,
				     size_t total, struct ts_packed *packed);

/* Where block index lies behind the header: *at, and how long it is: *size */
void ts_unpack_place(const struct ts_packed *packed, uint32_t index,
		     size_t *at, size_t *size);

/* Bytes of block index when decoded; index is less than packed->blocks */
size_t ts_unpack_bytes(const struct ts_packed *packed, uint32_t index);

/* Decodes block index, size bytes at data, into room bytes at out */
enum ts_unpack_status ts_unpack_block(const struct ts_packed *packed,
				      uint32_t index, const void *data,
				      size_t size, void *out, size_t room);

#endif /* TS_UNPACK_H */
