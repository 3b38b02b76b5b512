// SPDX-License-Identifier: BSD-2-Clause
/*
 * The inference TA: entry points and commands, see tessera_dnn_ta.h.
 *
 * The normal world can write to shared memory at any time. So everything is
 * copied out of it once, and only the copy is checked and used; results are
 * finished in private memory before they are copied out.
 *
 * Nothing is wiped here when a session closes, on purpose: whether the weights
 * outlive the TA in secure RAM is the business of the trusted OS and what
 * Tessera's residue scenario observes. A TA that panics cannot wipe either.
 */
#include <tee_internal_api.h>

#include "tessera_dnn_ta.h"
#include "ts_model.h"

/* A loaded model: description, file and arena, in memory of the TA */
struct network {
	struct ts_model model;
	void *file;
	size_t file_size;
	void *arena;
	size_t arena_size;
};

struct session {
	struct network *network;	/* NULL before LOAD */
	size_t held;			/* bytes of heap, now and at most */
	size_t peak;
};

static void *take(struct session *session, size_t size)
{
	void *p = TEE_Malloc(size, TEE_MALLOC_FILL_ZERO);

	if (p) {
		session->held += size;
		if (session->peak < session->held)
			session->peak = session->held;
	}

	return p;
}

static void drop(struct session *session, void *p, size_t size)
{
	if (p)
		session->held -= size;
	TEE_Free(p);
}

static void drop_network(struct session *session, struct network *network)
{
	if (!network)
		return;
	drop(session, network->arena, network->arena_size);
	drop(session, network->file, network->file_size);
	drop(session, network, sizeof(*network));
}

/* Copies the file, checks the copy and takes an arena for it */
static TEE_Result fill_network(struct session *session, struct network *network,
			       const void *shared, size_t size,
			       enum ts_status *status)
{
	network->file = take(session, size);
	if (!network->file)
		return TEE_ERROR_OUT_OF_MEMORY;
	network->file_size = size;
	TEE_MemMove(network->file, shared, size);

	*status = ts_model_parse(network->file, size, &network->model);
	if (*status)
		return TEE_ERROR_BAD_FORMAT;

	network->arena_size = network->model.arena_values * sizeof(float);
	network->arena = take(session, network->arena_size);
	if (!network->arena)
		return TEE_ERROR_OUT_OF_MEMORY;

	return TEE_SUCCESS;
}

static TEE_Result load(struct session *session, uint32_t types,
		       TEE_Param params[4])
{
	const uint32_t expected = TEE_PARAM_TYPES(TEE_PARAM_TYPE_MEMREF_INPUT,
						  TEE_PARAM_TYPE_VALUE_OUTPUT,
						  TEE_PARAM_TYPE_NONE,
						  TEE_PARAM_TYPE_NONE);
	enum ts_status status = TS_OK;
	TEE_Result res = TEE_ERROR_GENERIC;
	struct network *network = NULL;
	size_t size = 0;

	if (types != expected)
		return TEE_ERROR_BAD_PARAMETERS;
	size = params[0].memref.size;
	if (!params[0].memref.buffer || !size)
		return TEE_ERROR_BAD_PARAMETERS;
	if (size > TESSERA_DNN_MAX_FILE)
		return TEE_ERROR_EXCESS_DATA;

	network = take(session, sizeof(*network));
	if (!network)
		return TEE_ERROR_OUT_OF_MEMORY;
	res = fill_network(session, network, params[0].memref.buffer, size,
			   &status);
	params[1].value.a = status;
	params[1].value.b = 0;
	if (res) {
		drop_network(session, network);
		return res;
	}
	drop_network(session, session->network);
	session->network = network;

	return TEE_SUCCESS;
}

static TEE_Result infer_one(struct network *network, const uint8_t *shared_in,
			    uint8_t *shared_out, bool probabilities)
{
	const struct ts_model *model = &network->model;
	enum ts_status status = TS_OK;
	float *output = NULL;

	TEE_MemMove(network->arena, shared_in,
		    ts_values(&model->input) * sizeof(float));
	status = ts_run(model, network->arena, network->arena_size, &output);
	if (status)
		return TEE_ERROR_GENERIC;
	if (probabilities)
		ts_softmax(output, model->outputs);
	TEE_MemMove(shared_out, output, model->outputs * sizeof(float));

	return TEE_SUCCESS;
}

static TEE_Result infer(struct session *session, uint32_t types,
			TEE_Param params[4])
{
	const uint32_t expected = TEE_PARAM_TYPES(TEE_PARAM_TYPE_MEMREF_INPUT,
						  TEE_PARAM_TYPE_MEMREF_OUTPUT,
						  TEE_PARAM_TYPE_VALUE_INPUT,
						  TEE_PARAM_TYPE_NONE);
	struct network *network = session->network;
	TEE_Result res = TEE_ERROR_GENERIC;
	uint64_t in_row = 0;
	uint64_t out_row = 0;
	uint64_t count = 0;
	uint64_t i = 0;

	if (types != expected)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!network)
		return TEE_ERROR_BAD_STATE;

	/* Rows are at most 64 MiB and counts 32 bits: no product wraps */
	in_row = ts_values(&network->model.input) * sizeof(float);
	out_row = network->model.outputs * sizeof(float);
	count = params[2].value.a;
	if (!count || !params[0].memref.buffer ||
	    params[0].memref.size != count * in_row ||
	    params[2].value.b > TESSERA_DNN_PROBABILITIES)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!params[1].memref.buffer ||
	    params[1].memref.size < count * out_row) {
		params[1].memref.size = count * out_row;
		return TEE_ERROR_SHORT_BUFFER;
	}

	for (i = 0; i < count; i++) {
		const uint8_t *in = params[0].memref.buffer;
		uint8_t *out = params[1].memref.buffer;

		res = infer_one(network, in + i * in_row, out + i * out_row,
				params[2].value.b == TESSERA_DNN_PROBABILITIES);
		if (res)
			return res;
	}
	params[1].memref.size = count * out_row;

	return TEE_SUCCESS;
}

static TEE_Result info(struct session *session, uint32_t types,
		       TEE_Param params[4])
{
	const uint32_t expected = TEE_PARAM_TYPES(TEE_PARAM_TYPE_MEMREF_OUTPUT,
						  TEE_PARAM_TYPE_NONE,
						  TEE_PARAM_TYPE_NONE,
						  TEE_PARAM_TYPE_NONE);
	const struct network *network = session->network;
	struct tessera_dnn_info about = { 0 };

	if (types != expected)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!network)
		return TEE_ERROR_BAD_STATE;
	if (!params[0].memref.buffer ||
	    params[0].memref.size < sizeof(about)) {
		params[0].memref.size = sizeof(about);
		return TEE_ERROR_SHORT_BUFFER;
	}

	about.channels = network->model.input.channels;
	about.height = network->model.input.height;
	about.width = network->model.input.width;
	about.outputs = network->model.outputs;
	about.layers = network->model.layer_count;
	about.file_bytes = network->file_size;
	about.weight_bytes = network->model.weight_bytes;
	about.arena_bytes = network->arena_size;
	about.heap_bytes = session->held;
	about.heap_peak = session->peak;
	TEE_MemMove(params[0].memref.buffer, &about, sizeof(about));
	params[0].memref.size = sizeof(about);

	return TEE_SUCCESS;
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
	if (types != TEE_PARAM_TYPES(TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE,
				     TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE))
		return TEE_ERROR_BAD_PARAMETERS;

	session = TEE_Malloc(sizeof(*session), TEE_MALLOC_FILL_ZERO);
	if (!session)
		return TEE_ERROR_OUT_OF_MEMORY;
	session->held = sizeof(*session);
	session->peak = session->held;
	*context = session;

	return TEE_SUCCESS;
}

void TA_CloseSessionEntryPoint(void *context)
{
	struct session *session = context;

	drop_network(session, session->network);
	TEE_Free(session);
}

TEE_Result TA_InvokeCommandEntryPoint(void *context, uint32_t command,
				      uint32_t types, TEE_Param params[4])
{
	switch (command) {
	case TESSERA_DNN_CMD_LOAD:
		return load(context, types, params);
	case TESSERA_DNN_CMD_INFER:
		return infer(context, types, params);
	case TESSERA_DNN_CMD_INFO:
		return info(context, types, params);
	default:
		return TEE_ERROR_NOT_SUPPORTED;
	}
}
