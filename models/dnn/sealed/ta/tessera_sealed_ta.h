/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the TA for sealed packages and its clients agree on. The file format,
 * the cipher and the wrapped key are those of docs/package.md.
 *
 * Every session starts without a package and takes one. Results of commands:
 *   TEE_ERROR_BAD_PARAMETERS  wrong parameter types or sizes, or a STEP that
 *                             counts other entries than the TA did
 *   TEE_ERROR_BAD_STATE       STEP, INFO or SEAL_IO without a package, a second
 *                             OPEN or SEAL_IO, or SEAL_IO after a STEP
 *   TEE_ERROR_SHORT_BUFFER    output too small; its size is set to the need
 *   TEE_ERROR_NOT_SUPPORTED   unknown command
 * These change nothing, nor does any error of SEAL_IO. After any other result of
 * STEP the package is gone, its memory wiped, and the session can only be closed:
 *   TEE_ERROR_ITEM_NOT_FOUND  no key has been installed on this device
 *   TEE_ERROR_MAC_INVALID     a blob or a block is not what the owner sealed
 *                             for this device and this place: another key, a
 *                             block changed, cut, swapped or sent again; or an
 *                             input not what the user sealed for this place
 *   TEE_ERROR_SECURITY        the package is older than one opened before
 *   TEE_ERROR_BAD_FORMAT      a blob that is none, a window that holds a part
 *                             of a block or more than is needed, or authentic
 *                             content that this TA cannot run
 *   TEE_ERROR_OUT_OF_MEMORY   the TA's heap does not hold the package
 *   TEE_ERROR_BUSY            another session is at the version counter or the
 *                             key now
 * Errors of the secure storage (corrupt, full, not there) come as they are.
 */
#ifndef TESSERA_SEALED_TA_H
#define TESSERA_SEALED_TA_H

#include <stdint.h>

#define TESSERA_SEALED_UUID \
	{ 0x5d0e7b31, 0xa94c, 0x4f26, \
		{ 0x8b, 0x17, 0x3c, 0x62, 0xf9, 0x04, 0xd5, 0xae } }

#define TESSERA_SEALED_POINT	65u	/* bytes of a public key: 04 || x || y */
#define TESSERA_SEALED_BLOB	129u	/* bytes of a wrapped key */
#define TESSERA_SEALED_TAG	16u	/* bytes behind each ciphertext */
#define TESSERA_SEALED_IDENTITY	16u	/* bytes of a package's identity */
#define TESSERA_SEALED_BINDING	16u	/* bytes that users bind their data to */
#define TESSERA_SEALED_BATCH	16u	/* bytes that name a batch of inputs */
#define TESSERA_SEALED_SESSION	16u	/* bytes that name a session */

/*
 * The device's public key; the key pair is made at the first call.
 * [out] memref[0]: TESSERA_SEALED_POINT bytes
 */
#define TESSERA_SEALED_CMD_IDENTITY	0

/*
 * Installs the owner's key, in the place of one that is there.
 * [in]  memref[0]: TESSERA_SEALED_BLOB bytes
 */
#define TESSERA_SEALED_CMD_INSTALL_KEY	1

/*
 * Takes a package: its manifest is opened, its version compared with the
 * counter, and all memory that it needs is taken.
 * [in]  memref[0]: version (a word), identity, ciphertext and tag of block 0
 * [out] memref[1]: struct tessera_sealed_info
 */
#define TESSERA_SEALED_CMD_OPEN		2

/*
 * Goes on with the once part, and behind it with inferences, one after the
 * other, as far as the given blocks reach. Each of the two begins with no entry
 * of its feed taken. The inputs are read, and the outputs written, while
 * blocks are taken, so all calls of an inference are given the same.
 * [in]    memref[0]: ciphertexts, each with its tag, of the next entries of
 *         the feed, in order, back to back; may be empty
 * [in]    memref[1]: all inputs; empty in the once part
 * [out]   memref[2]: all outputs; empty in the once part
 * [inout] value[3].a: entries of the feed taken so far
 * [out]   value[3].b: TESSERA_SEALED_MORE or _DONE
 */
#define TESSERA_SEALED_CMD_STEP		3

#define TESSERA_SEALED_MORE	0	/* the part needs more blocks */
#define TESSERA_SEALED_DONE	1	/* the once part, or an inference, is over */

/*
 * What the TA knows of its package and of its memory.
 * [out] memref[0]: struct tessera_sealed_info
 */
#define TESSERA_SEALED_CMD_INFO		4

/*
 * From here on inputs and outputs are sealed by a user's key: those of a STEP
 * are one ciphertext each, with its tag behind it. An input is copied at the
 * first STEP of its inference, an output written at the last.
 * [in]  memref[0]: the user's key, wrapped: TESSERA_SEALED_BLOB bytes; behind
 *       it the batch
 * [out] memref[1]: TESSERA_SEALED_SESSION bytes, drawn now
 */
#define TESSERA_SEALED_CMD_SEAL_IO	5

struct tessera_sealed_info {
	uint32_t version;
	uint32_t has_once;	/* 1: the once part comes first */
	uint32_t input_bytes;	/* of all inputs, each from a multiple of 4 on */
	uint32_t output_bytes;
	uint32_t chunk_bytes;
	uint32_t arena_bytes;
	uint32_t data_bytes;	/* TA_DATA_SIZE: what the heap has room for */
	uint32_t heap_bytes;	/* taken by the session, now and at most */
	uint32_t heap_peak;
	uint32_t steps;		/* STEP calls that took blocks or ended a part */
	uint64_t blocks;	/* decrypted, the manifest included */
	uint64_t bytes;		/* of their plaintexts */
	uint64_t instructions;	/* of the package's code, run */
};

#endif /* TESSERA_SEALED_TA_H */
