/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A package in the clear, as `Contents.dump_plain` of kit/tessera/package writes
 * it, run in this process: for tests and measurements only.
 *
 *	"TSPP", the number of blocks, then per block its size and its bytes; all
 *	numbers are words of 4 bytes, little-endian
 */
#ifndef PLAIN_H
#define PLAIN_H

#include "tx_run.h"

struct plain_block {
	const void *data;	/* aligned to 4 */
	uint32_t bytes;
};

struct plain {
	uint32_t blocks;
	struct plain_block *block;
};

/* The blocks of a dump, which must stay and be aligned to 4; NULL if it is none */
bool plain_open(const void *data, size_t size, struct plain *plain);
void plain_close(struct plain *plain);

/* What a part works in */
struct plain_room {
	void *arena;
	void *code;
	void *packed;
};

bool plain_room_make(const struct tx_manifest *manifest,
		     struct plain_room *room);
void plain_room_free(struct plain_room *room);

/* Called for each block that is taken */
typedef void plain_watch(void *context, uint32_t index);

#define PLAIN_NO_BLOCK	100	/* the block asked for is not in the dump */

/* One part from its beginning to its end: enum tx_status or PLAIN_NO_BLOCK */
int plain_run(const struct plain *plain, struct tx_machine *machine,
	      const struct tx_io *io, plain_watch *watch, void *context);

#endif /* PLAIN_H */
