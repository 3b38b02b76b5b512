/* SPDX-License-Identifier: BSD-2-Clause */
/* Inputs that a user has sealed, and outputs sealed for them: docs/package.md */
#ifndef USER_DATA_H
#define USER_DATA_H

#include "seal.h"

/* All zero: closed. The memory of both plaintexts is the caller's */
struct user_data {
	struct seal_cipher in;
	struct seal_cipher out;
	uint8_t binding[TESSERA_SEALED_BINDING];
	uint8_t batch[TESSERA_SEALED_BATCH];
	uint8_t session[TESSERA_SEALED_SESSION];
	uint64_t number;	/* of the inference, from 0 */
	uint8_t *input;
	uint8_t *output;
	bool open;
};

/*
 * Begins a session with a user's key, for the network with this binding; after
 * an error it is not open, and may be closed.
 */
TEE_Result user_data_open(struct user_data *data, const uint8_t key[SEAL_KEY],
			  const uint8_t binding[TESSERA_SEALED_BINDING],
			  const uint8_t batch[TESSERA_SEALED_BATCH]);

/* Copies a ciphertext and its tag from shared memory and opens it in ->input */
TEE_Result user_data_take(struct user_data *data, const uint8_t *shared,
			  size_t size);

/*
 * Seals ->output where it stands, and copies ciphertext and tag to shared
 * memory. The next inference comes then.
 */
TEE_Result user_data_give(struct user_data *data, uint8_t *shared, size_t size);

/* Forgets the keys; not the plaintexts, whose sizes the caller knows */
void user_data_close(struct user_data *data);

#endif /* USER_DATA_H */
