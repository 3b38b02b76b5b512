// SPDX-License-Identifier: BSD-2-Clause
/* Sessions and commands of the inference TA; see dnn.h */
#include <stdio.h>

#include "dnn.h"

bool dnn_open(struct dnn *dnn)
{
	const TEEC_UUID uuid = TESSERA_DNN_UUID;
	TEEC_Result res = TEEC_InitializeContext(NULL, &dnn->context);
	uint32_t origin = 0;

	if (res) {
		fprintf(stderr, "tessera_dnn: no TEE to talk to: 0x%08x (%s)\n",
			res, dnn_text(res));
		return false;
	}
	res = TEEC_OpenSession(&dnn->context, &dnn->session, &uuid,
			       TEEC_LOGIN_PUBLIC, NULL, NULL, &origin);
	if (res) {
		fprintf(stderr,
			"tessera_dnn: cannot open the TA: 0x%08x (%s), origin %u\n",
			res, dnn_text(res), origin);
		TEEC_FinalizeContext(&dnn->context);
		return false;
	}

	return true;
}

void dnn_close(struct dnn *dnn)
{
	TEEC_CloseSession(&dnn->session);
	TEEC_FinalizeContext(&dnn->context);
}

TEEC_Result dnn_load(TEEC_Session *session, const struct blob *model,
		     uint32_t *status)
{
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_ERROR_GENERIC;

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_VALUE_OUTPUT, TEEC_NONE,
					 TEEC_NONE);
	op.params[0].tmpref.buffer = model->data;
	op.params[0].tmpref.size = model->size;
	res = TEEC_InvokeCommand(session, TESSERA_DNN_CMD_LOAD, &op, NULL);
	*status = op.params[1].value.a;

	return res;
}

TEEC_Result dnn_info(TEEC_Session *session, struct tessera_dnn_info *info)
{
	TEEC_Operation op = { 0 };

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_OUTPUT, TEEC_NONE,
					 TEEC_NONE, TEEC_NONE);
	op.params[0].tmpref.buffer = info;
	op.params[0].tmpref.size = sizeof(*info);

	return TEEC_InvokeCommand(session, TESSERA_DNN_CMD_INFO, &op, NULL);
}

TEEC_Result dnn_infer(TEEC_Session *session, const struct blob *images,
		      struct blob *results, uint32_t count, uint32_t what)
{
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_ERROR_GENERIC;

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_OUTPUT,
					 TEEC_VALUE_INPUT, TEEC_NONE);
	op.params[0].tmpref.buffer = images->data;
	op.params[0].tmpref.size = images->size;
	op.params[1].tmpref.buffer = results->data;
	op.params[1].tmpref.size = results->size;
	op.params[2].value.a = count;
	op.params[2].value.b = what;
	res = TEEC_InvokeCommand(session, TESSERA_DNN_CMD_INFER, &op, NULL);
	results->size = op.params[1].tmpref.size;

	return res;
}

const char *dnn_text(TEEC_Result res)
{
	switch (res) {
	case TEEC_SUCCESS:
		return "success";
	case TEEC_ERROR_ITEM_NOT_FOUND:
		return "not found";
	case TEEC_ERROR_OUT_OF_MEMORY:
		return "out of memory";
	case TEEC_ERROR_BAD_PARAMETERS:
		return "bad parameters";
	case TEEC_ERROR_BAD_FORMAT:
		return "bad format";
	case TEEC_ERROR_BAD_STATE:
		return "bad state";
	case TEEC_ERROR_EXCESS_DATA:
		return "too much data";
	case TEEC_ERROR_SHORT_BUFFER:
		return "short buffer";
	case TEEC_ERROR_NOT_SUPPORTED:
		return "not supported";
	case TEEC_ERROR_COMMUNICATION:
		return "no answer";
	case TEEC_ERROR_TARGET_DEAD:
		return "the TA panicked";
	case TEEC_ERROR_SECURITY:
		return "security check failed";
	default:
		return "see the TEE's console";
	}
}
