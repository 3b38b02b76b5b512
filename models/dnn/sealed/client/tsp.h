/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed package files, see docs/package.md */
#ifndef TSP_H
#define TSP_H

#include "blob.h"

struct tsp {
	struct blob file;
	uint32_t version;
	uint8_t identity[16];
	uint32_t chunk;
	uint32_t codes;
	uint32_t blocks;
	uint32_t onces;		/* entries of the feed that are taken once */
	uint32_t feeds;		/* all entries */
	uint32_t table;		/* offset of the block table */
	uint32_t feed;		/* offset of the feed */
};

/*
 * Reads a package; false, with a message, when it is none. Every block and
 * every entry of the feed is inside then.
 */
bool tsp_read(struct tsp *tsp, const char *path);
void tsp_drop(struct tsp *tsp);

/* The block's ciphertext and tag, and how long both are together */
const uint8_t *tsp_block(const struct tsp *tsp, uint32_t index, size_t *size);

/* The block that an entry of the feed names */
uint32_t tsp_entry(const struct tsp *tsp, uint32_t entry);

#endif /* TSP_H */
