// SPDX-License-Identifier: BSD-2-Clause
/*
 * Block by block, instruction by instruction: see tx_run.h.
 *
 * A load asks for one block at a time; it is read again from the code after
 * each of them, so that all state is the number of pieces that it has.
 */
#include <string.h>

#include "ts_unpack.h"
#include "tx_code.h"

void tx_wipe(void *data, size_t size)
{
	memset(data, 0, size);
	__asm__ __volatile__("" : : "r"(data) : "memory");
}

void tx_begin(struct tx_machine *machine, const struct tx_manifest *manifest,
	      void *arena, void *code, void *packed, bool once)
{
	*machine = (struct tx_machine){
		.manifest = manifest,
		.arena = arena,
		.code = code,
		.packed = packed,
		.block = once ? 1 : manifest->onces + 1,
		.last = once ? manifest->onces : manifest->codes,
		.once = once,
	};
}

static enum tx_status need(struct tx_machine *machine, uint32_t index,
			   uint32_t bytes, void *to)
{
	machine->need = (struct tx_need){
		.index = index,
		.bytes = bytes,
		.to = to,
	};
	machine->waiting = true;

	return TX_NEED_BLOCK;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* A load taken apart: `piece` is what comes next, of `pieces` */
struct load {
	uint32_t offset;	/* of the piece */
	uint32_t bytes;		/* of the piece */
	uint32_t index;		/* of its block */
	uint32_t stream;	/* bytes of its stream, those of the piece if plain */
	uint32_t pieces;
};

/* False unless the load holds; a piece that is past its last has no bytes */
static bool read_load(const struct tx_machine *machine,
		      const struct tx_step *step, struct load *load)
{
	const struct tx_manifest *manifest = machine->manifest;
	uint32_t chunk = manifest->chunk;
	uint32_t bytes = step->number[1];
	uint32_t first = step->number[2];
	uint32_t done = 0;

	if (!bytes || step->number[0] % 4 || bytes % 4 || step->number[3] > 1 ||
	    !tx_inside(step->number[0], bytes, manifest->arena))
		return false;
	load->pieces = (bytes - 1) / chunk + 1;
	if (first <= manifest->codes ||
	    !tx_inside(first, load->pieces, manifest->blocks) ||
	    step->tail_words != (step->number[3] ? load->pieces : 0))
		return false;
	load->bytes = 0;
	if (machine->piece >= load->pieces)
		return true;

	done = machine->piece * chunk;
	load->offset = step->number[0] + done;
	load->bytes = smaller(bytes - done, chunk);
	load->index = first + machine->piece;
	load->stream = load->bytes;
	if (step->number[3])
		load->stream = step->tail[machine->piece];

	return load->stream && load->stream <= load->bytes;
}

static enum tx_status unpack(const struct load *load, const uint8_t *from,
			     uint8_t *to)
{
	struct ts_packed packed;
	uint32_t i = 0;

	if (ts_unpack_open(from, load->stream, load->stream, &packed) ||
	    (uint64_t)packed.elements * packed.planes != load->bytes)
		return TX_BAD_BLOCK;
	for (i = 0; i < packed.blocks; i++) {
		size_t bytes = ts_unpack_bytes(&packed, i);
		size_t at = 0;
		size_t size = 0;

		ts_unpack_place(&packed, i, &at, &size);
		if (ts_unpack_block(&packed, i, from + packed.header + at, size,
				    to, bytes))
			return TX_BAD_BLOCK;
		to += bytes;
	}

	return TX_OK;
}

/* A piece of a load: its block is there or must be asked for */
static enum tx_status do_load(struct tx_machine *machine,
			      const struct tx_step *step, bool there)
{
	enum tx_status status = TX_OK;
	struct load load;

	if (!read_load(machine, step, &load))
		return TX_BAD_CODE;
	if (there) {
		if (load.stream < load.bytes)
			status = unpack(&load, machine->packed,
					machine->arena + load.offset);
		machine->piece++;
		if (status || !read_load(machine, step, &load))
			return status ? status : TX_BAD_CODE;
	}
	if (!load.bytes) {
		machine->piece = 0;
		return TX_OK;
	}

	return need(machine, load.index, (load.stream + 3) / 4 * 4,
		    load.stream < load.bytes ? machine->packed
					     : machine->arena + load.offset);
}

/* One instruction; `there`: it is a load whose block has come */
static enum tx_status do_next(struct tx_machine *machine,
			      const struct tx_io *io, bool there)
{
	const uint32_t *code = machine->code + machine->at;
	uint32_t words = tx_length(code, machine->words - machine->at);
	enum tx_status status = TX_OK;
	struct tx_place place = {
		.arena = machine->arena,
		.manifest = machine->manifest,
		.io = machine->once ? NULL : io,
	};
	struct tx_step step;

	if (!words || !tx_decode(code, words, &step))
		return TX_BAD_CODE;
	if (step.operation == TX_LOAD) {
		status = do_load(machine, &step, there);
		if (status)
			return status;
	} else if (step.operation == TX_END) {
		if (machine->block != machine->last ||
		    machine->at + words != machine->words)
			return TX_BAD_CODE;
		machine->over = true;
	} else {
		if (!tx_check(&step, &place))
			return TX_BAD_CODE;
		tx_do(&step, &place);
	}
	machine->at += words;
	machine->instructions++;

	return TX_OK;
}

static enum tx_status do_all(struct tx_machine *machine, const struct tx_io *io)
{
	bool there = machine->waiting;
	enum tx_status status = TX_OK;

	if (there) {
		machine->waiting = false;
		machine->blocks++;
		machine->bytes_loaded += machine->need.bytes;
		if (!machine->words) {
			machine->words = machine->need.bytes / 4;
			machine->at = 0;
			there = false;
		}
	}
	/* A first part that has no code */
	if (machine->block > machine->last)
		machine->over = true;

	while (!machine->over) {
		if (!machine->words)
			return need(machine, machine->block,
				    machine->manifest->
				    code_bytes[machine->block - 1],
				    machine->code);
		status = do_next(machine, io, there);
		there = false;
		if (status || machine->over)
			return status;
		if (machine->at < machine->words)
			continue;
		if (machine->block == machine->last)
			return TX_BAD_CODE;
		machine->block++;
		machine->words = 0;
	}

	return TX_OK;
}

enum tx_status tx_run(struct tx_machine *machine, const struct tx_io *io)
{
	enum tx_status status = TX_OK;

	if (machine->over || (!io && !machine->once))
		return TX_BAD_CALL;
	status = do_all(machine, io);
	if (status && status != TX_NEED_BLOCK) {
		machine->over = true;
		tx_wipe(machine->arena, machine->manifest->arena);
	}

	return status;
}
