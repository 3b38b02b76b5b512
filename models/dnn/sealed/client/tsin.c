// SPDX-License-Identifier: BSD-2-Clause
/* Files of sealed inputs and outputs; see tsin.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsin.h"

#define BATCH	(16u + TESSERA_SEALED_BINDING)
#define HEADER	(BATCH + TESSERA_SEALED_BATCH)

static bool complain(struct tsin *tsin, const char *path, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", blob_program, path, what);
	tsin_drop(tsin);

	return false;
}

static uint32_t word(const struct tsin *tsin, size_t at)
{
	const uint8_t *p = tsin->file.data + at;

	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_word(uint8_t *p, uint32_t value)
{
	size_t i = 0;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

bool tsin_read(struct tsin *tsin, const char *path)
{
	if (!blob_read(&tsin->file, path))
		return false;
	if (tsin->file.size < HEADER || memcmp(tsin->file.data, "TSIN", 4))
		return complain(tsin, path, "these are no sealed inputs");
	if (word(tsin, 4) != 1)
		return complain(tsin, path, "sealed inputs of another format");
	tsin->size = word(tsin, 8);
	tsin->count = word(tsin, 12);
	if (!tsin->size || !tsin->count ||
	    (tsin->file.size - HEADER) / tsin->count !=
		    (uint64_t)tsin->size + TESSERA_SEALED_TAG ||
	    (tsin->file.size - HEADER) % tsin->count)
		return complain(tsin, path, "the file is cut or damaged");

	return true;
}

void tsin_drop(struct tsin *tsin)
{
	free(tsin->file.data);
	tsin->file.data = NULL;
}

const uint8_t *tsin_batch(const struct tsin *tsin)
{
	return tsin->file.data + BATCH;
}

const uint8_t *tsin_input(const struct tsin *tsin, uint32_t number)
{
	size_t whole = (size_t)tsin->size + TESSERA_SEALED_TAG;

	return tsin->file.data + HEADER + number * whole;
}

struct blob tsou_make(const struct tsin *tsin,
		      const uint8_t session[TESSERA_SEALED_SESSION],
		      uint32_t size, uint8_t **first)
{
	const size_t head = HEADER + TESSERA_SEALED_SESSION;
	struct blob made = { NULL, 0 };

	made.size = head + ((size_t)size + TESSERA_SEALED_TAG) * tsin->count;
	made.data = calloc(1, made.size);
	if (!made.data)
		return made;
	memcpy(made.data, tsin->file.data, HEADER);
	memcpy(made.data, "TSOU", 4);
	put_word(made.data + 8, size);
	memcpy(made.data + HEADER, session, TESSERA_SEALED_SESSION);
	*first = made.data + head;

	return made;
}
