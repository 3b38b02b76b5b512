// SPDX-License-Identifier: BSD-2-Clause
/* Sealed packages; see tsp.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsp.h"

#define HEADER		64u
#define TAG		16u
#define MAX_CHUNK	65536u

static bool complain(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", blob_program, path, what);

	return false;
}

static uint32_t word(const struct tsp *tsp, size_t at)
{
	const uint8_t *p = tsp->file.data + at;

	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

const uint8_t *tsp_block(const struct tsp *tsp, uint32_t index, size_t *size)
{
	size_t entry = tsp->table + 8 * (size_t)index;

	*size = word(tsp, entry + 4) + TAG;

	return tsp->file.data + word(tsp, entry);
}

uint32_t tsp_entry(const struct tsp *tsp, uint32_t entry)
{
	return word(tsp, tsp->feed + 4 * (size_t)entry);
}

static bool inside(const struct tsp *tsp, uint64_t at, uint64_t size)
{
	return at >= HEADER && at + size <= tsp->file.size;
}

static bool check(const struct tsp *tsp)
{
	uint32_t i = 0;

	if (!tsp->chunk || tsp->chunk > MAX_CHUNK || tsp->onces > tsp->feeds ||
	    tsp->codes >= tsp->blocks ||
	    !inside(tsp, tsp->table, 8 * (uint64_t)tsp->blocks) ||
	    !inside(tsp, tsp->feed, 4 * (uint64_t)tsp->feeds))
		return false;
	for (i = 0; i < tsp->blocks; i++) {
		size_t entry = tsp->table + 8 * (size_t)i;
		uint32_t size = word(tsp, entry + 4);

		if (!size || size > MAX_CHUNK ||
		    !inside(tsp, word(tsp, entry), (uint64_t)size + TAG))
			return false;
	}
	for (i = 0; i < tsp->feeds; i++)
		if (!tsp_entry(tsp, i) || tsp_entry(tsp, i) >= tsp->blocks)
			return false;

	return true;
}

bool tsp_read(struct tsp *tsp, const char *path)
{
	if (!blob_read(&tsp->file, path))
		return false;
	if (tsp->file.size < HEADER || memcmp(tsp->file.data, "TSPK", 4)) {
		tsp_drop(tsp);
		return complain(path, "this is no sealed package");
	}
	if (word(tsp, 4) != 1 || word(tsp, 8) != HEADER) {
		tsp_drop(tsp);
		return complain(path, "a package of another format");
	}
	tsp->version = word(tsp, 12);
	memcpy(tsp->identity, tsp->file.data + 16, sizeof(tsp->identity));
	tsp->chunk = word(tsp, 32);
	tsp->codes = word(tsp, 36);
	tsp->blocks = word(tsp, 40);
	tsp->onces = word(tsp, 44);
	tsp->feeds = word(tsp, 48);
	tsp->table = word(tsp, 52);
	tsp->feed = word(tsp, 56);
	if (!check(tsp)) {
		tsp_drop(tsp);
		return complain(path, "the package is cut or damaged");
	}

	return true;
}

void tsp_drop(struct tsp *tsp)
{
	free(tsp->file.data);
	tsp->file.data = NULL;
}
