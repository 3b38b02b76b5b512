/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of GlobalPlatform's TEE Internal Core API that the inference TA
 * uses, for tests on the host. Numbers are those of the specification.
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
#define TEE_ERROR_NOT_SUPPORTED		0xffff000a
#define TEE_ERROR_OUT_OF_MEMORY		0xffff000c
#define TEE_ERROR_SHORT_BUFFER		0xffff0010

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

TEE_Result TA_CreateEntryPoint(void);
void TA_DestroyEntryPoint(void);
TEE_Result TA_OpenSessionEntryPoint(uint32_t types, TEE_Param params[4],
				    void **context);
void TA_CloseSessionEntryPoint(void *context);
TEE_Result TA_InvokeCommandEntryPoint(void *context, uint32_t command,
				      uint32_t types, TEE_Param params[4]);

#endif /* TEE_INTERNAL_API_H */
