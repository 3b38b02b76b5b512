/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of GlobalPlatform's TEE Internal Core API that the TAs use, for
 * tests on the host. Numbers are those of the specification. What stands below
 * "Keys" is in fake_crypto.c and fake_storage.c, and needs libcrypto.
 */
#ifndef TEE_INTERNAL_API_H
#define TEE_INTERNAL_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t TEE_Result;

#define TEE_SUCCESS			0x00000000
#define TEE_ERROR_GENERIC		0xffff0000
#define TEE_ERROR_EXCESS_DATA		0xffff0004
#define TEE_ERROR_BAD_FORMAT		0xffff0005
#define TEE_ERROR_BAD_PARAMETERS	0xffff0006
#define TEE_ERROR_BAD_STATE		0xffff0007
#define TEE_ERROR_ITEM_NOT_FOUND	0xffff0008
#define TEE_ERROR_NOT_SUPPORTED		0xffff000a
#define TEE_ERROR_OUT_OF_MEMORY		0xffff000c
#define TEE_ERROR_BUSY			0xffff000d
#define TEE_ERROR_SECURITY		0xffff000f
#define TEE_ERROR_SHORT_BUFFER		0xffff0010
#define TEE_ERROR_MAC_INVALID		0xffff3071
#define TEE_ERROR_CORRUPT_OBJECT	0xf0100001
#define TEE_ERROR_ACCESS_CONFLICT	0xffff0003

#define TEE_PARAM_TYPE_NONE		0
#define TEE_PARAM_TYPE_VALUE_INPUT	1
#define TEE_PARAM_TYPE_VALUE_OUTPUT	2
#define TEE_PARAM_TYPE_VALUE_INOUT	3
#define TEE_PARAM_TYPE_MEMREF_INPUT	5
#define TEE_PARAM_TYPE_MEMREF_OUTPUT	6
#define TEE_PARAM_TYPE_MEMREF_INOUT	7
#define TEE_PARAM_TYPES(a, b, c, d)	((a) | (b) << 4 | (c) << 8 | (d) << 12)

#define TEE_MALLOC_FILL_ZERO		0

typedef union {
	struct {
		void *buffer;
		size_t size;
	} memref;
	struct {
		uint32_t a;
		uint32_t b;
	} value;
} TEE_Param;

void *TEE_Malloc(size_t size, uint32_t hint);
void TEE_Free(void *p);
void TEE_MemMove(void *to, const void *from, size_t size);
void TEE_MemFill(void *to, uint8_t byte, size_t size);
int32_t TEE_MemCompare(const void *a, const void *b, size_t size);

/* --- Keys ---------------------------------------------------------------- */

typedef struct fake_object *TEE_ObjectHandle;
typedef struct fake_operation *TEE_OperationHandle;
typedef uint32_t TEE_BigInt;

typedef struct {
	uint32_t attributeID;
	union {
		struct {
			void *buffer;
			size_t length;
		} ref;
		struct {
			uint32_t a;
			uint32_t b;
		} value;
	} content;
} TEE_Attribute;

typedef enum {
	TEE_DATA_SEEK_SET = 0,
} TEE_Whence;

#define TEE_HANDLE_NULL			0
#define TEE_STORAGE_PRIVATE		1
#define TEE_DATA_FLAG_ACCESS_READ	0x001
#define TEE_DATA_FLAG_ACCESS_WRITE	0x002
#define TEE_DATA_FLAG_SHARE_READ	0x010
#define TEE_DATA_FLAG_OVERWRITE		0x400

#define TEE_ALG_AES_GCM				0x40000810
#define TEE_ALG_HMAC_SHA256			0x30000004
#define TEE_ALG_ECDH_DERIVE_SHARED_SECRET	0x80000042
#define TEE_MODE_ENCRYPT		0
#define TEE_MODE_DECRYPT		1
#define TEE_MODE_MAC			4
#define TEE_MODE_DERIVE			6

#define TEE_TYPE_AES			0xa0000010
#define TEE_TYPE_HMAC_SHA256		0xa0000004
#define TEE_TYPE_GENERIC_SECRET		0xa0000000
#define TEE_TYPE_ECDH_KEYPAIR		0xa1000042
#define TEE_TYPE_DATA			0xa00000bf

#define TEE_ATTR_SECRET_VALUE		0xc0000000
#define TEE_ATTR_ECC_PUBLIC_VALUE_X	0xd0000141
#define TEE_ATTR_ECC_PUBLIC_VALUE_Y	0xd0000241
#define TEE_ATTR_ECC_CURVE		0xf0000441
#define TEE_ECC_CURVE_NIST_P256		3

#define TEE_BigIntSizeInU32(n)		(((n) + 31) / 32 + 2)

TEE_Result TEE_AllocateTransientObject(uint32_t type, uint32_t bits,
				       TEE_ObjectHandle *object);
TEE_Result TEE_PopulateTransientObject(TEE_ObjectHandle object,
				       const TEE_Attribute *attributes,
				       uint32_t count);
void TEE_FreeTransientObject(TEE_ObjectHandle object);
void TEE_InitRefAttribute(TEE_Attribute *attribute, uint32_t id,
			  const void *buffer, size_t size);
void TEE_InitValueAttribute(TEE_Attribute *attribute, uint32_t id, uint32_t a,
			    uint32_t b);
TEE_Result TEE_GenerateKey(TEE_ObjectHandle object, uint32_t bits,
			   const TEE_Attribute *attributes, uint32_t count);
TEE_Result TEE_GetObjectBufferAttribute(TEE_ObjectHandle object, uint32_t id,
					void *buffer, size_t *size);

TEE_Result TEE_OpenPersistentObject(uint32_t storage, const void *id,
				    size_t id_size, uint32_t flags,
				    TEE_ObjectHandle *object);
TEE_Result TEE_CreatePersistentObject(uint32_t storage, const void *id,
				      size_t id_size, uint32_t flags,
				      TEE_ObjectHandle attributes,
				      const void *data, size_t size,
				      TEE_ObjectHandle *object);
TEE_Result TEE_ReadObjectData(TEE_ObjectHandle object, void *buffer,
			      size_t size, size_t *count);
TEE_Result TEE_WriteObjectData(TEE_ObjectHandle object, const void *buffer,
			       size_t size);
TEE_Result TEE_SeekObjectData(TEE_ObjectHandle object, intmax_t offset,
			      TEE_Whence whence);
void TEE_CloseObject(TEE_ObjectHandle object);

TEE_Result TEE_AllocateOperation(TEE_OperationHandle *operation,
				 uint32_t algorithm, uint32_t mode,
				 uint32_t bits);
void TEE_FreeOperation(TEE_OperationHandle operation);
void TEE_ResetOperation(TEE_OperationHandle operation);
TEE_Result TEE_SetOperationKey(TEE_OperationHandle operation,
			       TEE_ObjectHandle key);
void TEE_DeriveKey(TEE_OperationHandle operation,
		   const TEE_Attribute *attributes, uint32_t count,
		   TEE_ObjectHandle derived);
void TEE_MACInit(TEE_OperationHandle operation, const void *iv, size_t size);
void TEE_MACUpdate(TEE_OperationHandle operation, const void *data,
		   size_t size);
TEE_Result TEE_MACComputeFinal(TEE_OperationHandle operation, const void *data,
			       size_t size, void *mac, size_t *mac_size);
TEE_Result TEE_AEInit(TEE_OperationHandle operation, const void *nonce,
		      size_t nonce_size, uint32_t tag_bits, size_t aad_size,
		      size_t payload_size);
void TEE_AEUpdateAAD(TEE_OperationHandle operation, const void *data,
		     size_t size);
TEE_Result TEE_AEDecryptFinal(TEE_OperationHandle operation, const void *from,
			      size_t from_size, void *to, size_t *to_size,
			      void *tag, size_t tag_size);
TEE_Result TEE_AEEncryptFinal(TEE_OperationHandle operation, const void *from,
			      size_t from_size, void *to, size_t *to_size,
			      void *tag, size_t *tag_size);
void TEE_GenerateRandom(void *to, size_t size);

void TEE_BigIntInit(TEE_BigInt *value, size_t words);
TEE_Result TEE_BigIntConvertFromOctetString(TEE_BigInt *value,
					    const uint8_t *bytes, size_t size,
					    int32_t sign);
void TEE_BigIntConvertFromS32(TEE_BigInt *value, int32_t number);
int32_t TEE_BigIntCmp(const TEE_BigInt *a, const TEE_BigInt *b);
void TEE_BigIntAddMod(TEE_BigInt *to, const TEE_BigInt *a, const TEE_BigInt *b,
		      const TEE_BigInt *n);
void TEE_BigIntSubMod(TEE_BigInt *to, const TEE_BigInt *a, const TEE_BigInt *b,
		      const TEE_BigInt *n);
void TEE_BigIntMulMod(TEE_BigInt *to, const TEE_BigInt *a, const TEE_BigInt *b,
		      const TEE_BigInt *n);

/* --- Entry points of a TA ------------------------------------------------ */

TEE_Result TA_CreateEntryPoint(void);
void TA_DestroyEntryPoint(void);
TEE_Result TA_OpenSessionEntryPoint(uint32_t types, TEE_Param params[4],
				    void **context);
void TA_CloseSessionEntryPoint(void *context);
TEE_Result TA_InvokeCommandEntryPoint(void *context, uint32_t command,
				      uint32_t types, TEE_Param params[4]);

#endif /* TEE_INTERNAL_API_H */
