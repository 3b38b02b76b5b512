/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of sealed inputs, and of the outputs that answer them: docs/package.md */
#ifndef TSIN_H
#define TSIN_H

#include "tessera_sealed_ta.h"
#include "tsp.h"

struct tsin {
	struct blob file;
	uint32_t size;		/* bytes of one plaintext */
	uint32_t count;
};

/* Reads sealed inputs; false, with a message, when these are none */
bool tsin_read(struct tsin *tsin, const char *path);
void tsin_drop(struct tsin *tsin);

/* The batch, and a ciphertext with its tag */
const uint8_t *tsin_batch(const struct tsin *tsin);
const uint8_t *tsin_input(const struct tsin *tsin, uint32_t number);

/*
 * A file for outputs of `size` bytes each, which go to *first, one after the
 * other with their tags. NULL data when memory is short.
 */
struct blob tsou_make(const struct tsin *tsin,
		      const uint8_t session[TESSERA_SEALED_SESSION],
		      uint32_t size, uint8_t **first);

#endif /* TSIN_H */
