// SPDX-License-Identifier: BSD-2-Clause
/*
 * An unsealed package on a board without an operating system: files `package`
 * and `in0`.. of the emulator's folder to `out0`.., `counters` and `operations`,
 * words of 8 bytes: for each of both parts status, blocks, bytes loaded,
 * instructions of the package, and instructions of the processor (with -icount
 * shift=0); for each operation how often it was done, and what it took of these.
 *
 * Goal: the code for Arm, compared with that for the host bit by bit, and
 * counted. Non-goals: protection of any kind.
 */
#include "bare.h"
#include "plain.h"
#include "profile.h"

struct counters {
	uint64_t status;
	uint64_t blocks;
	uint64_t bytes_loaded;
	uint64_t package_instructions;
	uint64_t processor_instructions;
};

static int run_part(const struct plain *plain, const struct tx_manifest *manifest,
		    const struct plain_room *room, const struct tx_io *io,
		    struct counters *counters)
{
	struct tx_machine machine;
	uint64_t start = bare_instructions();
	int status = 0;

	tx_begin(&machine, manifest, room->arena, room->code, room->packed, !io);
	status = plain_run(plain, &machine, io, NULL, NULL);
	counters->processor_instructions = bare_instructions() - start;
	counters->status = (uint64_t)status;
	counters->blocks = machine.blocks;
	counters->bytes_loaded = machine.bytes_loaded;
	counters->package_instructions = machine.instructions;

	return status;
}

int main(void)
{
	static const char *const inputs[] = { "in0", "in1", "in2", "in3" };
	static const char *const outputs[] = { "out0", "out1", "out2", "out3" };
	static struct counters counters[2];
	struct tx_io io = { .input = { NULL } };
	struct tx_manifest manifest;
	struct plain_room room;
	struct plain plain;
	size_t size = 0;
	uint32_t i = 0;
	void *data = bare_read("package", &size);

	if (!data || !plain_open(data, size, &plain) ||
	    tx_manifest_parse(plain.block[0].data, plain.block[0].bytes,
			      &manifest) ||
	    !plain_room_make(&manifest, &room))
		return 2;
	for (i = 0; i < manifest.inputs; i++) {
		io.input[i] = bare_read(inputs[i], &size);
		if (!io.input[i] || size != tx_tensor_bytes(&manifest.input[i]))
			return 2;
	}
	for (i = 0; i < manifest.outputs; i++)
		io.output[i] = calloc(1, tx_tensor_bytes(&manifest.output[i]));

	if (run_part(&plain, &manifest, &room, NULL, &counters[0]) ||
	    run_part(&plain, &manifest, &room, &io, &counters[1]))
		return 3;
	for (i = 0; i < manifest.outputs; i++)
		if (bare_write(outputs[i], io.output[i],
			       tx_tensor_bytes(&manifest.output[i])))
			return 2;

	return bare_write("operations", profile, profile_bytes()) ||
	       bare_write("counters", counters, sizeof(counters)) ? 2 : 0;
}
