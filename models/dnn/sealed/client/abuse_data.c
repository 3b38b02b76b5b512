// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bad input against sealed inputs and outputs.
 *
 * Each case is a session of its own, with the package open, and has a result
 * that it must have. What an output says cannot be seen here: but that it is
 * another one in each session, and not there before its inference is over, can.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealed.h"

#define WINDOW	(256u * 1024)
#define MAC	MAC_INVALID
#define UNTOUCHED	0xee

struct trial {
	const struct tsp *tsp;
	const struct blob *wrapped;
	const struct tsin *inputs;
	struct sealed sealed;
	struct tessera_sealed_info info;
	size_t in;		/* bytes of a sealed input and output */
	size_t out;
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

static void must(struct trial *trial, const char *name, bool holds)
{
	judge(trial, name, 1, holds);
}

/* A session with the package open; ends the program else */
static void begin(struct trial *trial)
{
	struct sealed *sealed = &trial->sealed;

	memset(sealed, 0, sizeof(*sealed));
	if (!sealed_start(sealed) ||
	    sealed_open(&sealed->session, trial->tsp, &trial->info) ||
	    trial->info.input_bytes != trial->inputs->size ||
	    trial->inputs->count < 2) {
		printf("FAIL  the package cannot be opened, or these are not two of its inputs\n");
		exit(EXIT_FAILED);
	}
	trial->in = (size_t)trial->info.input_bytes + TESSERA_SEALED_TAG;
	trial->out = (size_t)trial->info.output_bytes + TESSERA_SEALED_TAG;
	if (!sealed_share(sealed, WINDOW, trial->in + 4, trial->out + 4))
		exit(EXIT_FAILED);
}

/* SEAL_IO with `size` bytes of key, one of them changed, and room for an answer */
static TEEC_Result key_with(struct trial *trial, size_t size, size_t at,
			    uint8_t change, size_t room)
{
	uint8_t given[TESSERA_SEALED_BLOB + 1] = { 0 };
	uint8_t answer[TESSERA_SEALED_SESSION] = { 0 };
	struct blob wrapped = { given, size };
	struct blob drawn = { answer, room };

	memcpy(given, trial->wrapped->data, TESSERA_SEALED_BLOB);
	given[at] ^= change;

	return sealed_seal_io(&trial->sealed.session, &wrapped,
			      tsin_batch(trial->inputs), &drawn);
}

static TEEC_Result key(struct trial *trial)
{
	return key_with(trial, TESSERA_SEALED_BLOB, 0, 0,
			TESSERA_SEALED_SESSION);
}

static TEEC_Result once(struct trial *trial)
{
	if (!trial->info.has_once)
		return TEEC_SUCCESS;

	return sealed_part(&trial->sealed, trial->tsp, 0, trial->tsp->onces, 0,
			   0);
}

static void lay(struct trial *trial, uint32_t number)
{
	memcpy(trial->sealed.in.buffer, tsin_input(trial->inputs, number),
	       trial->in);
	memset(trial->sealed.out.buffer, UNTOUCHED, trial->out + 4);
}

static TEEC_Result infer(struct trial *trial)
{
	return sealed_part(&trial->sealed, trial->tsp, trial->tsp->onces,
			   trial->tsp->feeds, trial->in, trial->out);
}

static bool untouched(const struct trial *trial)
{
	const uint8_t *bytes = trial->sealed.out.buffer;
	size_t i = 0;

	while (i < trial->out && bytes[i] == UNTOUCHED)
		i++;

	return i == trial->out;
}

static void end(struct trial *trial)
{
	sealed_end(&trial->sealed);
}

/* --- The key -------------------------------------------------------------- */

static void try_key(struct trial *trial)
{
	const size_t whole = TESSERA_SEALED_BLOB;
	const size_t room = TESSERA_SEALED_SESSION;

	begin(trial);
	judge(trial, "key: cut", TEEC_ERROR_BAD_PARAMETERS,
	      key_with(trial, whole - 1, 0, 0, room));
	judge(trial, "key: long", TEEC_ERROR_BAD_PARAMETERS,
	      key_with(trial, whole + 1, 0, 0, room));
	judge(trial, "key: short answer", TEEC_ERROR_SHORT_BUFFER,
	      key_with(trial, whole, 0, 0, room - 1));
	judge(trial, "key: an owner's", TEEC_ERROR_BAD_FORMAT,
	      key_with(trial, whole, 2, 'U' ^ 'K', room));
	judge(trial, "key: magic", TEEC_ERROR_BAD_FORMAT,
	      key_with(trial, whole, 0, 1, room));
	judge(trial, "key: nonce", TEEC_ERROR_BAD_FORMAT,
	      key_with(trial, whole, 70, 1, room));
	judge(trial, "key: off the curve", TEEC_ERROR_BAD_FORMAT,
	      key_with(trial, whole, 68, 1, room));
	judge(trial, "key: a bit", MAC, key_with(trial, whole, 90, 1, room));
	judge(trial, "key: its tag", MAC, key_with(trial, whole, 128, 1, room));
	judge(trial, "key: after all that", TEEC_SUCCESS, key(trial));
	judge(trial, "key: twice", TEEC_ERROR_BAD_STATE, key(trial));
	end(trial);

	begin(trial);
	judge(trial, "the once part", TEEC_SUCCESS, once(trial));
	judge(trial, "key: after a step", TEEC_ERROR_BAD_STATE, key(trial));
	end(trial);
}

/* --- Sizes, and when what is read and written ------------------------------- */

static void try_sizes(struct trial *trial)
{
	uint32_t taken = 0;
	uint32_t state = 0;

	begin(trial);
	judge(trial, "key", TEEC_SUCCESS, key(trial));
	judge(trial, "the once part", TEEC_SUCCESS, once(trial));
	lay(trial, 0);
	judge(trial, "input: without a tag", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&trial->sealed, 0, trial->in - TESSERA_SEALED_TAG,
			  trial->out, &taken, &state));
	judge(trial, "input: long", TEEC_ERROR_BAD_PARAMETERS,
	      sealed_step(&trial->sealed, 0, trial->in + 4, trial->out, &taken,
			  &state));
	judge(trial, "output: no room for a tag", TEEC_ERROR_SHORT_BUFFER,
	      sealed_step(&trial->sealed, 0, trial->in,
			  trial->out - TESSERA_SEALED_TAG, &taken, &state));
	judge(trial, "a step with no blocks", TEEC_SUCCESS,
	      sealed_step(&trial->sealed, 0, trial->in, trial->out, &taken,
			  &state));
	/* It has been copied */
	memset(trial->sealed.in.buffer, 0, trial->in);
	must(trial, "nothing is written before the end", untouched(trial));
	judge(trial, "the input has been copied", TEEC_SUCCESS, infer(trial));
	must(trial, "the output is there", !untouched(trial));
	end(trial);
}

/* --- Inputs that are not those of their place ------------------------------ */

static void flip(struct trial *trial, size_t at)
{
	lay(trial, 0);
	((uint8_t *)trial->sealed.in.buffer)[at] ^= 0x20;
}

/* An input that must be refused, behind which there is nothing */
static void refuse(struct trial *trial, const char *name)
{
	uint32_t taken = 0;
	uint32_t state = 0;

	judge(trial, name, MAC, infer(trial));
	must(trial, "no output of a refused input", untouched(trial));
	judge(trial, "after a refused input", TEEC_ERROR_BAD_STATE,
	      sealed_step(&trial->sealed, 0, trial->in, trial->out, &taken,
			  &state));
	judge(trial, "key: after a refused input", TEEC_ERROR_BAD_STATE,
	      key(trial));
	end(trial);
}

static void ready(struct trial *trial)
{
	begin(trial);
	judge(trial, "key", TEEC_SUCCESS, key(trial));
	judge(trial, "the once part", TEEC_SUCCESS, once(trial));
}

static void try_inputs(struct trial *trial)
{
	uint8_t batch[TESSERA_SEALED_BATCH] = { 0 };
	uint8_t answer[TESSERA_SEALED_SESSION] = { 0 };
	struct blob drawn = { answer, sizeof(answer) };

	ready(trial);
	flip(trial, 0);
	refuse(trial, "input: a bit");
	ready(trial);
	flip(trial, trial->in - TESSERA_SEALED_TAG - 1);
	refuse(trial, "input: its last bits");
	ready(trial);
	flip(trial, trial->in - 1);
	refuse(trial, "input: its tag");

	ready(trial);
	lay(trial, 1);
	refuse(trial, "input: the second one first");

	ready(trial);
	lay(trial, 0);
	judge(trial, "the first input", TEEC_SUCCESS, infer(trial));
	lay(trial, 0);
	refuse(trial, "input: sent again");

	ready(trial);
	lay(trial, 0);
	judge(trial, "the first input", TEEC_SUCCESS, infer(trial));
	memset(trial->sealed.in.buffer, 0, trial->in);
	memcpy(trial->sealed.in.buffer, trial->sealed.out.buffer,
	       trial->in < trial->out ? trial->in : trial->out);
	memset(trial->sealed.out.buffer, UNTOUCHED, trial->out);
	refuse(trial, "input: an output");

	begin(trial);
	memcpy(batch, tsin_batch(trial->inputs), sizeof(batch));
	batch[7] ^= 1;
	judge(trial, "key: with another batch", TEEC_SUCCESS,
	      sealed_seal_io(&trial->sealed.session, trial->wrapped, batch,
			     &drawn));
	judge(trial, "the once part", TEEC_SUCCESS, once(trial));
	lay(trial, 0);
	refuse(trial, "input: of another batch");
}

/* --- Outputs ----------------------------------------------------------------- */

/* Two sessions with the same two inputs: all right, and no output twice */
static void try_twice(struct trial *trial)
{
	uint8_t *made = NULL;
	uint32_t number = 0;
	uint32_t i = 0;

	for (number = 0; number < 4; number++) {
		if (number % 2 == 0)
			ready(trial);
		if (!made)
			made = calloc(4, trial->out);
		lay(trial, number % 2);
		judge(trial, "an inference", TEEC_SUCCESS, infer(trial));
		memcpy(made + number * trial->out, trial->sealed.out.buffer,
		       trial->out);
		for (i = 0; i < number; i++)
			must(trial, "an output of its own",
			     memcmp(made + i * trial->out,
				    made + number * trial->out, trial->out));
		if (number % 2)
			end(trial);
	}
	free(made);
}

unsigned int abuse_data(const struct tsp *tsp, const struct blob *wrapped,
			const struct tsin *inputs)
{
	struct trial trial = { .tsp = tsp, .wrapped = wrapped,
			       .inputs = inputs };

	if (wrapped->size != TESSERA_SEALED_BLOB) {
		printf("FAIL  abuse takes a key that is wrapped for this device\n");
		return 1;
	}
	try_key(&trial);
	try_sizes(&trial);
	try_inputs(&trial);
	try_twice(&trial);
	printf("%u cases, %u surprises\n", trial.cases, trial.surprises);

	return trial.surprises;
}
