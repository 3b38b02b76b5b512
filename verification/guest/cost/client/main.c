// SPDX-License-Identifier: BSD-2-Clause
/*
 * tessera_cost: does one small thing with a TA, several times, so that each can
 * be counted from outside: opens a session and closes it, and in between, when
 * asked to, has the hog TA take one block.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tee_client_api.h>

#include "tessera_hog_ta.h"

#define MAX_TIMES	1000

static const char usage[] =
	"Usage: tessera_cost UUID TIMES [BYTES]\n"
	"  Opens and closes a session of the TA, TIMES times one after the other.\n"
	"  With BYTES (the hog TA only): takes one block of that size in each.\n"
	"Example: tessera_cost a1f47c90-3be2-4d57-8c6b-95d20e7f4b13 5 65536\n"
	"Exit code: 0 when all of it worked\n";

static int parse(const char *text, TEEC_UUID *uuid)
{
	unsigned int head[3] = { 0 };
	unsigned int tail[8] = { 0 };
	size_t i = 0;

	if (strlen(text) != 36 ||
	    sscanf(text, "%8x-%4x-%4x-%2x%2x-%2x%2x%2x%2x%2x%2x", head,
		   head + 1, head + 2, tail, tail + 1, tail + 2, tail + 3,
		   tail + 4, tail + 5, tail + 6, tail + 7) != 11)
		return -1;
	uuid->timeLow = head[0];
	uuid->timeMid = (uint16_t)head[1];
	uuid->timeHiAndVersion = (uint16_t)head[2];
	for (i = 0; i < 8; i++)
		uuid->clockSeqAndNode[i] = (uint8_t)tail[i];

	return 0;
}

/* One block of the hog TA, given back when its session closes */
static TEEC_Result take(TEEC_Session *session, uint32_t bytes)
{
	TEEC_Operation operation = { 0 };
	TEEC_Result res = TEEC_SUCCESS;

	operation.paramTypes = TEEC_PARAM_TYPES(TEEC_VALUE_INPUT,
						TEEC_VALUE_OUTPUT, TEEC_NONE,
						TEEC_NONE);
	operation.params[0].value.a = bytes;
	operation.params[0].value.b = 1;
	res = TEEC_InvokeCommand(session, TESSERA_HOG_CMD_TAKE, &operation,
				 NULL);
	if (!res && operation.params[1].value.a != 1)
		res = operation.params[1].value.b;

	return res;
}

static TEEC_Result once(TEEC_Context *context, const TEEC_UUID *uuid,
			uint32_t bytes)
{
	TEEC_Session session = { 0 };
	TEEC_Result res = TEEC_OpenSession(context, &session, uuid,
					   TEEC_LOGIN_PUBLIC, NULL, NULL, NULL);

	if (res)
		return res;
	if (bytes)
		res = take(&session, bytes);
	TEEC_CloseSession(&session);

	return res;
}

int main(int argc, char **argv)
{
	TEEC_Context context = { 0 };
	TEEC_UUID uuid = { 0 };
	TEEC_Result res = TEEC_SUCCESS;
	long times = argc > 2 ? atol(argv[2]) : 0;
	unsigned long bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	long i = 0;

	if (argc < 3 || argc > 4 || parse(argv[1], &uuid) || times < 1 ||
	    times > MAX_TIMES || bytes > UINT32_MAX) {
		fputs(usage, stderr);
		return 2;
	}
	if (TEEC_InitializeContext(NULL, &context)) {
		fprintf(stderr, "tessera_cost: no TEE\n");
		return 1;
	}
	for (i = 0; i < times && !res; i++)
		res = once(&context, &uuid, (uint32_t)bytes);
	if (res)
		fprintf(stderr, "tessera_cost: failed: 0x%08x\n", res);
	TEEC_FinalizeContext(&context);

	return res ? 1 : 0;
}
