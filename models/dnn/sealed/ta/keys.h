/* SPDX-License-Identifier: BSD-2-Clause */
/* What the TA keeps in secure storage: its key pair, the owner's key, versions */
#ifndef KEYS_H
#define KEYS_H

#include "seal.h"

/* The public key of the device; its key pair is made when there is none */
TEE_Result keys_identity(uint8_t point[TESSERA_SEALED_POINT]);

/* Unwraps the owner's key and stores it; overwrites the blob */
TEE_Result keys_install(uint8_t blob[TESSERA_SEALED_BLOB]);

/* Unwraps a user's key, which is not stored; overwrites the blob */
TEE_Result keys_of_user(uint8_t blob[TESSERA_SEALED_BLOB],
			uint8_t key[SEAL_KEY]);

/* The key of a package: of the owner's key, its identity and version */
TEE_Result keys_of_package(const uint8_t identity[TESSERA_SEALED_IDENTITY],
			   uint32_t version, uint8_t key[SEAL_KEY]);

/* What users bind their data to, of the same three; not secret */
TEE_Result keys_binding(const uint8_t identity[TESSERA_SEALED_IDENTITY],
			uint32_t version,
			uint8_t binding[TESSERA_SEALED_BINDING]);

/*
 * TEE_ERROR_SECURITY when a higher version of the family has been opened; else
 * the counter is at least that version afterwards.
 */
TEE_Result keys_count_version(const uint8_t family[16], uint32_t version);

#endif /* KEYS_H */
