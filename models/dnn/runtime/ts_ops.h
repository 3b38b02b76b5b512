/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operators of the runtime: float32, one image at a time.
 *
 * A tensor is channels x height x width, the last index fastest. Nothing here
 * allocates, keeps state or checks shapes: the model parser has checked them
 * before (see ts_model.h). Inputs and outputs must not overlap, but for
 * ts_relu() and ts_softmax(), which work in place.
 */
#ifndef TS_OPS_H
#define TS_OPS_H

#include <stddef.h>
#include <stdint.h>

struct ts_shape {
	uint32_t channels;
	uint32_t height;
	uint32_t width;
};

/* A square window that slides over the input; pad counts zeros on each side */
struct ts_window {
	uint32_t kernel;
	uint32_t stride;
	uint32_t pad;
};

/*
 * Cross-correlation with bias. Weights are (out channels, in channels, kernel,
 * kernel). pad must be less than kernel.
 */
void ts_conv2d(const float *x, const struct ts_shape *in, const float *weights,
	       const float *bias, const struct ts_window *window, float *y,
	       const struct ts_shape *out);

/* The largest value of every window; window->pad is not used */
void ts_maxpool(const float *x, const struct ts_shape *in,
		const struct ts_window *window, float *y,
		const struct ts_shape *out);

/* y = weights (outputs x inputs) times x, plus bias */
void ts_dense(const float *x, size_t inputs, const float *weights,
	      const float *bias, float *y, size_t outputs);

/* Every negative value becomes 0 */
void ts_relu(float *x, size_t count);

/* Exponentials, scaled to sum to 1 */
void ts_softmax(float *x, size_t count);

/*
 * e to the power of x, to a relative error below 3e-7. Below -87 the result is
 * 0, above 88 that of 88: a trusted application has no libm to link with.
 */
float ts_exp(float x);

#endif /* TS_OPS_H */
