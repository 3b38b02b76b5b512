// SPDX-License-Identifier: BSD-2-Clause
/* Sessions and commands of the TA for sealed packages; see sealed.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealed.h"

static bool failed(const char *what, TEEC_Result res)
{
	fprintf(stderr, "tessera_sealed: %s: 0x%08x (%s)\n", what, res,
		sealed_text(res));

	return false;
}

bool sealed_start(struct sealed *sealed)
{
	const TEEC_UUID uuid = TESSERA_SEALED_UUID;
	TEEC_Result res = TEEC_InitializeContext(NULL, &sealed->context);
	uint32_t origin = 0;

	if (res)
		return failed("no TEE to talk to", res);
	res = TEEC_OpenSession(&sealed->context, &sealed->session, &uuid,
			       TEEC_LOGIN_PUBLIC, NULL, NULL, &origin);
	if (res) {
		TEEC_FinalizeContext(&sealed->context);
		return failed("cannot open the TA", res);
	}

	return true;
}

void sealed_end(struct sealed *sealed)
{
	TEEC_SharedMemory *memories[] = { &sealed->window, &sealed->in,
					  &sealed->out };
	size_t i = 0;

	TEEC_CloseSession(&sealed->session);
	for (i = 0; i < 3; i++)
		if (memories[i]->buffer)
			TEEC_ReleaseSharedMemory(memories[i]);
	TEEC_FinalizeContext(&sealed->context);
}

static bool share(struct sealed *sealed, TEEC_SharedMemory *memory,
		  size_t size, uint32_t flags)
{
	TEEC_Result res = TEEC_SUCCESS;

	memory->size = size;
	memory->flags = flags;
	res = TEEC_AllocateSharedMemory(&sealed->context, memory);
	if (res) {
		memory->buffer = NULL;
		return failed("no shared memory", res);
	}

	return true;
}

bool sealed_share(struct sealed *sealed, size_t window, size_t in, size_t out)
{
	return share(sealed, &sealed->window, window, TEEC_MEM_INPUT) &&
	       share(sealed, &sealed->in, in, TEEC_MEM_INPUT) &&
	       share(sealed, &sealed->out, out, TEEC_MEM_OUTPUT);
}

TEEC_Result sealed_identity(TEEC_Session *session, struct blob *point)
{
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_ERROR_GENERIC;

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_OUTPUT, TEEC_NONE,
					 TEEC_NONE, TEEC_NONE);
	op.params[0].tmpref.buffer = point->data;
	op.params[0].tmpref.size = point->size;
	res = TEEC_InvokeCommand(session, TESSERA_SEALED_CMD_IDENTITY, &op,
				 NULL);
	point->size = op.params[0].tmpref.size;

	return res;
}

TEEC_Result sealed_install(TEEC_Session *session, const struct blob *wrapped)
{
	TEEC_Operation op = { 0 };

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT, TEEC_NONE,
					 TEEC_NONE, TEEC_NONE);
	op.params[0].tmpref.buffer = wrapped->data;
	op.params[0].tmpref.size = wrapped->size;

	return TEEC_InvokeCommand(session, TESSERA_SEALED_CMD_INSTALL_KEY, &op,
				  NULL);
}

TEEC_Result sealed_info(TEEC_Session *session, struct tessera_sealed_info *info)
{
	TEEC_Operation op = { 0 };

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_OUTPUT, TEEC_NONE,
					 TEEC_NONE, TEEC_NONE);
	op.params[0].tmpref.buffer = info;
	op.params[0].tmpref.size = sizeof(*info);

	return TEEC_InvokeCommand(session, TESSERA_SEALED_CMD_INFO, &op, NULL);
}

TEEC_Result sealed_open(TEEC_Session *session, const struct tsp *tsp,
			struct tessera_sealed_info *info)
{
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_ERROR_OUT_OF_MEMORY;
	uint8_t *given = NULL;
	size_t size = 0;
	const uint8_t *manifest = tsp_block(tsp, 0, &size);

	given = malloc(20 + size);
	if (!given)
		return res;
	memcpy(given, tsp->file.data + 12, 20);	/* version and identity */
	memcpy(given + 20, manifest, size);
	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_OUTPUT, TEEC_NONE,
					 TEEC_NONE);
	op.params[0].tmpref.buffer = given;
	op.params[0].tmpref.size = 20 + size;
	op.params[1].tmpref.buffer = info;
	op.params[1].tmpref.size = sizeof(*info);
	res = TEEC_InvokeCommand(session, TESSERA_SEALED_CMD_OPEN, &op, NULL);
	free(given);

	return res;
}

TEEC_Result sealed_seal_io(TEEC_Session *session, const struct blob *wrapped,
			   const uint8_t *batch, struct blob *drawn)
{
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_ERROR_OUT_OF_MEMORY;
	uint8_t *given = malloc(wrapped->size + TESSERA_SEALED_BATCH);

	if (!given)
		return res;
	memcpy(given, wrapped->data, wrapped->size);
	memcpy(given + wrapped->size, batch, TESSERA_SEALED_BATCH);
	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_OUTPUT, TEEC_NONE,
					 TEEC_NONE);
	op.params[0].tmpref.buffer = given;
	op.params[0].tmpref.size = wrapped->size + TESSERA_SEALED_BATCH;
	op.params[1].tmpref.buffer = drawn->data;
	op.params[1].tmpref.size = drawn->size;
	res = TEEC_InvokeCommand(session, TESSERA_SEALED_CMD_SEAL_IO, &op,
				 NULL);
	drawn->size = op.params[1].tmpref.size;
	free(given);

	return res;
}

static void refer(TEEC_Parameter *param, TEEC_SharedMemory *memory, size_t size)
{
	param->memref.parent = memory;
	param->memref.offset = 0;
	param->memref.size = size;
}

TEEC_Result sealed_step(struct sealed *sealed, size_t size, size_t in,
			size_t out, uint32_t *taken, uint32_t *state)
{
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_ERROR_GENERIC;

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_PARTIAL_INPUT,
					 TEEC_MEMREF_PARTIAL_INPUT,
					 TEEC_MEMREF_PARTIAL_OUTPUT,
					 TEEC_VALUE_INOUT);
	refer(&op.params[0], &sealed->window, size);
	refer(&op.params[1], &sealed->in, in);
	refer(&op.params[2], &sealed->out, out);
	op.params[3].value.a = *taken;
	res = TEEC_InvokeCommand(&sealed->session, TESSERA_SEALED_CMD_STEP, &op,
				 NULL);
	*taken = op.params[3].value.a;
	*state = op.params[3].value.b;

	return res;
}

size_t sealed_fill(struct sealed *sealed, const struct tsp *tsp,
		   uint32_t *entry, uint32_t end)
{
	uint8_t *to = sealed->window.buffer;
	size_t used = 0;

	while (*entry < end) {
		size_t size = 0;
		const uint8_t *block = tsp_block(tsp, tsp_entry(tsp, *entry),
						 &size);

		if (size > sealed->window.size - used)
			break;
		memcpy(to + used, block, size);
		used += size;
		(*entry)++;
	}

	return used;
}

TEEC_Result sealed_part(struct sealed *sealed, const struct tsp *tsp,
			uint32_t entry, uint32_t end, size_t in, size_t out)
{
	const uint32_t first = entry;
	uint32_t state = TESSERA_SEALED_MORE;
	uint32_t taken = 0;

	while (state == TESSERA_SEALED_MORE) {
		const uint32_t before = entry;
		size_t size = sealed_fill(sealed, tsp, &entry, end);
		TEEC_Result res = TEEC_ERROR_COMMUNICATION;

		if (entry == before)
			return res;
		res = sealed_step(sealed, size, in, out, &taken, &state);
		if (res)
			return res;
		if (taken != entry - first)
			return TEEC_ERROR_COMMUNICATION;
	}

	return entry == end ? TEEC_SUCCESS : TEEC_ERROR_COMMUNICATION;
}

const char *sealed_text(TEEC_Result res)
{
	switch (res) {
	case TEEC_SUCCESS:
		return "success";
	case TEEC_ERROR_ITEM_NOT_FOUND:
		return "not found: no such TA, or no key is installed";
	case TEEC_ERROR_OUT_OF_MEMORY:
		return "out of memory";
	case TEEC_ERROR_BAD_PARAMETERS:
		return "bad parameters";
	case TEEC_ERROR_BAD_FORMAT:
		return "bad format";
	case TEEC_ERROR_BAD_STATE:
		return "bad state";
	case TEEC_ERROR_BUSY:
		return "another session is at it";
	case TEEC_ERROR_SHORT_BUFFER:
		return "short buffer";
	case TEEC_ERROR_NOT_SUPPORTED:
		return "not supported";
	case TEEC_ERROR_COMMUNICATION:
		return "the TA and the package's feed do not agree";
	case TEEC_ERROR_TARGET_DEAD:
		return "the TA panicked";
	case TEEC_ERROR_SECURITY:
		return "an older version than one opened before";
	case MAC_INVALID:
		return "not authentic here: another key or device, or changed";
	default:
		return "see the TEE's console";
	}
}
