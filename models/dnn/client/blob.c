// SPDX-License-Identifier: BSD-2-Clause
/* Whole files; see blob.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

#define MAX_FILE_SIZE	(512L * 1024 * 1024)

static bool complain(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", blob_program, path, what);

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
