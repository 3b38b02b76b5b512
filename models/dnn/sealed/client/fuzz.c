// SPDX-License-Identifier: BSD-2-Clause
/*
 * Seeded sequences of good and bad calls, each in a session of its own.
 *
 * What must hold: only documented results come back; a window that was changed
 * is never taken; an inference that says that it is over has the right output;
 * behind a failure there is nothing but BAD_STATE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealed.h"

#define WINDOW	(64u * 1024 + TESSERA_SEALED_TAG + 4096)
#define CALLS	40

struct run {
	const struct tsp *tsp;
	const struct blob *expected;
	struct sealed sealed;
	struct tessera_sealed_info info;
	uint32_t state;		/* of the generator */
	uint32_t entry;		/* of the feed, that comes next */
	uint32_t taken;		/* as the TA counts */
	bool once;
	bool open;
	bool over;
	unsigned int surprises;
	uint32_t number;	/* of the sequence */
};

static uint32_t draw(struct run *run, uint32_t below)
{
	run->state ^= run->state << 13;
	run->state ^= run->state >> 17;
	run->state ^= run->state << 5;

	return run->state % below;
}

static void surprise(struct run *run, const char *what, TEEC_Result res)
{
	run->surprises++;
	printf("FAIL  sequence %u: %s: 0x%08x\n", run->number, what, res);
}

static bool documented(TEEC_Result res)
{
	switch (res) {
	case TEEC_SUCCESS:
	case TEEC_ERROR_BAD_PARAMETERS:
	case TEEC_ERROR_BAD_STATE:
	case TEEC_ERROR_SHORT_BUFFER:
	case TEEC_ERROR_NOT_SUPPORTED:
	case TEEC_ERROR_BAD_FORMAT:
	case MAC_INVALID:
		return true;
	default:
		return false;
	}
}

/* Changes the window in one of several ways; its new size */
static size_t spoil(struct run *run, size_t size)
{
	uint8_t *bytes = run->sealed.window.buffer;
	uint32_t index = draw(run, run->tsp->blocks);
	size_t other_size = 0;
	const uint8_t *other = tsp_block(run->tsp, index, &other_size);
	uint32_t at = 0;

	switch (draw(run, 5)) {
	case 0:
		at = draw(run, (uint32_t)size);
		bytes[at] ^= (uint8_t)(1u << draw(run, 8));
		return size;
	case 1:
		return size - 1 - draw(run, (uint32_t)size - 1);
	case 2:
		at = 1 + draw(run, 4096);
		if (at > WINDOW - size)
			at = (uint32_t)(WINDOW - size);
		memset(bytes + size, 0, at);
		return size + at;
	case 3:
		for (at = 0; at < 16; at++)
			bytes[at] = (uint8_t)draw(run, 256);
		return size;
	default:
		memcpy(bytes, other, other_size);
		return other_size;
	}
}

/* Right blocks, some of the next ones, perhaps spoilt */
static void try_step(struct run *run)
{
	const struct tsp *tsp = run->tsp;
	const uint32_t end = run->once ? tsp->onces : tsp->feeds;
	const bool bad_count = !draw(run, 16);
	const bool bad_size = !draw(run, 16);
	uint32_t entry = run->entry;
	uint32_t limit = entry + draw(run, end - entry + 1);
	size_t in = run->once ? 0 : run->info.input_bytes;
	size_t out = run->once ? 0 : run->info.output_bytes;
	uint32_t state = TESSERA_SEALED_MORE;
	uint32_t taken = run->taken;
	size_t size = sealed_fill(&run->sealed, tsp, &entry, limit);
	uint8_t *whole = malloc(WINDOW);
	size_t whole_size = size;
	bool changed = false;
	TEEC_Result res = TEEC_SUCCESS;

	memcpy(whole, run->sealed.window.buffer, size);
	if (size && !draw(run, 6))
		size = spoil(run, size);
	changed = size != whole_size ||
		  memcmp(whole, run->sealed.window.buffer, size);
	free(whole);
	if (bad_count)
		taken += 1 + draw(run, 3);
	if (bad_size)
		in = in ? in - 4 : 4 * draw(run, 2);
	res = sealed_step(&run->sealed, size, in, out, &taken, &state);
	if (!documented(res))
		surprise(run, "step", res);
	if (!run->open) {
		if (res == TEEC_SUCCESS)
			surprise(run, "step without a package", res);
		return;
	}
	if (res == TEEC_ERROR_BAD_PARAMETERS)
		return;
	if (res) {
		if (!changed)
			surprise(run, "the right blocks were refused", res);
		run->open = false;
		run->over = true;
		return;
	}
	/* Cut to whole blocks, or a change where the part had ended */
	if (changed && taken != run->taken &&
	    !(size < whole_size && taken < run->taken + (entry - run->entry)))
		surprise(run, "changed blocks were taken", res);
	if (bad_count)
		surprise(run, "a wrong count was taken", res);
	run->entry += taken - run->taken;
	run->taken = taken;
	if (state != TESSERA_SEALED_DONE)
		return;
	if (run->entry != end)
		surprise(run, "a part ended early", res);
	if (!run->once && memcmp(run->sealed.out.buffer, run->expected->data,
				 run->expected->size))
		surprise(run, "an inference gave another output", res);
	run->once = false;
	run->entry = tsp->onces;
	run->taken = 0;
	memset(run->sealed.out.buffer, 0xee, run->info.output_bytes);
}

static void try_open(struct run *run)
{
	struct tessera_sealed_info info = { 0 };
	const bool first = !run->open && !run->over;
	TEEC_Result res = sealed_open(&run->sealed.session, run->tsp, &info);

	if (res != (first ? TEEC_SUCCESS : TEEC_ERROR_BAD_STATE))
		surprise(run, "open", res);
	run->open = run->open || !res;
}

static void try_other(struct run *run)
{
	uint8_t bytes[TESSERA_SEALED_BLOB] = { 'T', 'S', 'K', 'W', 4 };
	struct blob blob = { bytes, sizeof(bytes) };
	struct tessera_sealed_info info = { 0 };
	TEEC_Result res = TEEC_SUCCESS;
	size_t i = 0;

	switch (draw(run, 3)) {
	case 0:
		for (i = 5; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)draw(run, 256);
		res = sealed_install(&run->sealed.session, &blob);
		if (res == TEEC_SUCCESS)
			surprise(run, "noise was installed as a key", res);
		break;
	case 1:
		blob.size = draw(run, TESSERA_SEALED_POINT + 2);
		res = sealed_identity(&run->sealed.session, &blob);
		break;
	default:
		res = sealed_info(&run->sealed.session, &info);
		if (run->open != (res == TEEC_SUCCESS))
			surprise(run, "info", res);
		break;
	}
	if (!documented(res))
		surprise(run, "another command", res);
}

static void sequence(struct run *run, const struct blob *input)
{
	unsigned int i = 0;

	memset(&run->sealed, 0, sizeof(run->sealed));
	run->entry = 0;
	run->taken = 0;
	run->once = true;
	run->open = false;
	run->over = false;
	if (!sealed_start(&run->sealed) ||
	    !sealed_share(&run->sealed, WINDOW, run->info.input_bytes,
			  run->info.output_bytes)) {
		surprise(run, "no session", TEEC_ERROR_GENERIC);
		return;
	}
	memcpy(run->sealed.in.buffer, input->data, run->info.input_bytes);
	for (i = 0; i < CALLS; i++) {
		uint32_t what = draw(run, 16);

		if (!i && what)
			try_open(run);
		else if (what < 1)
			try_open(run);
		else if (what < 3)
			try_other(run);
		else
			try_step(run);
	}
	sealed_end(&run->sealed);
}

unsigned int fuzz(const struct tsp *tsp, const struct blob *input,
		  const struct blob *expected, uint32_t seed, uint32_t cases)
{
	struct run run = { .tsp = tsp, .expected = expected };

	run.info.input_bytes = (uint32_t)input->size;
	run.info.output_bytes = (uint32_t)expected->size;
	run.state = seed ? seed : 1;
	for (run.number = 0; run.number < cases; run.number++)
		sequence(&run, input);

	return run.surprises;
}
