/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions of a package's code (docs/package.md): read, checked, done.
 *
 * Goal: tx_do() and the layers behind it can trust a step that tx_check() has
 * passed. Non-goals: blocks, see tx_run.h.
 */
#ifndef TX_CODE_H
#define TX_CODE_H

#include "tl_layers.h"
#include "tx_run.h"

enum tx_operation {
	TX_END = 1,
	TX_LOAD,
	TX_FETCH,
	TX_EMIT,
	TX_CONV,
	TX_DEPTHWISE,
	TX_DENSE,
	TX_MAX_POOL,
	TX_AVERAGE_POOL,
	TX_GLOBAL_AVERAGE,
	TX_ADD,
	TX_APPLY,
	TX_MOVE,
	TX_UPSAMPLE,
	TX_SCALE,
	TX_SOFTMAX,
	TX_RESHAPE,
	TX_Q_CONV = 32,
	TX_Q_DEPTHWISE,
	TX_Q_DENSE,
	TX_Q_AVERAGE_POOL,
	TX_Q_GLOBAL_AVERAGE,
	TX_Q_ADD,
	TX_Q_TABLE,
	TX_QUANTIZE,
	TX_DEQUANTIZE,
	TX_OPERATIONS,
};

#define TX_NUMBERS	6	/* single words of an instruction, at most */
#define TX_NO_REGION	UINT32_MAX
#define TX_MAX_WORDS	16384u
/* Channels, rows, columns and counts: their sums and strides fit 32 bits */
#define TX_MAX_INDEX	(1u << 24)
#define TX_MAX_KERNEL	1024u
#define TX_MAX_STEP	65535u	/* strides, padding, dilation, factors */

/* A view as the code has it; `view.data` is set by tx_check() */
struct tx_view {
	uint32_t offset;
	uint32_t channels;
	uint32_t type;
	struct tl_view view;
};

/* An instruction taken apart; which fields it has follows from the operation */
struct tx_step {
	uint32_t operation;
	struct tx_view x;
	struct tx_view b;
	struct tx_view y;
	struct tl_part part;
	struct tl_window window;
	uint32_t number[TX_NUMBERS];	/* in their order */
	const uint32_t *tail;		/* what follows: multipliers, sizes */
	uint32_t tail_words;
};

/* What an instruction may touch */
struct tx_place {
	uint8_t *arena;
	const struct tx_manifest *manifest;
	const struct tx_io *io;		/* NULL in the first part */
};

/* Words of the instruction at `code`, or 0 unless they are within `left` */
uint32_t tx_length(const uint32_t *code, uint32_t left);

/* False unless it is an operation with as many words as it needs */
bool tx_decode(const uint32_t *code, uint32_t words, struct tx_step *step);

/*
 * Whether all that the step reads and writes lies where it may; sets the views'
 * data. TX_END and TX_LOAD have no such step: false.
 */
bool tx_check(struct tx_step *step, const struct tx_place *place);

/* Does a step that tx_check() has passed */
void tx_do(const struct tx_step *step, const struct tx_place *place);

/* As in the code: a float32 by its bits */
float tx_float(uint32_t word);

static inline bool tx_inside(uint64_t at, uint64_t bytes, uint64_t room)
{
	return at <= room && bytes <= room - at;
}

#endif /* TX_CODE_H */
