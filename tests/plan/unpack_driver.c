// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unpacks streams from standard input, each after its size (4 bytes): writes
 * status and number of bytes (4 each), then the bytes. Every buffer has just
 * the size that is told, so that a sanitizer sees what reaches beyond.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ts_unpack.h"

static void *copy(const uint8_t *p, size_t size)
{
	void *made = malloc(size ? size : 1);

	if (!made)
		exit(3);
	memcpy(made, p, size);

	return made;
}

static uint32_t unpack(const uint8_t *stream, size_t size, uint8_t **out,
		       size_t *made)
{
	enum ts_unpack_status status = TS_UNPACK_OK;
	struct ts_packed packed = { 0 };
	size_t bytes = 0;
	size_t room = 0;
	uint8_t *block = NULL;
	uint8_t *to = NULL;
	uint32_t i = 0;
	size_t at = 0;

	status = ts_unpack_open(stream, size, size, &packed);
	for (i = 0; status == TS_UNPACK_OK && i < packed.blocks; i++) {
		ts_unpack_place(&packed, i, &at, &bytes);
		block = copy(stream + packed.header + at, bytes);
		room = ts_unpack_bytes(&packed, i);
		to = malloc(room);
		*out = realloc(*out, *made + room);
		if (!to || !*out)
			exit(3);
		status = ts_unpack_block(&packed, i, block, bytes, to, room);
		if (status == TS_UNPACK_OK)
			memcpy(*out + *made, to, room);
		*made += status == TS_UNPACK_OK ? room : 0;
		if (ts_unpack_block(&packed, i, block, bytes, to, room - 1) !=
		    TS_UNPACK_NO_ROOM)
			exit(4);
		free(block);
		free(to);
	}

	return status;
}

int main(void)
{
	uint8_t head[4] = { 0 };

	while (fread(head, 1, 4, stdin) == 4) {
		size_t size = head[0] | head[1] << 8 | head[2] << 16;
		uint8_t *stream = malloc(size ? size : 1);
		uint8_t *out = NULL;
		uint32_t told[2] = { 0 };
		size_t made = 0;

		if (!stream || fread(stream, 1, size, stdin) != size)
			return 3;
		told[0] = unpack(stream, size, &out, &made);
		told[1] = told[0] ? 0 : (uint32_t)made;
		fwrite(told, 4, 2, stdout);
		if (told[1])
			fwrite(out, 1, told[1], stdout);
		free(stream);
		free(out);
	}

	return 0;
}
