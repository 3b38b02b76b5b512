// SPDX-License-Identifier: BSD-2-Clause
/* AES-256-GCM and HMAC-SHA256 on GlobalPlatform's API; see seal.h */
#include "seal.h"

#define KEY_BITS	(8 * SEAL_KEY)
#define TAG_BITS	(8 * TESSERA_SEALED_TAG)
#define MOST_AAD	96	/* bytes of additional data */

static const char magic[4] = { 'T', 'S', 'P', '1' };

TEE_Result seal_key_object(uint32_t type, const uint8_t key[SEAL_KEY],
			   TEE_ObjectHandle *object)
{
	TEE_Result res = TEE_AllocateTransientObject(type, KEY_BITS, object);
	TEE_Attribute secret = { 0 };

	if (res)
		return res;
	TEE_InitRefAttribute(&secret, TEE_ATTR_SECRET_VALUE,
			     (void *)(uintptr_t)key, SEAL_KEY);
	res = TEE_PopulateTransientObject(*object, &secret, 1);
	if (res)
		TEE_FreeTransientObject(*object);

	return res;
}

TEE_Result seal_digest(TEE_ObjectHandle key, const struct seal_piece *pieces,
		       size_t count, uint8_t digest[SEAL_KEY])
{
	TEE_OperationHandle mac = TEE_HANDLE_NULL;
	TEE_Result res = TEE_AllocateOperation(&mac, TEE_ALG_HMAC_SHA256,
					       TEE_MODE_MAC, KEY_BITS);
	size_t size = SEAL_KEY;
	size_t i = 0;

	if (res)
		return res;
	res = TEE_SetOperationKey(mac, key);
	if (!res) {
		TEE_MACInit(mac, NULL, 0);
		for (i = 0; i < count; i++)
			TEE_MACUpdate(mac, pieces[i].data, pieces[i].size);
		res = TEE_MACComputeFinal(mac, NULL, 0, digest, &size);
	}
	TEE_FreeOperation(mac);

	return res;
}

static TEE_Result set_key(TEE_OperationHandle operation,
			  const uint8_t key[SEAL_KEY])
{
	TEE_ObjectHandle object = TEE_HANDLE_NULL;
	TEE_Result res = seal_key_object(TEE_TYPE_AES, key, &object);

	if (res)
		return res;
	res = TEE_SetOperationKey(operation, object);
	TEE_FreeTransientObject(object);

	return res;
}

TEE_Result seal_cipher_open(struct seal_cipher *cipher, uint32_t mode,
			    const uint8_t key[SEAL_KEY])
{
	const uint8_t nothing[SEAL_KEY] = { 0 };
	struct seal_cipher made = { 0 };
	TEE_Result res = seal_key_object(TEE_TYPE_AES, nothing, &made.blank);

	if (res)
		return res;
	res = TEE_AllocateOperation(&made.operation, TEE_ALG_AES_GCM, mode,
				    KEY_BITS);
	if (!res) {
		res = set_key(made.operation, key);
		if (res)
			TEE_FreeOperation(made.operation);
	}
	if (res) {
		TEE_FreeTransientObject(made.blank);
		return res;
	}
	*cipher = made;

	return TEE_SUCCESS;
}

/*
 * The trusted OS need not wipe what it frees, and keeps the expanded key until
 * the next one is set up: so another one is.
 */
void seal_cipher_close(struct seal_cipher *cipher)
{
	const uint8_t nonce[SEAL_NONCE] = { 0 };

	if (cipher->operation == TEE_HANDLE_NULL)
		return;
	TEE_ResetOperation(cipher->operation);
	if (!TEE_SetOperationKey(cipher->operation, cipher->blank))
		TEE_AEInit(cipher->operation, nonce, SEAL_NONCE, TAG_BITS, 0, 0);
	TEE_FreeOperation(cipher->operation);
	TEE_FreeTransientObject(cipher->blank);
	TEE_MemFill(cipher, 0, sizeof(*cipher));
}

static TEE_Result begin(const struct seal_cipher *cipher,
			const uint8_t nonce[SEAL_NONCE],
			const struct seal_piece *aad, size_t count, size_t size)
{
	uint8_t joined[MOST_AAD];	/* each call costs a change of modes */
	TEE_Result res = TEE_ERROR_GENERIC;
	size_t aad_size = 0;
	size_t i = 0;

	for (i = 0; i < count; i++) {
		if (aad[i].size > sizeof(joined) - aad_size)
			return TEE_ERROR_GENERIC;
		TEE_MemMove(joined + aad_size, aad[i].data, aad[i].size);
		aad_size += aad[i].size;
	}
	res = TEE_AEInit(cipher->operation, nonce, SEAL_NONCE, TAG_BITS,
			 aad_size, size);
	if (!res)
		TEE_AEUpdateAAD(cipher->operation, joined, aad_size);

	return res;
}

TEE_Result seal_decrypt(const struct seal_cipher *cipher,
			const uint8_t nonce[SEAL_NONCE],
			const struct seal_piece *aad, size_t count, void *data,
			size_t size, const uint8_t tag[TESSERA_SEALED_TAG])
{
	uint8_t expected[TESSERA_SEALED_TAG] = { 0 };
	TEE_Result res = begin(cipher, nonce, aad, count, size);
	size_t left = size;

	if (res)
		return res;
	TEE_MemMove(expected, tag, sizeof(expected));
	res = TEE_AEDecryptFinal(cipher->operation, data, size, data, &left,
				 expected, sizeof(expected));
	if (!res && left != size)
		return TEE_ERROR_GENERIC;

	return res;
}

TEE_Result seal_encrypt(const struct seal_cipher *cipher,
			const uint8_t nonce[SEAL_NONCE],
			const struct seal_piece *aad, size_t count, void *data,
			size_t size, uint8_t tag[TESSERA_SEALED_TAG])
{
	TEE_Result res = begin(cipher, nonce, aad, count, size);
	size_t tag_size = TESSERA_SEALED_TAG;
	size_t left = size;

	if (res)
		return res;
	res = TEE_AEEncryptFinal(cipher->operation, data, size, data, &left,
				 tag, &tag_size);
	if (!res && (left != size || tag_size != TESSERA_SEALED_TAG))
		return TEE_ERROR_GENERIC;

	return res;
}

TEE_Result seal_open(struct seal *seal, const uint8_t key[SEAL_KEY])
{
	return seal_cipher_open(&seal->cipher, TEE_MODE_DECRYPT, key);
}

TEE_Result seal_block(struct seal *seal, uint32_t index, void *data,
		      size_t size, const uint8_t tag[TESSERA_SEALED_TAG])
{
	const uint32_t nonce[SEAL_NONCE / 4] = { index };
	const uint32_t bytes = (uint32_t)size;
	const struct seal_piece aad[] = {
		{ magic, sizeof(magic) },
		{ seal->identity, sizeof(seal->identity) },
		{ &seal->version, sizeof(seal->version) },
		{ &index, sizeof(index) },
		{ &bytes, sizeof(bytes) },
	};

	return seal_decrypt(&seal->cipher, (const uint8_t *)nonce, aad,
			    sizeof(aad) / sizeof(aad[0]), data, size, tag);
}

void seal_close(struct seal *seal)
{
	seal_cipher_close(&seal->cipher);
	TEE_MemFill(seal, 0, sizeof(*seal));
}
