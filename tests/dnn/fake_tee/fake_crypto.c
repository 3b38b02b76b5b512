// SPDX-License-Identifier: BSD-2-Clause
/*
 * Keys, ciphers and big numbers of the TEE Internal Core API, on OpenSSL.
 *
 * A misuse that would panic a TA ends the process. So does an AES key that is
 * still in an operation when it is freed.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/rand.h>

#include "fake_tee.h"

struct fake_operation {
	uint32_t algorithm;
	uint32_t mode;
	bool keyed;
	bool active;
	uint8_t key[FAKE_SECRET];
	uint8_t scheduled[FAKE_SECRET];	/* the key that was last set up */
	uint8_t message[512];		/* for a MAC */
	size_t size;
	size_t payload;
	EVP_CIPHER_CTX *cipher;
	struct fake_object pair;
};

static void must(int worked, const char *what)
{
	if (!worked)
		fake_stop(what);
}

/* --- Objects -------------------------------------------------------------- */

TEE_Result TEE_AllocateTransientObject(uint32_t type, uint32_t bits,
				       TEE_ObjectHandle *object)
{
	must(bits == 8 * FAKE_SECRET, "object: no such size");
	if (!fake_may_allocate())
		return TEE_ERROR_OUT_OF_MEMORY;
	*object = calloc(1, sizeof(**object));
	must(*object != NULL, "no memory on the host");
	(*object)->type = type;
	fake_count_handle(1);

	return TEE_SUCCESS;
}

TEE_Result TEE_PopulateTransientObject(TEE_ObjectHandle object,
				       const TEE_Attribute *attributes,
				       uint32_t count)
{
	must(count == 1 && !object->ready && !object->stored &&
	     attributes->attributeID == TEE_ATTR_SECRET_VALUE &&
	     attributes->content.ref.length == FAKE_SECRET, "populate");
	memcpy(object->secret, attributes->content.ref.buffer, FAKE_SECRET);
	object->ready = true;

	return TEE_SUCCESS;
}

void TEE_FreeTransientObject(TEE_ObjectHandle object)
{
	must(!object->stored, "free of a stored object");
	fake_count_handle(-1);
	free(object);
}

void TEE_InitRefAttribute(TEE_Attribute *attribute, uint32_t id,
			  const void *buffer, size_t size)
{
	attribute->attributeID = id;
	attribute->content.ref.buffer = (void *)(uintptr_t)buffer;
	attribute->content.ref.length = size;
}

void TEE_InitValueAttribute(TEE_Attribute *attribute, uint32_t id, uint32_t a,
			    uint32_t b)
{
	attribute->attributeID = id;
	attribute->content.value.a = a;
	attribute->content.value.b = b;
}

TEE_Result TEE_GenerateKey(TEE_ObjectHandle object, uint32_t bits,
			   const TEE_Attribute *attributes, uint32_t count)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *point = EC_POINT_new(group);
	BIGNUM *d = BN_new();
	BIGNUM *x = BN_new();
	BIGNUM *y = BN_new();

	must(object->type == TEE_TYPE_ECDH_KEYPAIR && bits == 256 &&
	     count == 1 && attributes->attributeID == TEE_ATTR_ECC_CURVE &&
	     attributes->content.value.a == TEE_ECC_CURVE_NIST_P256,
	     "generate");
	do
		must(BN_rand_range(d, EC_GROUP_get0_order(group)), "random");
	while (BN_is_zero(d));
	must(EC_POINT_mul(group, point, d, NULL, NULL, NULL) &&
	     EC_POINT_get_affine_coordinates(group, point, x, y, NULL), "mul");
	must(BN_bn2binpad(d, object->secret, FAKE_SECRET) > 0 &&
	     BN_bn2binpad(x, object->x, FAKE_SECRET) > 0 &&
	     BN_bn2binpad(y, object->y, FAKE_SECRET) > 0, "numbers");
	object->ready = true;
	BN_clear_free(d);
	BN_free(x);
	BN_free(y);
	EC_POINT_free(point);
	EC_GROUP_free(group);

	return TEE_SUCCESS;
}

TEE_Result TEE_GetObjectBufferAttribute(TEE_ObjectHandle object, uint32_t id,
					void *buffer, size_t *size)
{
	const uint8_t *from = object->secret;
	size_t left = FAKE_SECRET;

	must(object->ready, "attribute of an object without a key");
	if (id == TEE_ATTR_ECC_PUBLIC_VALUE_X)
		from = object->x;
	else if (id == TEE_ATTR_ECC_PUBLIC_VALUE_Y)
		from = object->y;
	else
		must(id == TEE_ATTR_SECRET_VALUE, "no such attribute");
	/* Numbers come without leading zeros, secrets whole */
	while (id != TEE_ATTR_SECRET_VALUE && left > 1 && !*from) {
		from++;
		left--;
	}
	if (*size < left) {
		*size = left;
		return TEE_ERROR_SHORT_BUFFER;
	}
	memcpy(buffer, from, left);
	*size = left;

	return TEE_SUCCESS;
}

/* --- Operations ------------------------------------------------------------ */

TEE_Result TEE_AllocateOperation(TEE_OperationHandle *operation,
				 uint32_t algorithm, uint32_t mode,
				 uint32_t bits)
{
	must((algorithm == TEE_ALG_AES_GCM && mode <= TEE_MODE_DECRYPT) ||
	     (algorithm == TEE_ALG_HMAC_SHA256 && mode == TEE_MODE_MAC) ||
	     (algorithm == TEE_ALG_ECDH_DERIVE_SHARED_SECRET &&
	      mode == TEE_MODE_DERIVE), "no such operation");
	must(bits == 256, "operation: no such size");
	if (!fake_may_allocate())
		return TEE_ERROR_OUT_OF_MEMORY;
	*operation = calloc(1, sizeof(**operation));
	must(*operation != NULL, "no memory on the host");
	(*operation)->algorithm = algorithm;
	(*operation)->mode = mode;
	(*operation)->cipher = EVP_CIPHER_CTX_new();
	fake_count_handle(1);

	return TEE_SUCCESS;
}

void TEE_FreeOperation(TEE_OperationHandle operation)
{
	size_t i = 0;

	for (i = 0; i < FAKE_SECRET; i++)
		must(!operation->scheduled[i], "a key is left in a cipher");
	EVP_CIPHER_CTX_free(operation->cipher);
	fake_count_handle(-1);
	free(operation);
}

void TEE_ResetOperation(TEE_OperationHandle operation)
{
	must(operation->keyed, "reset without a key");
	operation->active = false;
}

TEE_Result TEE_SetOperationKey(TEE_OperationHandle operation,
			       TEE_ObjectHandle key)
{
	must(!operation->active, "a key during an operation");
	must(key->ready, "an operation with an object without a key");
	must(key->type == (operation->algorithm == TEE_ALG_AES_GCM ?
				   TEE_TYPE_AES :
			   operation->algorithm == TEE_ALG_HMAC_SHA256 ?
				   TEE_TYPE_HMAC_SHA256 :
				   TEE_TYPE_ECDH_KEYPAIR), "a key of a wrong type");
	memcpy(operation->key, key->secret, FAKE_SECRET);
	operation->pair = *key;
	operation->keyed = true;

	return TEE_SUCCESS;
}

void TEE_DeriveKey(TEE_OperationHandle operation,
		   const TEE_Attribute *attributes, uint32_t count,
		   TEE_ObjectHandle derived)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *point = EC_POINT_new(group);
	BIGNUM *d = BN_bin2bn(operation->key, FAKE_SECRET, NULL);
	BIGNUM *x = NULL;
	BIGNUM *y = NULL;

	must(operation->keyed && count == 2 && !derived->ready &&
	     derived->type == TEE_TYPE_GENERIC_SECRET &&
	     attributes[0].attributeID == TEE_ATTR_ECC_PUBLIC_VALUE_X &&
	     attributes[1].attributeID == TEE_ATTR_ECC_PUBLIC_VALUE_Y, "derive");
	x = BN_bin2bn(attributes[0].content.ref.buffer,
		      (int)attributes[0].content.ref.length, NULL);
	y = BN_bin2bn(attributes[1].content.ref.buffer,
		      (int)attributes[1].content.ref.length, NULL);
	must(EC_POINT_set_affine_coordinates(group, point, x, y, NULL),
	     "derive: not a point of the curve");
	must(EC_POINT_mul(group, point, NULL, point, d, NULL) &&
	     EC_POINT_get_affine_coordinates(group, point, x, y, NULL) &&
	     BN_bn2binpad(x, derived->secret, FAKE_SECRET) > 0, "mul");
	derived->ready = true;
	BN_clear_free(d);
	BN_free(x);
	BN_free(y);
	EC_POINT_free(point);
	EC_GROUP_free(group);
}

void TEE_MACInit(TEE_OperationHandle operation, const void *iv, size_t size)
{
	must(operation->keyed && !iv && !size, "MAC without a key");
	operation->size = 0;
	operation->active = true;
}

void TEE_MACUpdate(TEE_OperationHandle operation, const void *data,
		   size_t size)
{
	must(operation->active &&
	     size <= sizeof(operation->message) - operation->size, "MAC");
	memcpy(operation->message + operation->size, data, size);
	operation->size += size;
}

TEE_Result TEE_MACComputeFinal(TEE_OperationHandle operation, const void *data,
			       size_t size, void *mac, size_t *mac_size)
{
	unsigned int made = 0;

	must(operation->active && !data && !size && *mac_size >= FAKE_SECRET,
	     "end of a MAC");
	must(HMAC(EVP_sha256(), operation->key, FAKE_SECRET,
		  operation->message, operation->size, mac, &made) != NULL,
	     "HMAC");
	*mac_size = made;
	operation->active = false;

	return TEE_SUCCESS;
}

TEE_Result TEE_AEInit(TEE_OperationHandle operation, const void *nonce,
		      size_t nonce_size, uint32_t tag_bits, size_t aad_size,
		      size_t payload_size)
{
	(void)aad_size;
	must(operation->keyed && !operation->active && nonce_size == 12 &&
	     tag_bits == 128, "AEInit");
	must(EVP_CipherInit_ex(operation->cipher, EVP_aes_256_gcm(), NULL,
			       operation->key, nonce,
			       operation->mode == TEE_MODE_ENCRYPT), "AES-GCM");
	memcpy(operation->scheduled, operation->key, FAKE_SECRET);
	operation->payload = payload_size;
	operation->active = true;

	return TEE_SUCCESS;
}

void TEE_AEUpdateAAD(TEE_OperationHandle operation, const void *data,
		     size_t size)
{
	int made = 0;

	must(operation->active, "AAD");
	must(EVP_CipherUpdate(operation->cipher, NULL, &made, data, (int)size),
	     "AAD");
}

TEE_Result TEE_AEDecryptFinal(TEE_OperationHandle operation, const void *from,
			      size_t from_size, void *to, size_t *to_size,
			      void *tag, size_t tag_size)
{
	int made = 0;

	must(operation->active && operation->mode == TEE_MODE_DECRYPT &&
	     from_size == operation->payload && *to_size >= from_size &&
	     tag_size == 16, "end of a decryption");
	must(EVP_DecryptUpdate(operation->cipher, to, &made, from,
			       (int)from_size), "decryption");
	must(EVP_CIPHER_CTX_ctrl(operation->cipher, EVP_CTRL_GCM_SET_TAG, 16,
				 tag), "tag");
	*to_size = (size_t)made;
	if (EVP_DecryptFinal_ex(operation->cipher, to, &made) <= 0)
		return TEE_ERROR_MAC_INVALID;
	operation->active = false;

	return TEE_SUCCESS;
}

TEE_Result TEE_AEEncryptFinal(TEE_OperationHandle operation, const void *from,
			      size_t from_size, void *to, size_t *to_size,
			      void *tag, size_t *tag_size)
{
	int made = 0;
	int rest = 0;

	must(operation->active && operation->mode == TEE_MODE_ENCRYPT &&
	     from_size == operation->payload && *to_size >= from_size &&
	     *tag_size >= 16, "end of an encryption");
	must(EVP_EncryptUpdate(operation->cipher, to, &made, from,
			       (int)from_size), "encryption");
	must(EVP_EncryptFinal_ex(operation->cipher, (uint8_t *)to + made,
				 &rest), "encryption");
	must(EVP_CIPHER_CTX_ctrl(operation->cipher, EVP_CTRL_GCM_GET_TAG, 16,
				 tag), "tag");
	*to_size = (size_t)(made + rest);
	*tag_size = 16;
	operation->active = false;

	return TEE_SUCCESS;
}

void TEE_GenerateRandom(void *to, size_t size)
{
	must(RAND_bytes(to, (int)size), "random");
}

/* --- Big numbers: the words' count, then the words, lowest first ------------ */

void TEE_BigIntInit(TEE_BigInt *value, size_t words)
{
	memset(value, 0, 4 * words);
	value[0] = (uint32_t)words - 2;
}

static BIGNUM *load(const TEE_BigInt *value)
{
	BIGNUM *number = BN_lebin2bn((const uint8_t *)(value + 2),
				     4 * (int)value[0], NULL);

	must(number != NULL, "no memory on the host");

	return number;
}

static void keep(TEE_BigInt *value, const BIGNUM *number)
{
	must(BN_bn2lebinpad(number, (uint8_t *)(value + 2),
			    4 * (int)value[0]) >= 0, "a number is too large");
}

TEE_Result TEE_BigIntConvertFromOctetString(TEE_BigInt *value,
					    const uint8_t *bytes, size_t size,
					    int32_t sign)
{
	BIGNUM *number = BN_bin2bn(bytes, (int)size, NULL);

	must(number != NULL && sign >= 0, "a number");
	keep(value, number);
	BN_free(number);

	return TEE_SUCCESS;
}

void TEE_BigIntConvertFromS32(TEE_BigInt *value, int32_t number)
{
	must(number >= 0, "a number below 0");
	memset(value + 2, 0, 4 * value[0]);
	value[2] = (uint32_t)number;
}

int32_t TEE_BigIntCmp(const TEE_BigInt *a, const TEE_BigInt *b)
{
	BIGNUM *left = load(a);
	BIGNUM *right = load(b);
	int32_t order = BN_cmp(left, right);

	BN_free(left);
	BN_free(right);

	return order;
}

typedef int (*modular)(BIGNUM *, const BIGNUM *, const BIGNUM *,
		       const BIGNUM *, BN_CTX *);

static void calculate(modular how, TEE_BigInt *to, const TEE_BigInt *a,
		      const TEE_BigInt *b, const TEE_BigInt *n)
{
	BN_CTX *context = BN_CTX_new();
	BIGNUM *left = load(a);
	BIGNUM *right = load(b);
	BIGNUM *modulus = load(n);
	BIGNUM *made = BN_new();

	must(how(made, left, right, modulus, context), "arithmetic");
	keep(to, made);
	BN_free(left);
	BN_free(right);
	BN_free(modulus);
	BN_free(made);
	BN_CTX_free(context);
}

void TEE_BigIntAddMod(TEE_BigInt *to, const TEE_BigInt *a, const TEE_BigInt *b,
		      const TEE_BigInt *n)
{
	calculate(BN_mod_add, to, a, b, n);
}

void TEE_BigIntSubMod(TEE_BigInt *to, const TEE_BigInt *a, const TEE_BigInt *b,
		      const TEE_BigInt *n)
{
	calculate(BN_mod_sub, to, a, b, n);
}

void TEE_BigIntMulMod(TEE_BigInt *to, const TEE_BigInt *a, const TEE_BigInt *b,
		      const TEE_BigInt *n)
{
	calculate(BN_mod_mul, to, a, b, n);
}
