// SPDX-License-Identifier: BSD-2-Clause
/* The operations, each as its definition */
#include "baseline.h"
#include "tm_math.h"

size_t bl_count(const struct bl_shape *shape)
{
	return (size_t)shape->channels * shape->rows * shape->columns;
}

bool bl_is_pointwise(const struct bl_window *window)
{
	return window->kernel_rows == 1 && window->kernel_columns == 1 &&
	       window->stride_rows == 1 && window->stride_columns == 1 && !window->pad_top &&
	       !window->pad_left && !window->pad_bottom && !window->pad_right;
}

/* One element of every window of a channel: a row of the unfolded input */
static void unfold_tap(const float *x, const struct bl_shape *in, const struct bl_shape *out,
		       const struct bl_window *w, uint32_t i, uint32_t j, float *to)
{
	uint32_t r = 0;
	uint32_t c = 0;

	for (r = 0; r < out->rows; r++) {
		int64_t row = (int64_t)r * w->stride_rows + (int64_t)i * w->dilation_rows -
			      w->pad_top;
		bool inside = row >= 0 && row < in->rows;

		for (c = 0; c < out->columns; c++) {
			int64_t column = (int64_t)c * w->stride_columns +
					 (int64_t)j * w->dilation_columns - w->pad_left;

			*to++ = inside && column >= 0 && column < in->columns ?
				x[row * in->columns + column] : 0;
		}
	}
}

static void unfold(const float *x, const struct bl_shape *in, const struct bl_shape *out,
		   const struct bl_window *w, uint32_t channels, float *to)
{
	size_t plane = (size_t)out->rows * out->columns;
	uint32_t channel = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (channel = 0; channel < channels; channel++, x += (size_t)in->rows * in->columns)
		for (i = 0; i < w->kernel_rows; i++)
			for (j = 0; j < w->kernel_columns; j++, to += plane)
				unfold_tap(x, in, out, w, i, j, to);
}

/* y (m rows of n) += a (m rows of k) b (k rows of n) */
static void multiply(size_t m, size_t n, size_t k, const float *restrict a,
		     const float *restrict b, float *restrict y)
{
	size_t i = 0;
	size_t j = 0;
	size_t l = 0;

	for (i = 0; i < m; i++)
		for (l = 0; l < k; l++) {
			float factor = a[i * k + l];

			for (j = 0; j < n; j++)
				y[i * n + j] += factor * b[l * n + j];
		}
}

static void conv(const struct bl_network *network, const struct bl_layer *layer,
		 const struct bl_tensor *x, struct bl_tensor *y)
{
	const struct bl_window *w = &layer->window;
	size_t n = (size_t)y->shape.rows * y->shape.columns;
	uint32_t inputs = x->shape.channels / w->group;
	uint32_t outputs = y->shape.channels / w->group;
	size_t k = (size_t)inputs * w->kernel_rows * w->kernel_columns;
	uint32_t channel = 0;
	uint32_t group = 0;
	size_t i = 0;

	for (channel = 0; channel < y->shape.channels; channel++)
		for (i = 0; i < n; i++)
			y->data[channel * n + i] = layer->bias ? layer->bias[channel] : 0;
	for (group = 0; group < w->group; group++) {
		const float *from = x->data + (size_t)group * inputs * x->shape.rows *
				    x->shape.columns;

		if (!bl_is_pointwise(w)) {
			unfold(from, &x->shape, &y->shape, w, inputs, network->columns);
			from = network->columns;
		}
		multiply(outputs, n, k, layer->weight + group * outputs * k, from,
			 y->data + group * outputs * n);
	}
}

static void dense(const struct bl_layer *layer, const struct bl_tensor *x, struct bl_tensor *y)
{
	size_t count = bl_count(&x->shape);
	uint32_t channel = 0;
	size_t i = 0;

	for (channel = 0; channel < y->shape.channels; channel++) {
		const float *weight = layer->weight + channel * count;
		float sum = layer->bias ? layer->bias[channel] : 0;

		for (i = 0; i < count; i++)
			sum += weight[i] * x->data[i];
		y->data[channel] = sum;
	}
}

static void elements(const struct bl_layer *layer, const struct bl_tensor *x, struct bl_tensor *y)
{
	size_t count = bl_count(&y->shape);
	size_t i = 0;

	for (i = 0; i < count; i++) {
		float v = x->data[i];

		if (layer->operation == BL_RELU)
			v = v > 0 ? v : 0;
		else if (layer->operation == BL_LEAKY)
			v = v < 0 ? layer->low * v : v;
		else if (layer->operation == BL_SIGMOID)
			v = tm_sigmoid(v);
		else if (layer->operation == BL_CLIP && v < layer->low)
			v = layer->low;
		if (layer->operation == BL_CLIP && v > layer->high)
			v = layer->high;
		y->data[i] = v;
	}
}

/* The largest, or the mean, of one window */
static float pooled(const struct bl_layer *layer, const float *x, const struct bl_shape *in,
		    uint32_t r, uint32_t c)
{
	const struct bl_window *w = &layer->window;
	float most = -__builtin_inff();
	uint32_t count = 0;
	float sum = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = 0; i < w->kernel_rows; i++)
		for (j = 0; j < w->kernel_columns; j++) {
			int64_t row = (int64_t)r * w->stride_rows +
				      (int64_t)i * w->dilation_rows - w->pad_top;
			int64_t column = (int64_t)c * w->stride_columns +
					 (int64_t)j * w->dilation_columns - w->pad_left;

			if (row < 0 || column < 0 || row >= in->rows || column >= in->columns) {
				count += w->whole && row < (int64_t)in->rows + w->pad_bottom &&
					 column < (int64_t)in->columns + w->pad_right;
				continue;
			}
			count++;
			sum += x[row * in->columns + column];
			if (x[row * in->columns + column] > most)
				most = x[row * in->columns + column];
		}

	return layer->operation == BL_MAX_POOL ? most : sum / (float)count;
}

static void pool(const struct bl_layer *layer, const struct bl_tensor *x, struct bl_tensor *y)
{
	const float *plane = x->data;
	float *to = y->data;
	uint32_t channel = 0;
	uint32_t r = 0;
	uint32_t c = 0;

	for (channel = 0; channel < y->shape.channels; channel++) {
		for (r = 0; r < y->shape.rows; r++)
			for (c = 0; c < y->shape.columns; c++)
				*to++ = pooled(layer, plane, &x->shape, r, c);
		plane += (size_t)x->shape.rows * x->shape.columns;
	}
}

static void upsample(const struct bl_layer *layer, const struct bl_tensor *x, struct bl_tensor *y)
{
	uint32_t factor = layer->window.group;
	float *to = y->data;
	uint32_t channel = 0;
	uint32_t r = 0;
	uint32_t c = 0;

	for (channel = 0; channel < y->shape.channels; channel++)
		for (r = 0; r < y->shape.rows; r++)
			for (c = 0; c < y->shape.columns; c++)
				*to++ = x->data[((size_t)channel * x->shape.rows + r / factor) *
						x->shape.columns + c / factor];
}

static void softmax(const struct bl_tensor *x, struct bl_tensor *y)
{
	size_t count = bl_count(&y->shape);
	float most = x->data[0];
	double sum = 0;
	size_t i = 0;

	for (i = 0; i < count; i++)
		if (x->data[i] > most)
			most = x->data[i];
	for (i = 0; i < count; i++) {
		y->data[i] = tm_exp(x->data[i] - most);
		sum += y->data[i];
	}
	for (i = 0; i < count; i++)
		y->data[i] = (float)(y->data[i] / sum);
}

/* Copies one input after the other, or adds the second to the first */
static void join(const struct bl_network *network, const struct bl_layer *layer, float *y)
{
	uint32_t input = 0;
	size_t i = 0;

	for (input = 0; input < layer->inputs; input++) {
		const struct bl_tensor *x = &network->tensor[layer->input[input]];
		size_t count = bl_count(&x->shape);
		bool sum = layer->operation == BL_ADD && input;

		for (i = 0; i < count; i++)
			y[i] = sum ? y[i] + x->data[i] : x->data[i];
		y += layer->operation == BL_ADD ? 0 : count;
	}
}

void bl_run(const struct bl_network *network, uint32_t index)
{
	const struct bl_layer *layer = &network->layer[index];
	const struct bl_tensor *x = &network->tensor[layer->input[0]];
	struct bl_tensor *y = &network->tensor[index + 1];

	switch (layer->operation) {
	case BL_CONV:
		conv(network, layer, x, y);
		break;
	case BL_DENSE:
		dense(layer, x, y);
		break;
	case BL_MAX_POOL:
	case BL_AVERAGE_POOL:
		pool(layer, x, y);
		break;
	case BL_UPSAMPLE:
		upsample(layer, x, y);
		break;
	case BL_SOFTMAX:
		softmax(x, y);
		break;
	case BL_ADD:
	case BL_CONCAT:
	case BL_COPY:
		join(network, layer, y->data);
		break;
	default:
		elements(layer, x, y);
		break;
	}
}
