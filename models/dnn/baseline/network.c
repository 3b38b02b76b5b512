// SPDX-License-Identifier: BSD-2-Clause
/* The file of a network: read, checked, and all memory allocated at once */
#include <stdlib.h>
#include <string.h>

#include "baseline.h"

#define MOST_LAYERS	4096u
#define MOST_SIZE	65535u
#define MOST_ELEMENTS	(1u << 28)

struct reader {
	const uint8_t *data;
	size_t left;
	bool short_of;		/* more was asked for than there is */
};

static void take(struct reader *reader, void *to, size_t bytes)
{
	if (bytes > reader->left) {
		reader->short_of = true;
		memset(to, 0, bytes);
		return;
	}
	memcpy(to, reader->data, bytes);
	reader->data += bytes;
	reader->left -= bytes;
}

static uint32_t word(struct reader *reader)
{
	uint32_t value = 0;

	take(reader, &value, sizeof(value));
	return value;
}

static bool is_size(uint32_t size)
{
	return size && size <= MOST_SIZE;
}

static bool make_tensor(struct bl_network *network, struct reader *reader, struct bl_tensor *tensor)
{
	struct bl_shape *shape = &tensor->shape;
	size_t count = 0;

	take(reader, shape, sizeof(*shape));
	if (!is_size(shape->channels) || !is_size(shape->rows) || !is_size(shape->columns) ||
	    (uint64_t)shape->rows * shape->columns > MOST_ELEMENTS / shape->channels)
		return false;
	count = bl_count(shape);
	tensor->data = malloc(count * sizeof(float));
	network->tensor_bytes += count * sizeof(float);

	return tensor->data;
}

static bool take_floats(struct bl_network *network, struct reader *reader, uint32_t count,
			float **to)
{
	size_t bytes = (size_t)count * sizeof(float);

	*to = NULL;
	if (!count)
		return true;
	if (bytes > reader->left)
		return false;
	*to = malloc(bytes);
	if (!*to)
		return false;
	take(reader, *to, bytes);
	network->weight_bytes += bytes;

	return true;
}

static bool good_window(const struct bl_window *w)
{
	return is_size(w->kernel_rows) && is_size(w->kernel_columns) && is_size(w->stride_rows) &&
	       is_size(w->stride_columns) && is_size(w->dilation_rows) &&
	       is_size(w->dilation_columns) && w->pad_top <= MOST_SIZE &&
	       w->pad_left <= MOST_SIZE && w->pad_bottom <= MOST_SIZE &&
	       w->pad_right <= MOST_SIZE && is_size(w->group);
}

static bool same_plane(const struct bl_shape *a, const struct bl_shape *b)
{
	return a->rows == b->rows && a->columns == b->columns;
}

/* Convolution: what its weights must be, and room for what it unfolds */
static bool fits_conv(struct bl_network *network, const struct bl_layer *layer,
		      const struct bl_shape *x, const struct bl_shape *y)
{
	const struct bl_window *w = &layer->window;
	uint64_t taps = (uint64_t)w->kernel_rows * w->kernel_columns;
	uint64_t products = taps * (x->channels / w->group);
	uint64_t unfolded = products * y->rows * y->columns;

	if (x->channels % w->group || y->channels % w->group || products > MOST_ELEMENTS ||
	    layer->weights != products * y->channels)
		return false;
	if (bl_is_pointwise(w))
		return same_plane(x, y);
	if (unfolded > MOST_ELEMENTS)
		return false;
	if (unfolded * sizeof(float) > network->column_bytes)
		network->column_bytes = unfolded * sizeof(float);

	return true;
}

static bool fits_join(const struct bl_network *network, const struct bl_layer *layer,
		      const struct bl_shape *y)
{
	uint64_t channels = 0;
	uint32_t i = 0;

	for (i = 0; i < layer->inputs; i++) {
		const struct bl_shape *x = &network->tensor[layer->input[i]].shape;

		if (!same_plane(x, y) || (layer->operation == BL_ADD &&
					  x->channels != y->channels))
			return false;
		channels += x->channels;
	}

	return layer->operation == BL_ADD || channels == y->channels;
}

/* Whether an operation stays inside its tensors */
static bool fits(struct bl_network *network, uint32_t index)
{
	const struct bl_layer *layer = &network->layer[index];
	const struct bl_shape *x = &network->tensor[layer->input[0]].shape;
	const struct bl_shape *y = &network->tensor[index + 1].shape;
	bool weighted = layer->operation == BL_CONV || layer->operation == BL_DENSE;
	uint32_t factor = layer->window.group;

	if (!good_window(&layer->window) || (layer->biases && layer->biases != y->channels) ||
	    (!weighted && (layer->weights || layer->biases)))
		return false;
	switch (layer->operation) {
	case BL_CONV:
		return fits_conv(network, layer, x, y);
	case BL_DENSE:
		return y->rows == 1 && y->columns == 1 &&
		       layer->weights == (uint64_t)bl_count(x) * y->channels;
	case BL_MAX_POOL:
	case BL_AVERAGE_POOL:
		return x->channels == y->channels;
	case BL_UPSAMPLE:
		return x->channels == y->channels && (uint64_t)x->rows * factor == y->rows &&
		       (uint64_t)x->columns * factor == y->columns;
	case BL_ADD:
	case BL_CONCAT:
		return fits_join(network, layer, y);
	default:
		return layer->operation && layer->operation < BL_OPERATIONS &&
		       layer->inputs == 1 && bl_count(x) == bl_count(y);
	}
}

static const char *read_layer(struct bl_network *network, struct reader *reader, uint32_t index)
{
	struct bl_layer *layer = &network->layer[index];
	uint32_t i = 0;

	layer->operation = word(reader);
	layer->inputs = word(reader);
	if (!layer->inputs || layer->inputs > BL_INPUTS)
		return "a layer has no inputs, or too many";
	for (i = 0; i < layer->inputs; i++) {
		layer->input[i] = word(reader);
		if (layer->input[i] > index)
			return "a layer reads what is made after it";
	}
	if (!make_tensor(network, reader, &network->tensor[index + 1]))
		return "the output of a layer has no size, or too large a one";
	take(reader, &layer->window, sizeof(layer->window));
	take(reader, &layer->low, sizeof(layer->low));
	take(reader, &layer->high, sizeof(layer->high));
	layer->weights = word(reader);
	layer->biases = word(reader);
	if (!take_floats(network, reader, layer->weights, &layer->weight) ||
	    !take_floats(network, reader, layer->biases, &layer->bias))
		return "the weights of a layer are not all there";
	if (reader->short_of)
		return "the file is cut off";

	return fits(network, index) ? NULL : "the numbers of a layer do not fit each other";
}

static const char *read_network(struct bl_network *network, struct reader *reader)
{
	const char *wrong = NULL;
	uint32_t i = 0;

	network->tensor = calloc(network->layers + 1, sizeof(*network->tensor));
	network->layer = calloc(network->layers, sizeof(*network->layer));
	if (!network->tensor || !network->layer)
		return "no memory";
	if (!make_tensor(network, reader, &network->tensor[0]))
		return "the input has no size, or too large a one";
	for (i = 0; i < network->outputs; i++) {
		network->output[i] = word(reader);
		if (network->output[i] > network->layers)
			return "an output is not there";
	}
	for (i = 0; !wrong && i < network->layers; i++)
		wrong = read_layer(network, reader, i);
	if (!wrong && reader->left)
		wrong = "the file is too long";
	if (wrong || !network->column_bytes)
		return wrong;
	network->columns = malloc(network->column_bytes);

	return network->columns ? NULL : "no memory";
}

const char *bl_open(const void *data, size_t size, struct bl_network *network)
{
	struct reader reader = { .data = data, .left = size };
	char magic[4] = { 0 };
	const char *wrong = NULL;

	*network = (struct bl_network){ .layers = 0 };
	take(&reader, magic, sizeof(magic));
	if (memcmp(magic, "TSBL", sizeof(magic)) || word(&reader) != 1)
		return "not a network for the baseline";
	network->layers = word(&reader);
	network->outputs = word(&reader);
	if (!network->layers || network->layers > MOST_LAYERS || !network->outputs ||
	    network->outputs > BL_OUTPUTS) {
		network->layers = 0;
		return "no layers or outputs, or too many";
	}
	wrong = read_network(network, &reader);
	if (wrong)
		bl_close(network);

	return wrong;
}

void bl_close(struct bl_network *network)
{
	uint32_t i = 0;

	for (i = 0; network->tensor && i <= network->layers; i++)
		free(network->tensor[i].data);
	for (i = 0; network->layer && i < network->layers; i++) {
		free(network->layer[i].weight);
		free(network->layer[i].bias);
	}
	free(network->tensor);
	free(network->layer);
	free(network->columns);
	*network = (struct bl_network){ .layers = 0 };
}
