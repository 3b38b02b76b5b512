// SPDX-License-Identifier: BSD-2-Clause
/*
 * Running a model in one arena, see ts_model.h.
 *
 * The input of a layer lies at one end of the arena, its output at the other;
 * the next layer goes the other way. So the arena is as large as the largest
 * input and output of one layer together, and the two never overlap.
 */
#include "ts_model.h"

static void run_layer(const struct ts_layer *layer, float *x, float *y)
{
	switch (layer->kind) {
	case TS_CONV2D:
		ts_conv2d(x, &layer->in, layer->weights, layer->bias,
			  &layer->window, y, &layer->out);
		break;
	case TS_MAXPOOL:
		ts_maxpool(x, &layer->in, &layer->window, y, &layer->out);
		break;
	case TS_DENSE:
		ts_dense(x, ts_values(&layer->in), layer->weights, layer->bias,
			 y, ts_values(&layer->out));
		break;
	case TS_RELU:
		ts_relu(x, ts_values(&layer->in));
		break;
	case TS_SOFTMAX:
	default:
		ts_softmax(x, ts_values(&layer->in));
		break;
	}
}

enum ts_status ts_run(const struct ts_model *model, void *arena,
		      size_t arena_size, float **output)
{
	float *low = arena;
	float *x = low;
	uint32_t i = 0;

	if (!arena || (uintptr_t)arena % sizeof(float) ||
	    arena_size / sizeof(float) < model->arena_values)
		return TS_BAD_ARENA;

	for (i = 0; i < model->layer_count; i++) {
		const struct ts_layer *layer = model->layers + i;
		float *y = low;

		if (layer->kind == TS_RELU || layer->kind == TS_SOFTMAX) {
			run_layer(layer, x, x);
			continue;
		}
		if (x == low)
			y = low + model->arena_values - ts_values(&layer->out);
		run_layer(layer, x, y);
		x = y;
	}
	*output = x;

	return TS_OK;
}
