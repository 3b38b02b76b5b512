// SPDX-License-Identifier: BSD-2-Clause
/*
 * The TA for sealed packages: entry points and commands, see
 * tessera_sealed_ta.h. Here parameters are checked; the work is done elsewhere.
 */
#include "keys.h"
#include "package.h"

struct session {
	struct package package;
	bool open;		/* it holds a package */
	bool over;		/* it had one, which failed */
};

#define TYPES(a, b, c, d) \
	TEE_PARAM_TYPES(TEE_PARAM_TYPE_##a, TEE_PARAM_TYPE_##b, \
			TEE_PARAM_TYPE_##c, TEE_PARAM_TYPE_##d)

/* Copies a result out that is finished; a short buffer is told the need */
static TEE_Result give(TEE_Param *param, const void *result, size_t size)
{
	if (!param->memref.buffer || param->memref.size < size) {
		param->memref.size = size;
		return TEE_ERROR_SHORT_BUFFER;
	}
	TEE_MemMove(param->memref.buffer, result, size);
	param->memref.size = size;

	return TEE_SUCCESS;
}

static TEE_Result identity(uint32_t types, TEE_Param params[4])
{
	uint8_t point[TESSERA_SEALED_POINT] = { 0 };
	TEE_Result res = TEE_ERROR_GENERIC;

	if (types != TYPES(MEMREF_OUTPUT, NONE, NONE, NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	res = keys_identity(point);
	if (res)
		return res;

	return give(&params[0], point, sizeof(point));
}

static TEE_Result install_key(uint32_t types, TEE_Param params[4])
{
	uint8_t blob[TESSERA_SEALED_BLOB] = { 0 };

	if (types != TYPES(MEMREF_INPUT, NONE, NONE, NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	if (!params[0].memref.buffer || params[0].memref.size != sizeof(blob))
		return TEE_ERROR_BAD_PARAMETERS;
	TEE_MemMove(blob, params[0].memref.buffer, sizeof(blob));

	return keys_install(blob);
}

static TEE_Result open_package(struct session *session, uint32_t types,
			       TEE_Param params[4])
{
	struct tessera_sealed_info info = { 0 };
	TEE_Result res = TEE_ERROR_GENERIC;

	if (types != TYPES(MEMREF_INPUT, MEMREF_OUTPUT, NONE, NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	if (session->open || session->over)
		return TEE_ERROR_BAD_STATE;
	if (!params[0].memref.buffer)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!params[1].memref.buffer || params[1].memref.size < sizeof(info))
		return give(&params[1], NULL, sizeof(info));

	res = package_open(&session->package, params[0].memref.buffer,
			   params[0].memref.size);
	if (res)
		return res;
	session->open = true;
	package_info(&session->package, &info);

	return give(&params[1], &info, sizeof(info));
}

static TEE_Result seal_io(struct session *session, uint32_t types,
			  TEE_Param params[4])
{
	uint8_t given[TESSERA_SEALED_BLOB + TESSERA_SEALED_BATCH] = { 0 };
	uint8_t drawn[TESSERA_SEALED_SESSION] = { 0 };
	TEE_Result res = TEE_ERROR_GENERIC;

	if (types != TYPES(MEMREF_INPUT, MEMREF_OUTPUT, NONE, NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	if (!session->open)
		return TEE_ERROR_BAD_STATE;
	if (!params[0].memref.buffer || params[0].memref.size != sizeof(given))
		return TEE_ERROR_BAD_PARAMETERS;
	if (!params[1].memref.buffer || params[1].memref.size < sizeof(drawn))
		return give(&params[1], NULL, sizeof(drawn));
	TEE_MemMove(given, params[0].memref.buffer, sizeof(given));
	res = package_seal_io(&session->package, given, drawn);
	if (res)
		return res;

	return give(&params[1], drawn, sizeof(drawn));
}

static TEE_Result step(struct session *session, uint32_t types,
		       TEE_Param params[4])
{
	struct package *package = &session->package;
	struct package_memory in = { 0 };
	struct package_memory out = { 0 };
	TEE_Result res = TEE_ERROR_GENERIC;
	bool done = false;

	if (types != TYPES(MEMREF_INPUT, MEMREF_INPUT, MEMREF_OUTPUT,
			   VALUE_INOUT))
		return TEE_ERROR_BAD_PARAMETERS;
	if (!session->open)
		return TEE_ERROR_BAD_STATE;
	if (params[3].value.a != (package->begun ? package->taken : 0) ||
	    (!params[0].memref.buffer && params[0].memref.size))
		return TEE_ERROR_BAD_PARAMETERS;
	in.data = params[1].memref.buffer;
	in.size = params[1].memref.size;
	out.data = params[2].memref.buffer;
	out.size = params[2].memref.size;
	res = package_check_io(package, &in, &out);
	params[2].memref.size = out.size;
	if (res)
		return res;

	res = package_step(package, params[0].memref.buffer,
			   params[0].memref.size, &in, &out, &done);
	if (res) {
		package_close(package);
		session->open = false;
		session->over = true;
		return res;
	}
	params[3].value.a = package->taken;
	params[3].value.b = done ? TESSERA_SEALED_DONE : TESSERA_SEALED_MORE;

	return TEE_SUCCESS;
}

static TEE_Result info_of(const struct session *session, uint32_t types,
			  TEE_Param params[4])
{
	struct tessera_sealed_info info = { 0 };

	if (types != TYPES(MEMREF_OUTPUT, NONE, NONE, NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	if (!session->open)
		return TEE_ERROR_BAD_STATE;
	package_info(&session->package, &info);

	return give(&params[0], &info, sizeof(info));
}

TEE_Result TA_CreateEntryPoint(void)
{
	return TEE_SUCCESS;
}

void TA_DestroyEntryPoint(void)
{
}

TEE_Result TA_OpenSessionEntryPoint(uint32_t types, TEE_Param params[4],
				    void **context)
{
	struct session *session = NULL;

	(void)params;
	if (types != TYPES(NONE, NONE, NONE, NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	session = TEE_Malloc(sizeof(*session), TEE_MALLOC_FILL_ZERO);
	if (!session)
		return TEE_ERROR_OUT_OF_MEMORY;
	*context = session;

	return TEE_SUCCESS;
}

void TA_CloseSessionEntryPoint(void *context)
{
	struct session *session = context;

	package_close(&session->package);
	tx_wipe(session, sizeof(*session));
	TEE_Free(session);
}

TEE_Result TA_InvokeCommandEntryPoint(void *context, uint32_t command,
				      uint32_t types, TEE_Param params[4])
{
	switch (command) {
	case TESSERA_SEALED_CMD_IDENTITY:
		return identity(types, params);
	case TESSERA_SEALED_CMD_INSTALL_KEY:
		return install_key(types, params);
	case TESSERA_SEALED_CMD_OPEN:
		return open_package(context, types, params);
	case TESSERA_SEALED_CMD_STEP:
		return step(context, types, params);
	case TESSERA_SEALED_CMD_INFO:
		return info_of(context, types, params);
	case TESSERA_SEALED_CMD_SEAL_IO:
		return seal_io(context, types, params);
	default:
		return TEE_ERROR_NOT_SUPPORTED;
	}
}
