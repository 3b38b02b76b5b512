// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs single operators, the parser and whole models for the tests: requests
 * on stdin, answers on stdout, every buffer of its exact size so that the
 * sanitizers see one value too far.
 *
 * A request is 14 words (operation; input and output shape; kernel, stride,
 * padding; sizes in bytes of input, weights, bias and output) and the three
 * inputs. An answer is a status word and the output.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ts_model.h"

enum operation { CONV2D, MAXPOOL, DENSE, RELU, SOFTMAX, EXP, PARSE, RUN };

struct request {
	uint32_t operation;
	struct ts_shape in;
	struct ts_shape out;
	struct ts_window window;
	uint32_t x_size;
	uint32_t weights_size;
	uint32_t bias_size;
	uint32_t y_size;
};

static void *take(uint32_t size)
{
	void *p = malloc(size);

	if (!p || fread(p, 1, size, stdin) != size)
		exit(3);

	return p;
}

/* weights hold the model file, x the images */
static enum ts_status run_model(const struct request *r, const float *x,
				const void *file, float *y)
{
	struct ts_model model = { 0 };
	enum ts_status status = ts_model_parse(file, r->weights_size, &model);
	size_t row = ts_values(&model.input);
	size_t count = r->x_size / sizeof(float);
	float *output = NULL;
	size_t i = 0;

	for (i = 0; !status && i < count / row; i++) {
		size_t arena_size = model.arena_values * sizeof(float);
		float *arena = malloc(arena_size);

		memcpy(arena, x + i * row, row * sizeof(float));
		status = ts_run(&model, arena, arena_size, &output);
		if (!status)
			memcpy(y + i * model.outputs, output,
			       model.outputs * sizeof(float));
		free(arena);
	}

	return status;
}

static enum ts_status serve(const struct request *r, float *x,
			    const float *weights, const float *bias, float *y)
{
	size_t count = r->x_size / sizeof(float);
	struct ts_model model = { 0 };
	size_t i = 0;

	switch (r->operation) {
	case CONV2D:
		ts_conv2d(x, &r->in, weights, bias, &r->window, y, &r->out);
		return TS_OK;
	case MAXPOOL:
		ts_maxpool(x, &r->in, &r->window, y, &r->out);
		return TS_OK;
	case DENSE:
		ts_dense(x, count, weights, bias, y, r->y_size / sizeof(float));
		return TS_OK;
	case RELU:
		ts_relu(x, count);
		break;
	case SOFTMAX:
		ts_softmax(x, count);
		break;
	case EXP:
		for (i = 0; i < count; i++)
			x[i] = ts_exp(x[i]);
		break;
	case PARSE:
		return ts_model_parse(x, r->x_size, &model);
	case RUN:
		return run_model(r, x, weights, y);
	default:
		exit(4);
	}
	memcpy(y, x, r->y_size);

	return TS_OK;
}

int main(void)
{
	struct request r = { 0 };

	while (fread(&r, sizeof(r), 1, stdin) == 1) {
		float *x = take(r.x_size);
		float *weights = take(r.weights_size);
		float *bias = take(r.bias_size);
		float *y = calloc(1, r.y_size);
		uint32_t status = serve(&r, x, weights, bias, y);

		if (fwrite(&status, sizeof(status), 1, stdout) != 1 ||
		    fwrite(y, 1, r.y_size, stdout) != r.y_size ||
		    fflush(stdout))
			return 5;
		free(x);
		free(weights);
		free(bias);
		free(y);
	}

	return 0;
}
