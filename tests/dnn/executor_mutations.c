// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs a package in the clear again and again, a few of its words changed each
 * time: executor_mutations PACKAGE SEED RUNS. A sanitizer ends it if the runtime
 * touches what is not its own. Prints how often each status came about.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

#define MOST	(1u << 20)	/* bytes of an arena or tensor that is tried */
#define STATES	(PLAIN_NO_BLOCK + 1)

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;

	return (uint32_t)((state >> 20) % below);
}

static uint32_t changed(uint32_t word, const uint32_t *words, uint32_t count)
{
	static const uint32_t ends[] = { 0, 1, 2, 255, 65535, 65536, 1u << 24,
					 INT32_MAX, 1u << 31, UINT32_MAX,
					 UINT32_MAX - 3 };

	switch (draw(5)) {
	case 0:
		return word ^ 1u << draw(32);
	case 1:
		return word + draw(9) - 4;
	case 2:
		return ends[draw(sizeof(ends) / sizeof(*ends))];
	case 3:
		return words[draw(count)];
	default:
		return word + (draw(2049) - 1024) * 4;
	}
}

static bool open_tensors(const struct tx_manifest *manifest, struct tx_io *io)
{
	uint32_t i = 0;

	for (i = 0; i < manifest->inputs; i++) {
		size_t bytes = tx_tensor_bytes(&manifest->input[i]);

		if (bytes > MOST || !(io->input[i] = calloc(1, bytes)))
			return false;
	}
	for (i = 0; i < manifest->outputs; i++) {
		size_t bytes = tx_tensor_bytes(&manifest->output[i]);

		if (bytes > MOST || !(io->output[i] = malloc(bytes)))
			return false;
	}

	return true;
}

static int run_once(const struct plain *plain)
{
	struct plain_room room = { .arena = NULL };
	struct tx_io io = { .input = { NULL } };
	struct tx_manifest manifest;
	struct tx_machine machine;
	uint32_t i = 0;
	int status = tx_manifest_parse(plain->block[0].data,
				       plain->block[0].bytes, &manifest);

	if (status)
		return status;
	if (manifest.arena <= MOST && open_tensors(&manifest, &io) &&
	    plain_room_make(&manifest, &room)) {
		tx_begin(&machine, &manifest, room.arena, room.code,
			 room.packed, true);
		status = plain_run(plain, &machine, NULL, NULL, NULL);
		if (!status) {
			tx_begin(&machine, &manifest, room.arena, room.code,
				 room.packed, false);
			status = plain_run(plain, &machine, &io, NULL, NULL);
		}
	}
	plain_room_free(&room);
	for (i = 0; i < TX_TENSORS; i++) {
		free((void *)io.input[i]);
		free(io.output[i]);
	}

	return status;
}

/* Changes one word, mostly of code */
static void mutate(const struct plain *plain, uint32_t codes)
{
	uint32_t index = draw(16) ? 1 + draw(codes) : draw(plain->blocks);
	uint32_t *words = (uint32_t *)plain->block[index].data;
	uint32_t count = plain->block[index].bytes / 4;
	uint32_t at = draw(count);

	words[at] = changed(words[at], words, count);
}

int main(int count, char **word)
{
	static char file[MOST] __attribute__((aligned(16)));
	static char copy[MOST] __attribute__((aligned(16)));
	static unsigned long seen[STATES];
	unsigned long runs = count == 4 ? strtoul(word[3], NULL, 10) : 0;
	struct tx_manifest manifest;
	struct plain plain;
	size_t size = 0;
	uint32_t i = 0;
	FILE *stream = runs ? fopen(word[1], "rb") : NULL;

	if (!stream)
		return 2;
	size = fread(file, 1, sizeof(file), stream);
	fclose(stream);
	state = strtoul(word[2], NULL, 10) * 2654435761u + 1;
	memcpy(copy, file, size);
	if (!plain_open(copy, size, &plain) ||
	    tx_manifest_parse(plain.block[0].data, plain.block[0].bytes,
			      &manifest))
		return 2;

	for (; runs; runs--) {
		memcpy(copy, file, size);
		for (i = 1 + draw(3); i; i--)
			mutate(&plain, manifest.codes);
		seen[run_once(&plain)]++;
	}
	plain_close(&plain);
	for (i = 0; i < STATES; i++)
		if (seen[i])
			printf("%u %lu\n", i, seen[i]);

	return 0;
}
