/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of GlobalPlatform's TEE Client API that tessera_dnn uses, for tests
 * on the host. Numbers are those of the specification.
 */
#ifndef TEE_CLIENT_API_H
#define TEE_CLIENT_API_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t TEEC_Result;

#define TEEC_SUCCESS			0x00000000
#define TEEC_ERROR_GENERIC		0xffff0000
#define TEEC_ERROR_EXCESS_DATA		0xffff0004
#define TEEC_ERROR_BAD_FORMAT		0xffff0005
#define TEEC_ERROR_BAD_PARAMETERS	0xffff0006
#define TEEC_ERROR_BAD_STATE		0xffff0007
#define TEEC_ERROR_ITEM_NOT_FOUND	0xffff0008
#define TEEC_ERROR_NOT_SUPPORTED	0xffff000a
#define TEEC_ERROR_OUT_OF_MEMORY	0xffff000c
#define TEEC_ERROR_BUSY			0xffff000d
#define TEEC_ERROR_COMMUNICATION	0xffff000e
#define TEEC_ERROR_SECURITY		0xffff000f
#define TEEC_ERROR_SHORT_BUFFER		0xffff0010
#define TEEC_ERROR_TARGET_DEAD		0xffff3024

#define TEEC_NONE			0x0
#define TEEC_VALUE_INPUT		0x1
#define TEEC_VALUE_OUTPUT		0x2
#define TEEC_VALUE_INOUT		0x3
#define TEEC_MEMREF_TEMP_INPUT		0x5
#define TEEC_MEMREF_TEMP_OUTPUT		0x6
#define TEEC_MEMREF_TEMP_INOUT		0x7
#define TEEC_MEMREF_PARTIAL_INPUT	0xd
#define TEEC_MEMREF_PARTIAL_OUTPUT	0xe
#define TEEC_PARAM_TYPES(a, b, c, d)	((a) | (b) << 4 | (c) << 8 | (d) << 12)

#define TEEC_MEM_INPUT			0x1
#define TEEC_MEM_OUTPUT			0x2
#define TEEC_LOGIN_PUBLIC		0x0

typedef struct {
	uint32_t timeLow;
	uint16_t timeMid;
	uint16_t timeHiAndVersion;
	uint8_t clockSeqAndNode[8];
} TEEC_UUID;

typedef struct {
	int unused;
} TEEC_Context;

typedef struct {
	void *ta_context;
} TEEC_Session;

typedef struct {
	void *buffer;
	size_t size;
	uint32_t flags;
} TEEC_SharedMemory;

typedef union {
	struct {
		void *buffer;
		size_t size;
	} tmpref;
	struct {
		TEEC_SharedMemory *parent;
		size_t size;
		size_t offset;
	} memref;
	struct {
		uint32_t a;
		uint32_t b;
	} value;
} TEEC_Parameter;

typedef struct {
	uint32_t started;
	uint32_t paramTypes;
	TEEC_Parameter params[4];
} TEEC_Operation;

TEEC_Result TEEC_InitializeContext(const char *name, TEEC_Context *context);
void TEEC_FinalizeContext(TEEC_Context *context);
TEEC_Result TEEC_OpenSession(TEEC_Context *context, TEEC_Session *session,
			     const TEEC_UUID *uuid, uint32_t login,
			     const void *data, TEEC_Operation *op,
			     uint32_t *origin);
void TEEC_CloseSession(TEEC_Session *session);
TEEC_Result TEEC_InvokeCommand(TEEC_Session *session, uint32_t command,
			       TEEC_Operation *op, uint32_t *origin);
TEEC_Result TEEC_AllocateSharedMemory(TEEC_Context *context,
				      TEEC_SharedMemory *memory);
void TEEC_ReleaseSharedMemory(TEEC_SharedMemory *memory);

#endif /* TEE_CLIENT_API_H */
