// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bad input of every kind against the inference TA.
 *
 * Every case prints one line: what was sent, what should come back, what did.
 * The same battery runs in the guest and, against a stand-in for the TEE, on
 * the host.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnn.h"
#include "ts_model.h"

#define HEADER_SIZE	64
#define CRC_OFFSET	12
#define SCRATCH_SIZE	4096
#define ROW(number, word)	(HEADER_SIZE + 48 * (number) + 4 * (word))

struct battery {
	TEEC_Context *context;
	TEEC_Session *session;
	const struct blob *model;
	struct tessera_dnn_info info;
	struct blob image;	/* one image with something on it */
	struct blob logits;	/* what the TA said of it at first */
	unsigned int cases;
	unsigned int surprises;
};

/* A result code, and the file's status after it when there is one */
static const char *show(char *text, size_t size, uint64_t value)
{
	if (value >> 32)
		snprintf(text, size, "0x%08" PRIx32 "/%u", (uint32_t)value,
			 (unsigned int)(value >> 32));
	else
		snprintf(text, size, "0x%08" PRIx32, (uint32_t)value);

	return text;
}

static void expect(struct battery *b, const char *name, uint64_t expected,
		   uint64_t got)
{
	char left[32] = { 0 };
	char right[32] = { 0 };

	b->cases++;
	if (expected != got)
		b->surprises++;
	printf("%s  %-47s expected %-12s  got %s\n",
	       expected == got ? "ok  " : "FAIL", name,
	       show(left, sizeof(left), expected),
	       show(right, sizeof(right), got));
}

static TEEC_Result invoke(struct battery *b, uint32_t command,
			  TEEC_Operation *op)
{
	return TEEC_InvokeCommand(b->session, command, op, NULL);
}

/* --- Parameters of the wrong type ------------------------------------- */

struct type_case {
	const char *name;
	uint32_t command;
	uint32_t types[4];
	TEEC_Result expected;
};

#define IN	TEEC_MEMREF_TEMP_INPUT
#define OUT	TEEC_MEMREF_TEMP_OUTPUT
#define INOUT	TEEC_MEMREF_TEMP_INOUT
#define LOAD	TESSERA_DNN_CMD_LOAD
#define INFER	TESSERA_DNN_CMD_INFER
#define INFO	TESSERA_DNN_CMD_INFO
#define WRONG	TEEC_ERROR_BAD_PARAMETERS

static const struct type_case state_cases[] = {
	{ "infer before load", INFER, { IN, OUT, TEEC_VALUE_INPUT },
	  TEEC_ERROR_BAD_STATE },
	{ "info before load", INFO, { OUT }, TEEC_ERROR_BAD_STATE },
};

static const struct type_case type_cases[] = {
	{ "unknown command", 3, { 0 }, TEEC_ERROR_NOT_SUPPORTED },
	{ "unknown command 0xffffffff", UINT32_MAX, { 0 },
	  TEEC_ERROR_NOT_SUPPORTED },
	{ "load: no parameters", LOAD, { 0 }, WRONG },
	{ "load: value for the file", LOAD,
	  { TEEC_VALUE_INPUT, TEEC_VALUE_OUTPUT }, WRONG },
	{ "load: output for the file", LOAD, { OUT, TEEC_VALUE_OUTPUT }, WRONG },
	{ "load: in-out for the file", LOAD, { INOUT, TEEC_VALUE_OUTPUT },
	  WRONG },
	{ "load: no status", LOAD, { IN }, WRONG },
	{ "load: status as memory", LOAD, { IN, OUT }, WRONG },
	{ "load: one parameter more", LOAD,
	  { IN, TEEC_VALUE_OUTPUT, 0, TEEC_VALUE_INPUT }, WRONG },
	{ "infer: no parameters", INFER, { 0 }, WRONG },
	{ "infer: images as output", INFER, { OUT, OUT, TEEC_VALUE_INPUT },
	  WRONG },
	{ "infer: results as input", INFER, { IN, IN, TEEC_VALUE_INPUT },
	  WRONG },
	{ "infer: results as value", INFER,
	  { IN, TEEC_VALUE_OUTPUT, TEEC_VALUE_INPUT }, WRONG },
	{ "infer: no count", INFER, { IN, OUT }, WRONG },
	{ "infer: count as memory", INFER, { IN, OUT, IN }, WRONG },
	{ "infer: one parameter more", INFER,
	  { IN, OUT, TEEC_VALUE_INPUT, IN }, WRONG },
	{ "info: no parameters", INFO, { 0 }, WRONG },
	{ "info: input memory", INFO, { IN }, WRONG },
	{ "info: value", INFO, { TEEC_VALUE_OUTPUT }, WRONG },
	{ "info: one parameter more", INFO, { OUT, OUT }, WRONG },
};

static void run_type_cases(struct battery *b, const struct type_case *cases,
			   size_t count)
{
	static uint8_t scratch[4][SCRATCH_SIZE];
	size_t i = 0;
	size_t j = 0;

	for (i = 0; i < count; i++) {
		const struct type_case *c = cases + i;
		TEEC_Operation op = { 0 };

		op.paramTypes = TEEC_PARAM_TYPES(c->types[0], c->types[1],
						 c->types[2], c->types[3]);
		for (j = 0; j < 4; j++) {
			if (c->types[j] == IN || c->types[j] == OUT ||
			    c->types[j] == INOUT) {
				op.params[j].tmpref.buffer = scratch[j];
				op.params[j].tmpref.size = SCRATCH_SIZE;
			}
		}
		expect(b, c->name, c->expected, invoke(b, c->command, &op));
	}
}

/* --- Model files that are not right ----------------------------------- */

struct damage {
	const char *name;
	size_t offset;
	uint32_t value;
	enum ts_status status;
};

/* All but the first three with their checksum set right again */
static const struct damage damages[] = {
	{ "magic", 0, 0x4d535455, TS_BAD_MAGIC },
	{ "checksum = 0", CRC_OFFSET, 0, TS_BAD_DIGEST },
	{ "a flipped weight", 0, 0, TS_BAD_DIGEST },
	{ "version = 2", 4, 0x00400002, TS_BAD_VERSION },
	{ "header size = 0", 4, 1, TS_BAD_VERSION },
	{ "file size = 0xffffffff", 8, UINT32_MAX, TS_TRUNCATED },
	{ "file size = 64", 8, 64, TS_BAD_SIZE },
	{ "layers = 0", 16, 0, TS_BAD_LAYOUT },
	{ "layers = 33", 16, 33, TS_BAD_LAYOUT },
	{ "layers = 0xffffffff", 16, UINT32_MAX, TS_BAD_LAYOUT },
	{ "layers = 0x05555556 (48 times it wraps)", 16, 0x05555556,
	  TS_BAD_LAYOUT },
	{ "layer table at 0xffffffc0", 20, 0xffffffc0, TS_BAD_LAYOUT },
	{ "weights at 0xfffffff0", 24, 0xfffffff0, TS_BAD_LAYOUT },
	{ "size of weights = 0xfffffffc", 28, 0xfffffffc, TS_BAD_LAYOUT },
	{ "size of weights = 0", 28, 0, TS_BAD_LAYOUT },
	{ "input channels = 0", 32, 0, TS_BAD_SHAPE },
	{ "input channels = 0xffffffff", 32, UINT32_MAX, TS_BAD_SHAPE },
	{ "input height = 0x80000000", 36, 0x80000000, TS_BAD_SHAPE },
	{ "input width = 4097", 40, 4097, TS_BAD_SHAPE },
	{ "outputs = 0xffffffff", 44, UINT32_MAX, TS_BAD_SHAPE },
	{ "header tail not zero", 60, 1, TS_BAD_LAYOUT },
	{ "layer kind = 0", ROW(0, 0), 0, TS_BAD_LAYER },
	{ "layer kind = 0xffffffff", ROW(0, 0), UINT32_MAX, TS_BAD_LAYER },
	{ "layer channels = 0", ROW(0, 1), 0, TS_BAD_LAYER },
	{ "layer channels = 0xffffffff", ROW(0, 1), UINT32_MAX, TS_BAD_LAYER },
	{ "kernel = 0", ROW(0, 2), 0, TS_BAD_LAYER },
	{ "kernel = 0xffffffff", ROW(0, 2), UINT32_MAX, TS_BAD_LAYER },
	{ "stride = 0", ROW(0, 3), 0, TS_BAD_LAYER },
	{ "stride = 0xffffffff", ROW(0, 3), UINT32_MAX, TS_BAD_LAYER },
	{ "padding = 0xffffffff", ROW(0, 4), UINT32_MAX, TS_BAD_LAYER },
	{ "weights at 0xfffffffc of their section", ROW(0, 5), 0xfffffffc,
	  TS_BAD_WEIGHTS },
	{ "0x40000000 weights (4 times it wraps)", ROW(0, 6), 0x40000000,
	  TS_BAD_WEIGHTS },
	{ "bias at 0xfffffffc", ROW(0, 7), 0xfffffffc, TS_BAD_WEIGHTS },
	{ "0xffffffff biases", ROW(0, 8), UINT32_MAX, TS_BAD_WEIGHTS },
	{ "layer tail not zero", ROW(0, 11), 1, TS_BAD_LAYER },
};

static void put32(uint8_t *p, uint32_t value)
{
	p[0] = value & 255;
	p[1] = value >> 8 & 255;
	p[2] = value >> 16 & 255;
	p[3] = value >> 24;
}

/* Sets the checksum right, bit by bit: another way than the TA's own */
static void seal(struct blob *file)
{
	uint32_t crc = UINT32_MAX;
	size_t i = 0;
	int bit = 0;

	put32(file->data + CRC_OFFSET, 0);
	for (i = 0; i < file->size; i++) {
		crc ^= file->data[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	put32(file->data + CRC_OFFSET, ~crc);
}

/* The result and the file's status in one number */
static uint64_t load_result(struct battery *b, const struct blob *file)
{
	uint32_t status = 0;
	TEEC_Result res = dnn_load(b->session, file, &status);

	return (uint64_t)status << 32 | res;
}

static uint64_t bad_format(enum ts_status status)
{
	return (uint64_t)status << 32 | TEEC_ERROR_BAD_FORMAT;
}

static bool copy_model(struct battery *b, struct blob *copy)
{
	copy->size = b->model->size;
	copy->data = malloc(copy->size);
	if (!copy->data) {
		expect(b, "memory for a copy of the model", 1, 0);
		return false;
	}
	memcpy(copy->data, b->model->data, copy->size);

	return true;
}

static void run_damages(struct battery *b)
{
	char name[80] = { 0 };
	size_t i = 0;

	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const struct damage *d = damages + i;
		struct blob file = { 0 };

		if (!copy_model(b, &file))
			return;
		if (i == 2)
			file.data[file.size - 1] ^= 0x10;
		else
			put32(file.data + d->offset, d->value);
		if (i > 2)
			seal(&file);
		snprintf(name, sizeof(name), "model: %s", d->name);
		expect(b, name, bad_format(d->status), load_result(b, &file));
		free(file.data);
	}
}

static void run_truncations(struct battery *b)
{
	const size_t sizes[] = { 1, 4, HEADER_SIZE - 1, HEADER_SIZE, ROW(1, 0),
				 b->model->size / 2, b->model->size - 1 };
	char name[80] = { 0 };
	size_t i = 0;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct blob file = { b->model->data, sizes[i] };

		snprintf(name, sizeof(name), "model: cut to %zu bytes",
			 sizes[i]);
		expect(b, name, bad_format(TS_TRUNCATED),
		       load_result(b, &file));
	}
}

/* A well-formed file that asks for far more memory than the TA has */
static void run_huge_arena(struct battery *b)
{
	uint8_t data[HEADER_SIZE + 48] = "TSM";
	struct blob file = { data, sizeof(data) };

	put32(data + 4, 0x00400001);
	put32(data + 8, sizeof(data));
	put32(data + 16, 1);
	put32(data + 20, HEADER_SIZE);
	put32(data + 24, sizeof(data));
	put32(data + 32, 1);
	put32(data + 36, TS_MAX_DIM);
	put32(data + 40, TS_MAX_DIM);
	put32(data + 44, TS_MAX_DIM * TS_MAX_DIM);
	put32(data + ROW(0, 0), TS_RELU);
	seal(&file);
	expect(b, "model: an arena of 64 MiB", TEEC_ERROR_OUT_OF_MEMORY,
	       load_result(b, &file));
}

static void run_file_sizes(struct battery *b)
{
	struct blob file = { calloc(1, TESSERA_DNN_MAX_FILE + 1), 0 };

	if (!file.data) {
		expect(b, "memory for a large file", 1, 0);
		return;
	}
	expect(b, "model: no bytes", TEEC_ERROR_BAD_PARAMETERS,
	       load_result(b, &file));
	file.size = TESSERA_DNN_MAX_FILE;
	expect(b, "model: zeros up to the limit", bad_format(TS_BAD_MAGIC),
	       load_result(b, &file));
	file.size++;
	expect(b, "model: one byte over the limit", TEEC_ERROR_EXCESS_DATA,
	       load_result(b, &file));
	if (b->model->size <= TESSERA_DNN_MAX_FILE) {
		memcpy(file.data, b->model->data, b->model->size);
		file.size = b->model->size + 1;
		expect(b, "model: one byte too long", bad_format(TS_BAD_SIZE),
		       load_result(b, &file));
	}
	free(file.data);
}

/* --- Counts and buffers that do not fit ------------------------------- */

static TEEC_Result infer(struct battery *b, size_t in_size, size_t *out_size,
			 uint32_t count, uint32_t what)
{
	struct blob in = { calloc(1, in_size + 1), in_size };
	struct blob out = { calloc(1, *out_size + 1), *out_size };
	TEEC_Result res = TEEC_ERROR_OUT_OF_MEMORY;

	if (in.data && out.data)
		res = dnn_infer(b->session, &in, &out, count, what);
	*out_size = out.size;
	free(in.data);
	free(out.data);

	return res;
}

struct count_case {
	const char *name;
	size_t in_size;
	uint32_t count;
	uint32_t what;
};

static void run_counts(struct battery *b)
{
	size_t row = b->image.size;
	/* row times this is row again when only 32 bits are kept */
	uint32_t wraps = (uint32_t)((1ULL << 32) / (row & (~row + 1)) + 1);
	const struct count_case cases[] = {
		{ "infer: no images", row, 0, 0 },
		{ "infer: no images of no bytes", 0, 0, 0 },
		{ "infer: two counted, one given", row, 2, 0 },
		{ "infer: one counted, two given", 2 * row, 1, 0 },
		{ "infer: one byte short", row - 1, 1, 0 },
		{ "infer: one byte more", row + 1, 1, 0 },
		{ "infer: no bytes", 0, 1, 0 },
		{ "infer: count = 0xffffffff", row, UINT32_MAX, 0 },
		{ "infer: count = 0x80000000", row, 0x80000000, 0 },
		{ "infer: a count whose size wraps to one image", row, wraps,
		  0 },
		{ "infer: a count whose size wraps to nothing", 0, wraps - 1,
		  0 },
		{ "infer: kind of result = 2", row, 1, 2 },
		{ "infer: kind of result = 0xffffffff", row, 1, UINT32_MAX },
	};
	size_t i = 0;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct count_case *c = cases + i;
		size_t out = SCRATCH_SIZE;

		expect(b, c->name, WRONG,
		       infer(b, c->in_size, &out, c->count, c->what));
	}
}

static void run_short_buffers(struct battery *b)
{
	const size_t need = b->logits.size;
	const size_t sizes[] = { 0, 1, need - 1 };
	TEEC_Operation op = { 0 };
	uint8_t little[4] = { 0 };
	char name[80] = { 0 };
	size_t i = 0;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];

		snprintf(name, sizeof(name), "infer: %zu bytes for results",
			 size);
		expect(b, name, TEEC_ERROR_SHORT_BUFFER,
		       infer(b, b->image.size, &size, 1, 0));
		expect(b, "  and the size that it takes", need, size);
	}

	op.paramTypes = TEEC_PARAM_TYPES(OUT, 0, 0, 0);
	op.params[0].tmpref.buffer = little;
	op.params[0].tmpref.size = sizeof(little);
	expect(b, "info: 4 bytes", TEEC_ERROR_SHORT_BUFFER,
	       invoke(b, INFO, &op));
	expect(b, "  and the size that it takes",
	       sizeof(struct tessera_dnn_info), op.params[0].tmpref.size);
}

/* --- Sessions and shared memory --------------------------------------- */

static void run_sessions(struct battery *b)
{
	const TEEC_UUID uuid = TESSERA_DNN_UUID;
	TEEC_Session *first = b->session;
	TEEC_Session second = { 0 };
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_SUCCESS;

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_VALUE_INPUT, 0, 0, 0);
	res = TEEC_OpenSession(b->context, &second, &uuid, TEEC_LOGIN_PUBLIC,
			       NULL, &op, NULL);
	expect(b, "open with a parameter", WRONG, res);

	res = TEEC_OpenSession(b->context, &second, &uuid, TEEC_LOGIN_PUBLIC,
			       NULL, NULL, NULL);
	expect(b, "a second session", TEEC_SUCCESS, res);
	if (res)
		return;
	b->session = &second;
	run_type_cases(b, state_cases, 2);
	b->session = first;
	TEEC_CloseSession(&second);
}

/* The image at an odd address of memory that both worlds see, results in it */
static void run_shared(struct battery *b, const char *name, size_t in_at,
		       size_t out_at)
{
	TEEC_SharedMemory memory = { 0 };
	TEEC_Operation op = { 0 };
	TEEC_Result res = TEEC_SUCCESS;

	memory.size = b->image.size + b->logits.size + SCRATCH_SIZE;
	memory.flags = TEEC_MEM_INPUT | TEEC_MEM_OUTPUT;
	res = TEEC_AllocateSharedMemory(b->context, &memory);
	if (res) {
		expect(b, name, TEEC_SUCCESS, res);
		return;
	}
	memcpy((uint8_t *)memory.buffer + in_at, b->image.data, b->image.size);
	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_PARTIAL_INPUT,
					 TEEC_MEMREF_PARTIAL_OUTPUT,
					 TEEC_VALUE_INPUT, TEEC_NONE);
	op.params[0].memref.parent = &memory;
	op.params[0].memref.offset = in_at;
	op.params[0].memref.size = b->image.size;
	op.params[1].memref.parent = &memory;
	op.params[1].memref.offset = out_at;
	op.params[1].memref.size = b->logits.size;
	op.params[2].value.a = 1;
	expect(b, name, TEEC_SUCCESS, invoke(b, INFER, &op));
	expect(b, "  and the logits are those of before", 0,
	       !!memcmp((uint8_t *)memory.buffer + out_at, b->logits.data,
			b->logits.size));
	TEEC_ReleaseSharedMemory(&memory);
}

static void run_again(struct battery *b, const char *name)
{
	struct blob again = { calloc(1, b->logits.size), b->logits.size };
	TEEC_Result res = TEEC_ERROR_OUT_OF_MEMORY;

	if (again.data)
		res = dnn_infer(b->session, &b->image, &again, 1, 0);
	expect(b, name, TEEC_SUCCESS, res);
	expect(b, "  and the logits are those of before", 0,
	       res || memcmp(again.data, b->logits.data, b->logits.size));
	free(again.data);
}

/* --- The battery ------------------------------------------------------ */

/* A pattern of values from 0 to 1, the same every time */
static bool make_image(struct battery *b)
{
	uint32_t values = b->info.channels * b->info.height * b->info.width;
	float *image = malloc(values * sizeof(float));
	uint32_t i = 0;

	b->logits.size = b->info.outputs * sizeof(float);
	b->logits.data = malloc(b->logits.size);
	b->image.size = values * sizeof(float);
	b->image.data = (uint8_t *)image;
	if (!image || !b->logits.data)
		return false;
	for (i = 0; i < values; i++)
		image[i] = (float)(i * 7 % 17) / 16.0f;

	return true;
}

static void run_loaded(struct battery *b)
{
	run_again(b, "infer again");
	run_type_cases(b, type_cases,
		       sizeof(type_cases) / sizeof(type_cases[0]));
	run_damages(b);
	run_truncations(b);
	run_huge_arena(b);
	run_file_sizes(b);
	run_counts(b);
	run_short_buffers(b);
	run_sessions(b);
	run_shared(b, "infer: odd addresses", 1, b->image.size + 3);
	run_shared(b, "infer: results over the image", 8, 8);
	run_again(b, "infer after all this");
	expect(b, "load again", TEEC_SUCCESS, load_result(b, b->model));
	run_again(b, "infer after the second load");
}

unsigned int abuse(struct dnn *dnn, const struct blob *model)
{
	struct battery b = { 0 };

	b.context = &dnn->context;
	b.session = &dnn->session;
	b.model = model;
	if (model->size < ROW(1, 0)) {
		fprintf(stderr, "tessera_dnn: not a model file\n");
		return 1;
	}

	run_type_cases(&b, state_cases, 2);
	run_truncations(&b);
	run_type_cases(&b, state_cases, 2);
	expect(&b, "load", TEEC_SUCCESS, load_result(&b, model));
	expect(&b, "info", TEEC_SUCCESS, dnn_info(b.session, &b.info));
	if (!b.surprises && make_image(&b)) {
		expect(&b, "infer", TEEC_SUCCESS,
		       dnn_infer(b.session, &b.image, &b.logits, 1, 0));
		run_loaded(&b);
	}
	free(b.image.data);
	free(b.logits.data);
	printf("%u cases, %u surprises\n", b.cases, b.surprises);

	return b.surprises;
}
