// SPDX-License-Identifier: BSD-2-Clause
/*
 * Inputs and outputs of a user; see user_data.h.
 *
 * The number of an inference is counted here, and told by nobody: an input fits
 * one place of a session. Outputs have a key of the session, which is drawn
 * here, so that no nonce comes twice under it.
 */
#include "user_data.h"

static const char in_magic[4] = { 'T', 'S', 'I', '1' };
static const char out_magic[4] = { 'T', 'S', 'O', '1' };
static const char in_label[] = "tessera-input-1";
static const char out_label[] = "tessera-output-1";

/* A cipher whose key is the digest of the pieces under the user's */
static TEE_Result open_cipher(struct seal_cipher *cipher, uint32_t mode,
			      TEE_ObjectHandle user,
			      const struct seal_piece *pieces, size_t count)
{
	uint8_t key[SEAL_KEY] = { 0 };
	TEE_Result res = seal_digest(user, pieces, count, key);

	if (!res)
		res = seal_cipher_open(cipher, mode, key);
	TEE_MemFill(key, 0, sizeof(key));

	return res;
}

static TEE_Result open_both(struct user_data *data, TEE_ObjectHandle user)
{
	const struct seal_piece in[] = {
		{ in_label, sizeof(in_label) - 1 },
		{ data->binding, sizeof(data->binding) },
		{ data->batch, sizeof(data->batch) },
	};
	const struct seal_piece out[] = {
		{ out_label, sizeof(out_label) - 1 },
		{ data->binding, sizeof(data->binding) },
		{ data->batch, sizeof(data->batch) },
		{ data->session, sizeof(data->session) },
	};
	TEE_Result res = open_cipher(&data->in, TEE_MODE_DECRYPT, user, in, 3);

	if (res)
		return res;

	return open_cipher(&data->out, TEE_MODE_ENCRYPT, user, out, 4);
}

TEE_Result user_data_open(struct user_data *data, const uint8_t key[SEAL_KEY],
			  const uint8_t binding[TESSERA_SEALED_BINDING],
			  const uint8_t batch[TESSERA_SEALED_BATCH])
{
	TEE_ObjectHandle user = TEE_HANDLE_NULL;
	TEE_Result res = seal_key_object(TEE_TYPE_HMAC_SHA256, key, &user);

	if (res)
		return res;
	TEE_MemMove(data->binding, binding, sizeof(data->binding));
	TEE_MemMove(data->batch, batch, sizeof(data->batch));
	TEE_GenerateRandom(data->session, sizeof(data->session));
	res = open_both(data, user);
	TEE_FreeTransientObject(user);
	data->open = !res;

	return res;
}

TEE_Result user_data_take(struct user_data *data, const uint8_t *shared,
			  size_t size)
{
	const uint64_t nonce[2] = { data->number };
	const uint32_t bytes = (uint32_t)size;
	const struct seal_piece aad[] = {
		{ in_magic, sizeof(in_magic) },
		{ data->binding, sizeof(data->binding) },
		{ data->batch, sizeof(data->batch) },
		{ &data->number, sizeof(data->number) },
		{ &bytes, sizeof(bytes) },
	};
	uint8_t tag[TESSERA_SEALED_TAG] = { 0 };

	TEE_MemMove(data->input, shared, size);
	TEE_MemMove(tag, shared + size, sizeof(tag));

	return seal_decrypt(&data->in, (const uint8_t *)nonce, aad,
			    sizeof(aad) / sizeof(aad[0]), data->input, size,
			    tag);
}

TEE_Result user_data_give(struct user_data *data, uint8_t *shared, size_t size)
{
	const uint64_t nonce[2] = { data->number };
	const uint32_t bytes = (uint32_t)size;
	const struct seal_piece aad[] = {
		{ out_magic, sizeof(out_magic) },
		{ data->binding, sizeof(data->binding) },
		{ data->batch, sizeof(data->batch) },
		{ data->session, sizeof(data->session) },
		{ &data->number, sizeof(data->number) },
		{ &bytes, sizeof(bytes) },
	};
	uint8_t tag[TESSERA_SEALED_TAG] = { 0 };
	TEE_Result res = seal_encrypt(&data->out, (const uint8_t *)nonce, aad,
				      sizeof(aad) / sizeof(aad[0]),
				      data->output, size, tag);

	if (res)
		return res;
	TEE_MemMove(shared, data->output, size);
	TEE_MemMove(shared + size, tag, sizeof(tag));
	data->number++;

	return TEE_SUCCESS;
}

void user_data_close(struct user_data *data)
{
	seal_cipher_close(&data->in);
	seal_cipher_close(&data->out);
	TEE_MemFill(data, 0, sizeof(*data));
}
