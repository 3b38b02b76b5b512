// SPDX-License-Identifier: BSD-2-Clause
/*
 * Keys and counters in secure storage; see keys.h and docs/package.md.
 *
 * The owner's key is stored as a key object for HMAC: once it is installed, its
 * bytes do not come back into the TA's memory. Two sessions may be here at
 * once, so what is read to be changed is opened for one of them alone.
 */
#include "keys.h"
#include "point.h"

#define CURVE_BITS	256u
#define BLOB_POINT	4u
#define BLOB_NONCE	(BLOB_POINT + TESSERA_SEALED_POINT)
#define BLOB_KEY	(BLOB_NONCE + SEAL_NONCE)
#define BLOB_TAG	(BLOB_KEY + SEAL_KEY)

static const char device_name[] = "device";
static const char owner_name[] = "owner";
static const char counter_name[8] = { 'v', 'e', 'r', 's', 'i', 'o', 'n', '-' };
static const char package_label[] = "tessera-package-1";
static const char binding_label[] = "tessera-binding-1";

/* Whose key a blob holds: none passes for another */
struct kind {
	char magic[4];
	const char *label;
	size_t label_size;
};

static const char owner_label[] = "tessera-wrap-1";
static const char user_label[] = "tessera-user-1";
static const struct kind of_owner = { { 'T', 'S', 'K', 'W' }, owner_label,
				      sizeof(owner_label) - 1 };
static const struct kind of_user = { { 'T', 'S', 'U', 'W' }, user_label,
				     sizeof(user_label) - 1 };

/* Storage that is held by another session is not an error of the caller */
static TEE_Result told(TEE_Result res)
{
	return res == TEE_ERROR_ACCESS_CONFLICT ? TEE_ERROR_BUSY : res;
}

static TEE_Result open_object(const char *name, size_t size, uint32_t flags,
			      TEE_ObjectHandle *object)
{
	return TEE_OpenPersistentObject(TEE_STORAGE_PRIVATE, name, size, flags,
					object);
}

static TEE_Result make_device_key(void)
{
	TEE_ObjectHandle pair = TEE_HANDLE_NULL;
	TEE_ObjectHandle stored = TEE_HANDLE_NULL;
	TEE_Attribute curve = { 0 };
	TEE_Result res = TEE_AllocateTransientObject(TEE_TYPE_ECDH_KEYPAIR,
						     CURVE_BITS, &pair);

	if (res)
		return res;
	TEE_InitValueAttribute(&curve, TEE_ATTR_ECC_CURVE,
			       TEE_ECC_CURVE_NIST_P256, 0);
	res = TEE_GenerateKey(pair, CURVE_BITS, &curve, 1);
	if (!res)	/* never over one that is there */
		res = TEE_CreatePersistentObject(TEE_STORAGE_PRIVATE,
						 device_name,
						 sizeof(device_name),
						 TEE_DATA_FLAG_ACCESS_READ,
						 pair, NULL, 0, &stored);
	if (!res)
		TEE_CloseObject(stored);
	TEE_FreeTransientObject(pair);

	return res;
}

static TEE_Result open_device_key(TEE_ObjectHandle *pair)
{
	const uint32_t flags = TEE_DATA_FLAG_ACCESS_READ |
			       TEE_DATA_FLAG_SHARE_READ;
	TEE_Result res = open_object(device_name, sizeof(device_name), flags,
				     pair);

	if (res != TEE_ERROR_ITEM_NOT_FOUND)
		return res;
	res = make_device_key();
	if (res)
		return res;

	return open_object(device_name, sizeof(device_name), flags, pair);
}

/* A number of up to 32 bytes, with the leading zeros that it came without */
static TEE_Result whole_number(TEE_ObjectHandle object, uint32_t attribute,
			       uint8_t number[POINT_COORDINATE])
{
	uint8_t bytes[POINT_COORDINATE] = { 0 };
	size_t size = sizeof(bytes);
	TEE_Result res = TEE_GetObjectBufferAttribute(object, attribute, bytes,
						      &size);

	if (res)
		return res;
	TEE_MemFill(number, 0, POINT_COORDINATE);
	TEE_MemMove(number + POINT_COORDINATE - size, bytes, size);
	TEE_MemFill(bytes, 0, sizeof(bytes));

	return TEE_SUCCESS;
}

static TEE_Result point_of(TEE_ObjectHandle pair,
			   uint8_t point[TESSERA_SEALED_POINT])
{
	TEE_Result res = whole_number(pair, TEE_ATTR_ECC_PUBLIC_VALUE_X,
				      point + 1);

	if (res)
		return res;
	point[0] = 4;

	return whole_number(pair, TEE_ATTR_ECC_PUBLIC_VALUE_Y,
			    point + 1 + POINT_COORDINATE);
}

TEE_Result keys_identity(uint8_t point[TESSERA_SEALED_POINT])
{
	TEE_ObjectHandle pair = TEE_HANDLE_NULL;
	TEE_Result res = open_device_key(&pair);

	if (res)
		return told(res);
	res = point_of(pair, point);
	TEE_CloseObject(pair);

	return res;
}

/* The secret that the device shares with whoever has the point's private key */
static TEE_Result shared_secret(TEE_ObjectHandle pair, uint8_t *point,
				uint8_t shared[POINT_COORDINATE])
{
	TEE_OperationHandle derive = TEE_HANDLE_NULL;
	TEE_ObjectHandle secret = TEE_HANDLE_NULL;
	TEE_Attribute other[2] = { 0 };
	TEE_Result res = TEE_AllocateOperation(&derive,
					       TEE_ALG_ECDH_DERIVE_SHARED_SECRET,
					       TEE_MODE_DERIVE, CURVE_BITS);

	if (res)
		return res;
	res = TEE_AllocateTransientObject(TEE_TYPE_GENERIC_SECRET, CURVE_BITS,
					  &secret);
	if (!res)
		res = TEE_SetOperationKey(derive, pair);
	if (!res) {
		TEE_InitRefAttribute(&other[0], TEE_ATTR_ECC_PUBLIC_VALUE_X,
				     point + 1, POINT_COORDINATE);
		TEE_InitRefAttribute(&other[1], TEE_ATTR_ECC_PUBLIC_VALUE_Y,
				     point + 1 + POINT_COORDINATE,
				     POINT_COORDINATE);
		TEE_DeriveKey(derive, other, 2, secret);
		res = whole_number(secret, TEE_ATTR_SECRET_VALUE, shared);
	}
	if (secret != TEE_HANDLE_NULL)
		TEE_FreeTransientObject(secret);
	TEE_FreeOperation(derive);

	return res;
}

static TEE_Result wrap_key(const uint8_t shared[POINT_COORDINATE],
			   const struct kind *kind, const uint8_t *ephemeral,
			   const uint8_t *device, uint8_t key[SEAL_KEY])
{
	const struct seal_piece pieces[] = {
		{ kind->label, kind->label_size },
		{ ephemeral, TESSERA_SEALED_POINT },
		{ device, TESSERA_SEALED_POINT },
	};
	TEE_ObjectHandle object = TEE_HANDLE_NULL;
	TEE_Result res = seal_key_object(TEE_TYPE_HMAC_SHA256, shared, &object);

	if (res)
		return res;
	res = seal_digest(object, pieces, 3, key);
	TEE_FreeTransientObject(object);

	return res;
}

/* Decrypts the key where it stands in the blob */
static TEE_Result unwrap(uint8_t blob[TESSERA_SEALED_BLOB],
			 const struct kind *kind, const uint8_t key[SEAL_KEY],
			 const uint8_t *device)
{
	const struct seal_piece aad[] = {
		{ kind->magic, sizeof(kind->magic) },
		{ device, TESSERA_SEALED_POINT },
	};
	struct seal_cipher cipher = { 0 };
	TEE_Result res = seal_cipher_open(&cipher, TEE_MODE_DECRYPT, key);

	if (res)
		return res;
	res = seal_decrypt(&cipher, blob + BLOB_NONCE, aad, 2, blob + BLOB_KEY,
			   SEAL_KEY, blob + BLOB_TAG);
	seal_cipher_close(&cipher);

	return res;
}

static TEE_Result open_blob(uint8_t blob[TESSERA_SEALED_BLOB],
			    const struct kind *kind)
{
	uint8_t device[TESSERA_SEALED_POINT] = { 0 };
	uint8_t shared[POINT_COORDINATE] = { 0 };
	uint8_t key[SEAL_KEY] = { 0 };
	TEE_ObjectHandle pair = TEE_HANDLE_NULL;
	TEE_Result res = open_device_key(&pair);

	if (res)
		return told(res);
	res = point_of(pair, device);
	if (!res)
		res = shared_secret(pair, blob + BLOB_POINT, shared);
	TEE_CloseObject(pair);
	if (!res)
		res = wrap_key(shared, kind, blob + BLOB_POINT, device, key);
	TEE_MemFill(shared, 0, sizeof(shared));
	if (!res)
		res = unwrap(blob, kind, key, device);
	TEE_MemFill(key, 0, sizeof(key));

	return res;
}

static TEE_Result store_owner_key(const uint8_t key[SEAL_KEY])
{
	const uint32_t flags = TEE_DATA_FLAG_ACCESS_READ |
			       TEE_DATA_FLAG_OVERWRITE;
	TEE_ObjectHandle object = TEE_HANDLE_NULL;
	TEE_ObjectHandle stored = TEE_HANDLE_NULL;
	TEE_Result res = seal_key_object(TEE_TYPE_HMAC_SHA256, key, &object);

	if (res)
		return res;
	res = TEE_CreatePersistentObject(TEE_STORAGE_PRIVATE, owner_name,
					 sizeof(owner_name), flags, object,
					 NULL, 0, &stored);
	if (!res)
		TEE_CloseObject(stored);
	TEE_FreeTransientObject(object);

	return told(res);
}

/* The key that a blob holds is where it stands in the blob afterwards */
static TEE_Result check_and_open(uint8_t blob[TESSERA_SEALED_BLOB],
				 const struct kind *kind)
{
	const uint8_t nonce[SEAL_NONCE] = { 0 };

	if (TEE_MemCompare(blob, kind->magic, sizeof(kind->magic)) ||
	    TEE_MemCompare(blob + BLOB_NONCE, nonce, sizeof(nonce)) ||
	    !point_is_valid(blob + BLOB_POINT))
		return TEE_ERROR_BAD_FORMAT;

	return open_blob(blob, kind);
}

TEE_Result keys_install(uint8_t blob[TESSERA_SEALED_BLOB])
{
	TEE_Result res = check_and_open(blob, &of_owner);

	if (!res)
		res = store_owner_key(blob + BLOB_KEY);
	TEE_MemFill(blob, 0, TESSERA_SEALED_BLOB);

	return res;
}

TEE_Result keys_of_user(uint8_t blob[TESSERA_SEALED_BLOB],
			uint8_t key[SEAL_KEY])
{
	TEE_Result res = check_and_open(blob, &of_user);

	if (!res)
		TEE_MemMove(key, blob + BLOB_KEY, SEAL_KEY);
	TEE_MemFill(blob, 0, TESSERA_SEALED_BLOB);

	return res;
}

/* The digest, under the owner's key, of what names a package */
static TEE_Result digest_of_package(const char *label, size_t label_size,
				    const uint8_t *identity, uint32_t version,
				    uint8_t digest[SEAL_KEY])
{
	const struct seal_piece pieces[] = {
		{ label, label_size },
		{ identity, TESSERA_SEALED_IDENTITY },
		{ &version, sizeof(version) },
	};
	TEE_ObjectHandle owner = TEE_HANDLE_NULL;
	TEE_Result res = open_object(owner_name, sizeof(owner_name),
				     TEE_DATA_FLAG_ACCESS_READ |
					     TEE_DATA_FLAG_SHARE_READ,
				     &owner);

	if (res)
		return told(res);
	res = seal_digest(owner, pieces, 3, digest);
	TEE_CloseObject(owner);

	return res;
}

TEE_Result keys_of_package(const uint8_t identity[TESSERA_SEALED_IDENTITY],
			   uint32_t version, uint8_t key[SEAL_KEY])
{
	return digest_of_package(package_label, sizeof(package_label) - 1,
				 identity, version, key);
}

TEE_Result keys_binding(const uint8_t identity[TESSERA_SEALED_IDENTITY],
			uint32_t version,
			uint8_t binding[TESSERA_SEALED_BINDING])
{
	uint8_t digest[SEAL_KEY] = { 0 };
	TEE_Result res = digest_of_package(binding_label,
					   sizeof(binding_label) - 1, identity,
					   version, digest);

	TEE_MemMove(binding, digest, TESSERA_SEALED_BINDING);

	return res;
}

static TEE_Result raise_counter(TEE_ObjectHandle counter, uint32_t version)
{
	uint32_t highest = 0;
	size_t count = 0;
	TEE_Result res = TEE_ReadObjectData(counter, &highest, sizeof(highest),
					    &count);

	if (res)
		return res;
	if (count != sizeof(highest))
		return TEE_ERROR_CORRUPT_OBJECT;
	if (version < highest)
		return TEE_ERROR_SECURITY;
	if (version == highest)
		return TEE_SUCCESS;
	res = TEE_SeekObjectData(counter, 0, TEE_DATA_SEEK_SET);
	if (res)
		return res;

	return TEE_WriteObjectData(counter, &version, sizeof(version));
}

TEE_Result keys_count_version(const uint8_t family[16], uint32_t version)
{
	const uint32_t flags = TEE_DATA_FLAG_ACCESS_READ |
			       TEE_DATA_FLAG_ACCESS_WRITE;
	char name[sizeof(counter_name) + 16] = { 0 };
	TEE_ObjectHandle counter = TEE_HANDLE_NULL;
	TEE_Result res = TEE_ERROR_GENERIC;

	TEE_MemMove(name, counter_name, sizeof(counter_name));
	TEE_MemMove(name + sizeof(counter_name), family, 16);
	res = open_object(name, sizeof(name), flags, &counter);
	if (res == TEE_ERROR_ITEM_NOT_FOUND) {
		res = TEE_CreatePersistentObject(TEE_STORAGE_PRIVATE, name,
						 sizeof(name), flags,
						 TEE_HANDLE_NULL, &version,
						 sizeof(version), &counter);
		if (!res)
			TEE_CloseObject(counter);
		return told(res);
	}
	if (res)
		return told(res);
	res = raise_counter(counter, version);
	TEE_CloseObject(counter);

	return res;
}
