// SPDX-License-Identifier: BSD-2-Clause
/*
 * The naive runtime on the board of ../bare: files `network` and `in0` of the emulator's folder to
 * `out0`.. and `counters`, words of 8 bytes: instructions of the processor for one inference (with
 * -icount shift=0), bytes of weights, of tensors, of the unfolded input; then for each operation
 * how often it was done, and what it took of the instructions.
 */
#include "../bare/bare.h"
#include "baseline.h"

struct counters {
	uint64_t instructions;
	uint64_t weight_bytes;
	uint64_t tensor_bytes;
	uint64_t column_bytes;
	uint64_t operation[BL_OPERATIONS][2];
};

static void run(const struct bl_network *network, struct counters *counters)
{
	uint64_t start = bare_instructions();
	uint32_t i = 0;

	for (i = 0; i < network->layers; i++) {
		uint64_t *mine = counters->operation[network->layer[i].operation];
		uint64_t before = bare_instructions();

		bl_run(network, i);
		mine[0]++;
		mine[1] += bare_instructions() - before;
	}
	counters->instructions = bare_instructions() - start;
}

int main(void)
{
	static const char *const outputs[BL_OUTPUTS] = { "out0", "out1", "out2", "out3" };
	static struct counters counters;
	struct bl_network network;
	size_t size = 0;
	uint32_t i = 0;
	void *data = bare_read("network", &size);

	if (!data || bl_open(data, size, &network))
		return 2;
	data = bare_read("in0", &size);
	if (!data || size != bl_count(&network.tensor[0].shape) * sizeof(float))
		return 2;
	for (i = 0; i < size / sizeof(float); i++)
		network.tensor[0].data[i] = ((const float *)data)[i];
	run(&network, &counters);
	counters.weight_bytes = network.weight_bytes;
	counters.tensor_bytes = network.tensor_bytes;
	counters.column_bytes = network.column_bytes;
	for (i = 0; i < network.outputs; i++) {
		const struct bl_tensor *one = &network.tensor[network.output[i]];

		if (bare_write(outputs[i], one->data, bl_count(&one->shape) * sizeof(float)))
			return 2;
	}

	return bare_write("counters", &counters, sizeof(counters)) ? 2 : 0;
}
