/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks that are encrypted and authenticated, and keyed digests: the ciphers
 * of docs/package.md on GlobalPlatform's API.
 */
#ifndef SEAL_H
#define SEAL_H

#include <tee_internal_api.h>

#include "tessera_sealed_ta.h"

#define SEAL_KEY	32u	/* bytes of every key here */
#define SEAL_NONCE	12u

/* A piece of a message */
struct seal_piece {
	const void *data;
	size_t size;
};

/*
 * AES-256-GCM with a key; all zero: closed. The blank key is there from the
 * start, because the other one must go even when memory is short.
 */
struct seal_cipher {
	TEE_OperationHandle operation;
	TEE_ObjectHandle blank;
};

/* The blocks of one package; all zero: closed */
struct seal {
	struct seal_cipher cipher;
	uint32_t version;
	uint8_t identity[TESSERA_SEALED_IDENTITY];
};

/* The HMAC-SHA256 of the pieces under a key object of that type */
TEE_Result seal_digest(TEE_ObjectHandle key, const struct seal_piece *pieces,
		       size_t count, uint8_t digest[SEAL_KEY]);

/* A key object of a type, in memory; the caller frees it */
TEE_Result seal_key_object(uint32_t type, const uint8_t key[SEAL_KEY],
			   TEE_ObjectHandle *object);

/* Readies the blocks of a package for seal_block() */
TEE_Result seal_open(struct seal *seal, const uint8_t key[SEAL_KEY]);

/*
 * Decrypts size bytes at data in place. What stands there when the result is
 * TEE_ERROR_MAC_INVALID must not be used.
 */
TEE_Result seal_block(struct seal *seal, uint32_t index, void *data,
		      size_t size, const uint8_t tag[TESSERA_SEALED_TAG]);

/* Forgets the key; a closed one may be closed again */
void seal_close(struct seal *seal);

/* As seal_block(), with any nonce and additional data */
TEE_Result seal_decrypt(const struct seal_cipher *cipher,
			const uint8_t nonce[SEAL_NONCE],
			const struct seal_piece *aad, size_t count, void *data,
			size_t size, const uint8_t tag[TESSERA_SEALED_TAG]);

/* The other way, with the tag as a result */
TEE_Result seal_encrypt(const struct seal_cipher *cipher,
			const uint8_t nonce[SEAL_NONCE],
			const struct seal_piece *aad, size_t count, void *data,
			size_t size, uint8_t tag[TESSERA_SEALED_TAG]);

/* The cipher with a key, for one direction: TEE_MODE_; closed after an error */
TEE_Result seal_cipher_open(struct seal_cipher *cipher, uint32_t mode,
			    const uint8_t key[SEAL_KEY]);
/* Overwrites the key; a closed one may be closed again */
void seal_cipher_close(struct seal_cipher *cipher);

#endif /* SEAL_H */
