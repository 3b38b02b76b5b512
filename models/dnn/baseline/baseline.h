/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A naive runtime, to compare with: what programs commonly do in a TEE today. All weights are
 * resident, every layer has an output of its own that stays, convolutions unfold their input
 * (im2col) and multiply by three loops. No plan, no tiles, nothing reused but the unfolded input.
 *
 * A network is a file, as export.py writes it, of words (32 bits, little-endian; floats are
 * binary32 in a word):
 *
 *	"TSBL", format (1), layers, outputs, channels, rows, columns of the input,
 *	per output the number of its tensor,
 *	per layer: operation, inputs, their tensors, channels, rows, columns of its output,
 *	the words of struct bl_window, low, high, number of weights, number of biases,
 *	then the weights and the biases
 *
 * Tensor 0 is the input, tensor k + 1 what layer k makes. Batch 1; channel by channel, row by row.
 */
#ifndef BASELINE_H
#define BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BL_INPUTS	8
#define BL_OUTPUTS	4

enum bl_operation {
	BL_CONV = 1,
	BL_DENSE,
	BL_RELU,
	BL_CLIP,		/* low, high */
	BL_LEAKY,		/* low: the slope below zero */
	BL_SIGMOID,
	BL_MAX_POOL,
	BL_AVERAGE_POOL,	/* with a window of the whole plane, the global average */
	BL_ADD,
	BL_CONCAT,		/* of channels */
	BL_UPSAMPLE,		/* group: the factor */
	BL_SOFTMAX,		/* over all elements */
	BL_COPY,		/* the same elements in another shape */
	BL_OPERATIONS
};

struct bl_shape {
	uint32_t channels;
	uint32_t rows;
	uint32_t columns;
};

/* As in the file */
struct bl_window {
	uint32_t kernel_rows;
	uint32_t kernel_columns;
	uint32_t stride_rows;
	uint32_t stride_columns;
	uint32_t dilation_rows;
	uint32_t dilation_columns;
	uint32_t pad_top;
	uint32_t pad_left;
	uint32_t pad_bottom;
	uint32_t pad_right;
	uint32_t group;
	uint32_t whole;		/* averages: padding counts as zeros */
};

struct bl_tensor {
	struct bl_shape shape;
	float *data;
};

struct bl_layer {
	uint32_t operation;
	uint32_t inputs;
	uint32_t input[BL_INPUTS];
	struct bl_window window;
	float low;
	float high;
	uint32_t weights;
	uint32_t biases;
	float *weight;
	float *bias;		/* NULL: none */
};

struct bl_network {
	uint32_t layers;
	uint32_t outputs;
	uint32_t output[BL_OUTPUTS];
	struct bl_tensor *tensor;	/* layers + 1 */
	struct bl_layer *layer;
	float *columns;			/* the unfolded input of the largest convolution */
	/* Bytes of these, for good */
	uint64_t weight_bytes;
	uint64_t tensor_bytes;
	uint64_t column_bytes;
};

/* Elements of a tensor */
size_t bl_count(const struct bl_shape *shape);

/*
 * Reads a file and allocates all that the network needs; the file is not needed after.
 * NULL, or what is wrong with the file; then there is nothing to close.
 */
const char *bl_open(const void *data, size_t size, struct bl_network *network);
void bl_close(struct bl_network *network);

/* Whether a convolution is a product as it lies, without unfolding */
bool bl_is_pointwise(const struct bl_window *window);

/* One layer; tensor 0 is filled by the caller before the first */
void bl_run(const struct bl_network *network, uint32_t layer);

#endif /* BASELINE_H */
