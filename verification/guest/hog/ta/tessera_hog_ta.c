// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hog TA: takes memory from the trusted OS until refused.
 */
#include <pta_system.h>
#include <stdint.h>
#include <tee_internal_api.h>

#include "tessera_hog_ta.h"

#define PAGE	4096

TEE_Result TA_CreateEntryPoint(void)
{
	return TEE_SUCCESS;
}

void TA_DestroyEntryPoint(void)
{
}

TEE_Result TA_OpenSessionEntryPoint(uint32_t types, TEE_Param params[4],
				    void **session)
{
	static const TEE_UUID uuid = PTA_SYSTEM_UUID;
	TEE_TASessionHandle handle = TEE_HANDLE_NULL;
	TEE_Result res = TEE_SUCCESS;

	(void)types;
	(void)params;

	res = TEE_OpenTASession(&uuid, TEE_TIMEOUT_INFINITE, 0, NULL, &handle,
				NULL);
	*session = handle;

	return res;
}

void TA_CloseSessionEntryPoint(void *session)
{
	TEE_CloseTASession(session);
}

/* One block of zeroed memory from the trusted OS, each page written to */
static TEE_Result take_one(TEE_TASessionHandle system, uint32_t size)
{
	uint32_t types = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					 TEE_PARAM_TYPE_VALUE_INOUT,
					 TEE_PARAM_TYPE_VALUE_INPUT,
					 TEE_PARAM_TYPE_NONE);
	TEE_Param params[4] = { };
	volatile uint8_t *block = NULL;
	TEE_Result res = TEE_SUCCESS;
	uint32_t offset = 0;

	params[0].value.a = size;
	res = TEE_InvokeTACommand(system, TEE_TIMEOUT_INFINITE,
				  PTA_SYSTEM_MAP_ZI, types, params, NULL);
	if (res)
		return res;
	block = (void *)(uintptr_t)(((uint64_t)params[1].value.a << 32) |
				    params[1].value.b);
	for (offset = 0; offset < size; offset += PAGE)
		block[offset] = 0x48;

	return TEE_SUCCESS;
}

static TEE_Result take(TEE_TASessionHandle system, uint32_t types,
		       TEE_Param params[4])
{
	uint32_t wanted = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					  TEE_PARAM_TYPE_VALUE_OUTPUT,
					  TEE_PARAM_TYPE_NONE,
					  TEE_PARAM_TYPE_NONE);
	TEE_Result res = TEE_SUCCESS;
	uint32_t taken = 0;

	if (types != wanted || !params[0].value.a)
		return TEE_ERROR_BAD_PARAMETERS;
	while (taken < params[0].value.b) {
		res = take_one(system, params[0].value.a);
		if (res)
			break;
		taken++;
	}
	params[1].value.a = taken;
	params[1].value.b = res;

	return TEE_SUCCESS;
}

TEE_Result TA_InvokeCommandEntryPoint(void *session, uint32_t command,
				      uint32_t types, TEE_Param params[4])
{
	if (command != TESSERA_HOG_CMD_TAKE)
		return TEE_ERROR_NOT_SUPPORTED;

	return take(session, types, params);
}
