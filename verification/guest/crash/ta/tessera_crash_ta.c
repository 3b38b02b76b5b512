// SPDX-License-Identifier: BSD-2-Clause
/*
 * The inference TA, to the letter, but for one command more: it panics at the
 * point that it was told. For the scenario `crash` only; the shipped TA has no
 * such command.
 */
#include "tessera_crash_ta.h"
#include "ts_model.h"

static enum ts_status run_or_panic(const struct ts_model *model, void *arena,
				   size_t arena_size, float **output);

/* What the inference TA calls, and what it is called by, goes through here */
#define ts_run run_or_panic
#define TA_InvokeCommandEntryPoint invoke_inference
#include "../../../../models/dnn/ta/tessera_dnn_ta.c"
#undef TA_InvokeCommandEntryPoint
#undef ts_run

#define PANIC_CODE	0x7e55e7a

/* The TA has one instance per session, so this is the session's */
static uint32_t armed;

static enum ts_status run_or_panic(const struct ts_model *model, void *arena,
				   size_t arena_size, float **output)
{
	static struct ts_model half;	/* too large for the stack */

	if (armed == TESSERA_CRASH_MIDDLE) {
		half = *model;
		half.layer_count /= 2;
		ts_run(&half, arena, arena_size, output);
		TEE_Panic(PANIC_CODE);
	}

	return ts_run(model, arena, arena_size, output);
}

static TEE_Result arm(uint32_t types, TEE_Param params[4])
{
	if (types != TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
				     TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE,
				     TEE_PARAM_TYPE_NONE) ||
	    params[0].value.a > TESSERA_CRASH_RESULT)
		return TEE_ERROR_BAD_PARAMETERS;
	armed = params[0].value.a;

	return TEE_SUCCESS;
}

TEE_Result TA_InvokeCommandEntryPoint(void *context, uint32_t command,
				      uint32_t types, TEE_Param params[4])
{
	TEE_Result res = TEE_SUCCESS;

	if (command == TESSERA_CRASH_CMD_ARM)
		return arm(types, params);
	res = invoke_inference(context, command, types, params);
	if (!res && ((armed == TESSERA_CRASH_LOADED &&
		      command == TESSERA_DNN_CMD_LOAD) ||
		     (armed == TESSERA_CRASH_RESULT &&
		      command == TESSERA_DNN_CMD_INFER)))
		TEE_Panic(PANIC_CODE);

	return res;
}
