/* SPDX-License-Identifier: BSD-2-Clause */
/* An opened package: its memory, and the blocks that it takes next */
#ifndef PACKAGE_H
#define PACKAGE_H

#include "seal.h"
#include "tx_run.h"
#include "user_data.h"

/* Memory that is shared with the normal world */
struct package_memory {
	void *data;
	size_t size;
};

struct package {
	struct seal seal;
	struct user_data data;	/* of a session with sealed inputs and outputs */
	uint8_t binding[TESSERA_SEALED_BINDING];
	struct tx_manifest manifest;
	struct tx_machine machine;
	void *manifest_data;
	size_t manifest_size;
	void *arena;
	void *code;
	void *packed;
	uint32_t input_bytes;
	uint32_t output_bytes;
	bool once;		/* the once part is not over yet */
	bool begun;		/* a part is under way */
	bool waiting;		/* for the block that machine.need says */
	uint32_t taken;		/* entries of the feed, of this part */
	uint32_t steps;
	uint64_t blocks;
	uint64_t bytes;
	uint64_t instructions;	/* of the parts that are over */
	size_t held;		/* bytes of heap, now and at most */
	size_t peak;
};

/*
 * Takes what OPEN was given, see tessera_sealed_ta.h, into a package that is
 * all zero. After an error it is all zero again.
 */
TEE_Result package_open(struct package *package, const uint8_t *shared,
			size_t size);

/*
 * Takes what SEAL_IO was given, copied: the user's key, wrapped, and the batch;
 * overwrites it. After an error nothing has changed.
 */
TEE_Result package_seal_io(struct package *package,
			   uint8_t given[TESSERA_SEALED_BLOB +
					 TESSERA_SEALED_BATCH],
			   uint8_t session[TESSERA_SEALED_SESSION]);

/*
 * Whether the memory of a STEP is of the right size now; the need of an output
 * that is too small goes to its size.
 */
TEE_Result package_check_io(const struct package *package,
			    const struct package_memory *in,
			    struct package_memory *out);

/*
 * Runs on with the blocks in the window. *done when the part is over. After an
 * error the package must be closed.
 */
TEE_Result package_step(struct package *package, const uint8_t *window,
			size_t size, const struct package_memory *in,
			const struct package_memory *out, bool *done);

void package_info(const struct package *package,
		  struct tessera_sealed_info *info);

/* Wipes and gives back everything; a closed one is all zero */
void package_close(struct package *package);

#endif /* PACKAGE_H */
