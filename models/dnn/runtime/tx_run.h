/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The executor: runs the code of a package (docs/package.md) in an arena.
 *
 * The caller fetches and opens blocks; the executor says which one comes next
 * and where its plaintext goes. Every instruction is checked before it is done.
 * Nothing here allocates or keeps state outside of struct tx_machine.
 *
 *	tx_begin(&machine, &manifest, arena, code, packed, once);
 *	while ((status = tx_run(&machine, &io)) == TX_NEED_BLOCK)
 *		open(machine.need.index, machine.need.to, machine.need.bytes);
 *
 * Non-goals: ciphers, versions, and where blocks come from.
 */
#ifndef TX_RUN_H
#define TX_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TX_TENSORS	4		/* inputs or outputs, at most */
#define TX_MAX_CHUNK	65536u

enum tx_status {
	TX_OK = 0,		/* this part is done */
	TX_NEED_BLOCK = 1,	/* see tx_machine.need, then call again */
	TX_BAD_MANIFEST = 2,
	TX_BAD_CODE = 3,	/* an instruction that does not hold */
	TX_BAD_BLOCK = 4,	/* a packed block that does not unpack */
	TX_BAD_CALL = 5,
};

enum tx_type {
	TX_FLOAT32 = 0,
	TX_INT8 = 1,
	TX_UINT8 = 2,
};

struct tx_tensor {
	uint32_t type;		/* enum tx_type */
	uint32_t channels;
	uint32_t rows;
	uint32_t columns;
};

size_t tx_tensor_bytes(const struct tx_tensor *tensor);

struct tx_manifest {
	uint8_t family[16];
	uint32_t version;
	uint32_t chunk;		/* bytes of a block's plaintext, at most */
	uint32_t arena;		/* bytes */
	uint32_t codes;
	uint32_t onces;
	uint32_t blocks;
	uint32_t inputs;
	uint32_t outputs;
	struct tx_tensor input[TX_TENSORS];
	struct tx_tensor output[TX_TENSORS];
	const uint32_t *code_bytes;	/* of each code block, in the data */
};

/*
 * Checks size bytes at data, aligned to 4, and describes them in *manifest,
 * which points into the data: they must stay. TX_OK or TX_BAD_MANIFEST.
 */
enum tx_status tx_manifest_parse(const void *data, size_t size,
				 struct tx_manifest *manifest);

/*
 * Whole tensors. They may lie in memory that others write to: each byte of an
 * input is read at most once per fetch that names it, outputs are only written.
 */
struct tx_io {
	const void *input[TX_TENSORS];
	void *output[TX_TENSORS];
};

struct tx_need {
	uint32_t index;		/* of the block */
	uint32_t bytes;		/* of its plaintext */
	void *to;		/* where its plaintext goes */
};

struct tx_machine {
	struct tx_need need;
	/* Since tx_begin() */
	uint64_t blocks;
	uint64_t bytes_loaded;	/* plaintext of all blocks, code as well */
	uint64_t instructions;	/* of the package */
	/* Private */
	const struct tx_manifest *manifest;
	uint8_t *arena;
	uint32_t *code;
	uint8_t *packed;
	uint32_t block;		/* of code, that is run or asked for */
	uint32_t last;		/* block of this part */
	uint32_t at;		/* word of the next instruction */
	uint32_t words;		/* of this block; 0: not there yet */
	uint32_t piece;		/* of the load that is under way */
	bool waiting;		/* for machine->need */
	bool once;
	bool over;		/* done, or in error */
};

/*
 * Begins a part: what is run once per session, or one inference. The arena, of
 * manifest->arena bytes, is aligned to 16, `code` to 4; `code` and `packed` are
 * manifest->chunk bytes each. What the first part leaves in the arena is what
 * the inferences work on.
 */
void tx_begin(struct tx_machine *machine, const struct tx_manifest *manifest,
	      void *arena, void *code, void *packed, bool once);

/*
 * Runs until a block is needed, the part is done, or an error. On TX_BAD_CODE
 * and TX_BAD_BLOCK the arena has been wiped. From then on, and after TX_OK, the
 * answer is TX_BAD_CALL until tx_begin(). io may be NULL in the first part.
 */
enum tx_status tx_run(struct tx_machine *machine, const struct tx_io *io);

/* Zeros that the compiler does not leave out */
void tx_wipe(void *data, size_t size);

#endif /* TX_RUN_H */
