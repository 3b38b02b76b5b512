// SPDX-License-Identifier: BSD-2-Clause
/* Files and sealed packages; see tsp.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsp.h"

#define MAX_FILE_SIZE	(512L * 1024 * 1024)
#define HEADER		64u
#define TAG		16u
#define MAX_CHUNK	65536u

static bool complain(const char *path, const char *what)
{
	fprintf(stderr, "tessera_sealed: %s: %s\n", path, what);

	return false;
}

static bool read_stream(struct blob *blob, FILE *stream, const char *path)
{
	long size = 0;

	if (fseek(stream, 0, SEEK_END) || (size = ftell(stream)) < 0)
		return complain(path, strerror(errno));
	rewind(stream);
	if (!size)
		return complain(path, "the file is empty");
	if (size > MAX_FILE_SIZE)
		return complain(path, "the file is over 512 MiB");
	blob->data = malloc(size);
	if (!blob->data)
		return complain(path, "not enough memory");
	blob->size = size;
	if (fread(blob->data, 1, size, stream) != (size_t)size) {
		free(blob->data);
		blob->data = NULL;
		return complain(path, "cannot be read to its end");
	}

	return true;
}

bool blob_read(struct blob *blob, const char *path)
{
	FILE *stream = fopen(path, "rb");
	bool ok = false;

	if (!stream)
		return complain(path, strerror(errno));
	ok = read_stream(blob, stream, path);
	fclose(stream);

	return ok;
}

bool blob_write(const struct blob *blob, const char *path)
{
	char beside[4096] = { 0 };
	FILE *stream = NULL;
	bool ok = false;

	if (snprintf(beside, sizeof(beside), "%s.part", path) >=
	    (int)sizeof(beside))
		return complain(path, "the path is too long");
	stream = fopen(beside, "wb");
	if (!stream)
		return complain(beside, strerror(errno));
	ok = fwrite(blob->data, 1, blob->size, stream) == blob->size;
	ok = !fclose(stream) && ok;
	if (ok && !rename(beside, path))
		return true;
	complain(path, strerror(errno));
	remove(beside);

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
