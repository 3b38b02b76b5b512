// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bad input of every kind against the TA for sealed packages.
 *
 * Each case has a result that it must have. A case that the TA should survive
 * is followed by a whole run, which must give what the first one gave. The
 * package must have two blocks in its once part and be the right one for the
 * key that is installed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealed.h"

#define WINDOW	(256u * 1024)
#define MAC	MAC_INVALID

struct trial {
	const struct tsp *tsp;
	const struct blob *input;
	struct blob expected;
	unsigned int cases;
	unsigned int surprises;
};

static void judge(struct trial *trial, const char *name, TEEC_Result expected,
		  TEEC_Result res)
{
	trial->cases++;
	if (res == expected)
		return;
	trial->surprises++;
	printf("FAIL  %s: 0x%08x, not 0x%08x\n", name, res, expected);
}

static void judge_either(struct trial *trial, const char *name,
			 TEEC_Result one, TEEC_Result other, TEEC_Result res)
{
	judge(trial, name, res == one ? one : other, res);
}

/* A session with the package open and memory to share; ends the program else */
static void begin(struct trial *trial, struct sealed *sealed,
		  struct tessera_sealed_info *info)
{
	memset(sealed, 0, sizeof(*sealed));
	if (!sealed_start(sealed) ||
	    sealed_open(&sealed->session, trial->tsp, info) ||
	    !sealed_share(sealed, WINDOW, info->input_bytes,
			  info->output_bytes)) {
		printf("FAIL  the package cannot be opened\n");
		exit(EXIT_FAILED);
	}
	memcpy(sealed->in.buffer, trial->input->data, info->input_bytes);
}

static TEEC_Result whole(struct sealed *sealed, const struct tsp *tsp,
			 const struct tessera_sealed_info *info)
{
	TEEC_Result res = TEEC_SUCCESS;

	if (info->has_once)
		res = sealed_part(sealed, tsp, 0, tsp->onces, 0, 0);
	if (res)
		return res;

	return sealed_part(sealed, tsp, tsp->onces, tsp->feeds,
			   info->input_bytes, info->output_bytes);
}

/* A clean run: its output is kept the first time, and compared from then on */
static void clean_run(struct trial *trial, const char *name)
{
	struct tessera_sealed_info info = { 0 };
	struct sealed sealed = { 0 };
	TEEC_Result res = TEEC_SUCCESS;

	begin(trial, &sealed, &info);
	memset(sealed.out.buffer, 0xee, info.output_bytes);
	res = whole(&sealed, trial->tsp, &info);
	judge(trial, name, TEEC_SUCCESS, res);
	if (!res && !trial->expected.data) {
		trial->expected.size = info.output_bytes;
		trial->expected.data = malloc(info.output_bytes);
		memcpy(trial->expected.data, sealed.out.buffer,
		       info.output_bytes);
	} else if (!res && memcmp(trial->expected.data, sealed.out.buffer,
				  info.output_bytes)) {
		printf("FAIL  %s: another output\n", name);
		trial->surprises++;
	}
	sealed_end(&sealed);
}

/* --- Parameter types ------------------------------------------------------- */

static TEEC_Result call(TEEC_Session *session, uint32_t command,
			const uint32_t types[4], uint8_t *bytes, size_t size)
{
	TEEC_Operation op = { 0 };
	size_t i = 0;

	op.paramTypes = TEEC_PARAM_TYPES(types[0], types[1], types[2],
					 types[3]);
	for (i = 0; i < 4; i++) {
		if (types[i] >= TEEC_MEMREF_TEMP_INPUT) {
			op.params[i].tmpref.buffer = bytes;
			op.params[i].tmpref.size = size;
		}
	}

	return TEEC_InvokeCommand(session, command, &op, NULL);
}

static void try_types(struct trial *trial, TEEC_Session *session)
{
	static const uint32_t right[6][4] = {
		{ TEEC_MEMREF_TEMP_OUTPUT, 0, 0, 0 },
		{ TEEC_MEMREF_TEMP_INPUT, 0, 0, 0 },
		{ TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT, 0, 0 },
		{ TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_INPUT,
		  TEEC_MEMREF_TEMP_OUTPUT, TEEC_VALUE_INOUT },
		{ TEEC_MEMREF_TEMP_OUTPUT, 0, 0, 0 },
		{ TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT, 0, 0 },
	};
	static const uint32_t others[] = {
		TEEC_NONE, TEEC_VALUE_INPUT, TEEC_VALUE_OUTPUT,
		TEEC_VALUE_INOUT, TEEC_MEMREF_TEMP_INPUT,
		TEEC_MEMREF_TEMP_OUTPUT, TEEC_MEMREF_TEMP_INOUT,
	};
	uint8_t bytes[256] = { 0 };
	uint32_t command = 0;

	for (command = 0; command < 6; command++) {
		size_t place = 0;

		for (place = 0; place < 4; place++) {
			size_t k = 0;

			for (k = 0; k < sizeof(others) / 4; k++) {
				uint32_t types[4] = { 0 };
				char name[64] = { 0 };

				if (others[k] == right[command][place])
					continue;
				memcpy(types, right[command], sizeof(types));
				types[place] = others[k];
				snprintf(name, sizeof(name),
					 "command %u, parameter %zu of type %u",
					 command, place, others[k]);
				judge(trial, name, TEEC_ERROR_BAD_PARAMETERS,
				      call(session, command, types, bytes,
					   sizeof(bytes)));
			}
		}
	}
	for (command = 6; command < 9; command++)
		judge(trial, "unknown command", TEEC_ERROR_NOT_SUPPORTED,
		      call(session, command, right[0], bytes, sizeof(bytes)));
	judge(trial, "unknown command", TEEC_ERROR_NOT_SUPPORTED,
	      call(session, UINT32_MAX, right[0], bytes, sizeof(bytes)));
	judge(trial, "info: no package", TEEC_ERROR_BAD_STATE,
	      call(session, TESSERA_SEALED_CMD_INFO, right[4], bytes,
		   sizeof(bytes)));
	judge(trial, "step: no package", TEEC_ERROR_BAD_STATE,
	      call(session, TESSERA_SEALED_CMD_STEP, right[3], bytes,
		   sizeof(bytes)));
	judge(trial, "seal io: no package", TEEC_ERROR_BAD_STATE,
	      call(session, TESSERA_SEALED_CMD_SEAL_IO, right[5], bytes,
		   sizeof(bytes)));
}

/* --- Keys -------------------------------------------------------------------- */

/* The generator of P-256 */
static const uint8_t generator[TESSERA_SEALED_POINT] = {
	0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc,
	0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
	0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
	0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb,
	0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,
	0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
};

/* The point with x = 0, with x given as the prime itself */
static const uint8_t out_of_field[64] = {
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x66,
	0x48, 0x5c, 0x78, 0x0e, 0x2f, 0x83, 0xd7, 0x24, 0x33, 0xbd, 0x5d,
	0x84, 0xa0, 0x6b, 0xb6, 0x54, 0x1c, 0x2a, 0xf3, 0x1d, 0xae, 0x87,
	0x17, 0x28, 0xbf, 0x85, 0x6a, 0x17, 0x4f, 0x93, 0xf4,
};

static TEEC_Result install(TEEC_Session *session, size_t size, size_t at,
			   uint8_t change)
{
	uint8_t bytes[TESSERA_SEALED_BLOB + 1] = { 'T', 'S', 'K', 'W' };
	struct blob blob = { bytes, size };

	memcpy(bytes + 4, generator, sizeof(generator));
	bytes[at] ^= change;

	return sealed_install(session, &blob);
}

static void try_keys(struct trial *trial, TEEC_Session *session)
{
	uint8_t bytes[TESSERA_SEALED_POINT] = { 0 };
	uint8_t beyond[TESSERA_SEALED_BLOB] = { 'T', 'S', 'K', 'W', 4 };
	struct blob wrong = { beyond, sizeof(beyond) };
	struct blob point = { bytes, sizeof(bytes) - 1 };

	judge(trial, "identity: short", TEEC_ERROR_SHORT_BUFFER,
	      sealed_identity(session, &point));
	judge(trial, "identity: its need", TESSERA_SEALED_POINT,
	      (TEEC_Result)point.size);
	judge(trial, "identity", TEEC_SUCCESS,
	      sealed_identity(session, &point));
	judge(trial, "install: cut", TEEC_ERROR_BAD_PARAMETERS,
	      install(session, TESSERA_SEALED_BLOB - 1, 0, 0));
	judge(trial, "install: long", TEEC_ERROR_BAD_PARAMETERS,
	      install(session, TESSERA_SEALED_BLOB + 1, 0, 0));
	judge(trial, "install: magic", TEEC_ERROR_BAD_FORMAT,
	      install(session, TESSERA_SEALED_BLOB, 3, 1));
	judge(trial, "install: compressed point", TEEC_ERROR_BAD_FORMAT,
	      install(session, TESSERA_SEALED_BLOB, 4, 6));
	judge(trial, "install: off the curve", TEEC_ERROR_BAD_FORMAT,
	      install(session, TESSERA_SEALED_BLOB, 68, 1));
	memcpy(beyond + 5, out_of_field, sizeof(out_of_field));
	judge(trial, "install: out of the field", TEEC_ERROR_BAD_FORMAT,
	      sealed_install(session, &wrong));
	judge(trial, "install: nonce", TEEC_ERROR_BAD_FORMAT,
	      install(session, TESSERA_SEALED_BLOB, 80, 1));
	judge(trial, "install: for another device", MAC,
	      install(session, TESSERA_SEALED_BLOB, 0, 0));
}

/* --- Opening ------------------------------------------------------------------ */

static TEEC_Result open_with(TEEC_Session *session, const uint8_t *bytes,
			     size_t size, size_t room)
{
	struct tessera_sealed_info info = { 0 };
	TEEC_Operation op = { 0 };

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_OUTPUT, TEEC_NONE,
					 TEEC_NONE);
	op.params[0].tmpref.buffer = (void *)(uintptr_t)bytes;
	op.params[0].tmpref.size = size;
	op.params[1].tmpref.buffer = &info;
	op.params[1].tmpref.size = room;

	return TEEC_InvokeCommand(session, TESSERA_SEALED_CMD_OPEN, &op, NULL);
}

static void try_open(struct trial *trial, TEEC_Session *session)
{
	static const size_t places[] = { 0, 3, 4, 19, 20 };
	const size_t room = sizeof(struct tessera_sealed_info);
	const struct tsp *tsp = trial->tsp;
	size_t size = 0;
	const uint8_t *manifest = tsp_block(tsp, 0, &size);
	size_t other_size = 0;
	const uint8_t *other = tsp_block(tsp, 1, &other_size);
	size_t all = 20 + size;
	uint8_t *bytes = calloc(1, 20 + 65536 + 64);
	size_t i = 0;

	memcpy(bytes, tsp->file.data + 12, 20);
	memcpy(bytes + 20, manifest, size);
	judge(trial, "open: nothing", TEEC_ERROR_BAD_PARAMETERS,
	      open_with(session, bytes, 0, room));
	judge(trial, "open: no manifest", TEEC_ERROR_BAD_PARAMETERS,
	      open_with(session, bytes, 36, room));
	judge(trial, "open: not words", TEEC_ERROR_BAD_PARAMETERS,
	      open_with(session, bytes, all - 1, room));
	judge(trial, "open: large", TEEC_ERROR_BAD_PARAMETERS,
	      open_with(session, bytes, 20 + 65536 + 16 + 4, room));
	judge(trial, "open: cut", MAC, open_with(session, bytes, all - 4, room));
	judge(trial, "open: long", MAC, open_with(session, bytes, all + 4, room));
	judge(trial, "open: short answer", TEEC_ERROR_SHORT_BUFFER,
	      open_with(session, bytes, all, room - 1));
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		bytes[places[i]] ^= 1;
		judge(trial, "open: changed", MAC,
		      open_with(session, bytes, all, room));
		bytes[places[i]] ^= 1;
	}
	bytes[all - 1] ^= 0x80;
	judge(trial, "open: tag", MAC, open_with(session, bytes, all, room));
	memcpy(bytes + 20, other, other_size);
	judge(trial, "open: another block", MAC,
	      open_with(session, bytes, 20 + other_size, room));
	memcpy(bytes + 20, manifest, size);
	judge(trial, "open", TEEC_SUCCESS, open_with(session, bytes, all, room));
	judge(trial, "open: twice", TEEC_ERROR_BAD_STATE,
	      open_with(session, bytes, all, room));
	free(bytes);
}

/* --- Steps --------------------------------------------------------------------- */

/* How the first blocks of the once part are spoilt; the size that is sent */
typedef size_t (*spoiler)(struct sealed *sealed, const struct tsp *tsp,
			  size_t size);

static size_t put(struct sealed *sealed, const struct tsp *tsp, size_t at,
		  uint32_t index)
{
	size_t size = 0;
	const uint8_t *block = tsp_block(tsp, index, &size);

	memcpy((uint8_t *)sealed->window.buffer + at, block, size);

	return at + size;
}

static size_t flip_first(struct sealed *sealed, const struct tsp *tsp,
			 size_t size)
{
	(void)tsp;
	((uint8_t *)sealed->window.buffer)[0] ^= 1;

	return size;
}

static size_t flip_tag(struct sealed *sealed, const struct tsp *tsp,
		       size_t size)
{
	size_t first = 0;

	tsp_block(tsp, tsp_entry(tsp, 0), &first);
	((uint8_t *)sealed->window.buffer)[first - 1] ^= 0x40;

	return size;
}

static size_t cut_one(struct sealed *sealed, const struct tsp *tsp, size_t size)
{
	size_t first = 0;

	(void)sealed;
	(void)size;
	tsp_block(tsp, tsp_entry(tsp, 0), &first);

	return first - 1;
}

static size_t first_twice(struct sealed *sealed, const struct tsp *tsp,
			  size_t size)
{
	(void)size;
	size = put(sealed, tsp, 0, tsp_entry(tsp, 0));

	return put(sealed, tsp, size, tsp_entry(tsp, 0));
}

static size_t second_first(struct sealed *sealed, const struct tsp *tsp,
			   size_t size)
{
	(void)size;
	size = put(sealed, tsp, 0, tsp_entry(tsp, 1));

	return put(sealed, tsp, size, tsp_entry(tsp, 0));
}

static size_t later_part(struct sealed *sealed, const struct tsp *tsp,
			 size_t size)
{
	(void)size;
	size = put(sealed, tsp, 0, tsp_entry(tsp, tsp->onces));

	return put(sealed, tsp, size, tsp_entry(tsp, tsp->onces));
}

static size_t manifest_again(struct sealed *sealed, const struct tsp *tsp,
			     size_t size)
{
	(void)size;
	size = put(sealed, tsp, 0, 0);

	return put(sealed, tsp, size, 0);
}

static size_t all_zero(struct sealed *sealed, const struct tsp *tsp,
		       size_t size)
{
	(void)tsp;
	memset(sealed->window.buffer, 0, size);

	return size;
}

static void try_spoilt(struct trial *trial)
{
	static const struct {
		const char *name;
		spoiler how;
	} ways[] = {
		{ "step: a bit of a block", flip_first },
		{ "step: a bit of a tag", flip_tag },
		{ "step: a block cut", cut_one },
		{ "step: a block sent again", first_twice },
		{ "step: blocks swapped", second_first },
		{ "step: a block of the other part", later_part },
		{ "step: the manifest again", manifest_again },
		{ "step: zeros", all_zero },
	};
	size_t i = 0;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct tessera_sealed_info info = { 0 };
		struct sealed sealed = { 0 };
		uint32_t entry = 0;
		uint32_t taken = 0;
		uint32_t state = 0;
		size_t size = 0;

		begin(trial, &sealed, &info);
		size = sealed_fill(&sealed, trial->tsp, &entry,
				   trial->tsp->onces);
		size = ways[i].how(&sealed, trial->tsp, size);
		judge_either(trial, ways[i].name, MAC, TEEC_ERROR_BAD_FORMAT,
			     sealed_step(&sealed, size, 0, 0, &taken, &state));
		taken = 0;
		judge(trial, "step: after a failure", TEEC_ERROR_BAD_STATE,
		      sealed_step(&sealed, 0, 0, 0, &taken, &state));
		judge(trial, "info: after a failure", TEEC_ERROR_BAD_STATE,
		      sealed_info(&sealed.session, &info));
		judge(trial, "open: after a failure", TEEC_ERROR_BAD_STATE,
		      sealed_open(&sealed.session, trial->tsp, &info));
		sealed_end(&sealed);
	}
}

/* More blocks than a part takes, and an inference again without its blocks */
static void try_ends(struct trial *trial)
{
	const struct tsp *tsp = trial->tsp;
	struct tessera_sealed_info info = { 0 };
	struct sealed sealed = { 0 };
	uint32_t entry = 0;
	uint32_t taken = 0;
	uint32_t state = 0;
	size_t size = 0;

	begin(trial, &sealed, &info);
	while (tsp->onces - entry > 1) {	/* all but the last */
		uint32_t end = tsp->onces - 1;

		size = sealed_fill(&sealed, tsp, &entry, end);
		if (sealed_step(&sealed, size, 0, 0, &taken, &state))
			break;
	}
	size = put(&sealed, tsp, 0, tsp_entry(tsp, entry));
	size = put(&sealed, tsp, size, tsp_entry(tsp, tsp->onces));
	judge(trial, "step: more than the part takes", TEEC_ERROR_BAD_FORMAT,
	      sealed_step(&sealed, size, 0, 0, &taken, &state));
	sealed_end(&sealed);
}

/* Sizes and counts that are refused, and change nothing */
static void try_sizes(struct trial *trial)
{
	const struct tsp *tsp = trial->tsp;
	struct tessera_sealed_info info = { 0 };
	struct sealed sealed = { 0 };
	uint32_t taken = 1;
	uint32_t state = 0;
	size_t in = 0;
	size_t out = 0;

	begin(trial, &sealed, &info);
	in = info.input_bytes;
	out = info.output_bytes;
	judge(trial, "step: counts ahead", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&sealed, 0, 0, 0, &taken, &state));
	taken = 0;
	judge(trial, "step: nothing", TEEC_SUCCESS,
	      sealed_step(&sealed, 0, 0, 0, &taken, &state));
	judge(trial, "step: inputs too early", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&sealed, 0, in, 0, &taken, &state));
	judge(trial, "step: outputs too early", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&sealed, 0, 0, out, &taken, &state));
	judge(trial, "the once part", TEEC_SUCCESS,
	      sealed_part(&sealed, tsp, 0, tsp->onces, 0, 0));
	taken = tsp->onces;
	judge(trial, "step: counts on", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&sealed, 0, in, out, &taken, &state));
	taken = 0;
	judge(trial, "step: no inputs", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&sealed, 0, 0, out, &taken, &state));
	judge(trial, "step: inputs cut", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&sealed, 0, in - 4, out, &taken, &state));
	judge(trial, "step: outputs cut", TEEC_ERROR_SHORT_BUFFER,
	      sealed_step(&sealed, 0, in, out - 4, &taken, &state));
	judge(trial, "an inference after all that", TEEC_SUCCESS,
	      sealed_part(&sealed, tsp, tsp->onces, tsp->feeds, in, out));
	if (memcmp(trial->expected.data, sealed.out.buffer, out)) {
		printf("FAIL  an inference after all that: another output\n");
		trial->surprises++;
	}
	sealed_end(&sealed);
}

unsigned int abuse(const struct tsp *tsp, const struct blob *input,
		   uint32_t seed, uint32_t cases)
{
	struct trial trial = { .tsp = tsp, .input = input };
	struct tessera_sealed_info info = { 0 };
	struct sealed sealed = { 0 };
	unsigned int strange = 0;

	begin(&trial, &sealed, &info);
	sealed_end(&sealed);
	if (input->size != info.input_bytes || tsp->onces < 2 ||
	    tsp->feeds - tsp->onces < 1) {
		printf("FAIL  abuse takes one input, and two blocks at the start\n");
		return 1;
	}
	clean_run(&trial, "a clean run");
	if (!trial.expected.data)
		return 1;

	memset(&sealed, 0, sizeof(sealed));
	if (!sealed_start(&sealed))
		return 1;
	try_types(&trial, &sealed.session);
	try_keys(&trial, &sealed.session);
	try_open(&trial, &sealed.session);
	sealed_end(&sealed);
	try_sizes(&trial);
	try_spoilt(&trial);
	try_ends(&trial);
	clean_run(&trial, "a clean run after the battery");
	if (cases) {
		strange = fuzz(tsp, input, &trial.expected, seed, cases);
		clean_run(&trial, "a clean run after the sequences");
	}
	trial.surprises += strange;
	free(trial.expected.data);
	printf("%u cases, %u sequences of seed %u, %u surprises\n", trial.cases,
	       cases, seed, trial.surprises);

	return trial.surprises;
}
