// SPDX-License-Identifier: BSD-2-Clause
/* The operators of the runtime, see ts_ops.h */
#include <string.h>

#include "ts_ops.h"

/* The rows or columns of a window that lie on the input and not on padding */
struct span {
	uint32_t first;	/* first tap of the kernel that counts */
	uint32_t end;	/* one past the last */
	uint32_t start;	/* where tap 0 lies, in padded coordinates */
};

static void clip(struct span *s, const struct ts_window *window,
		 uint32_t position, uint32_t size)
{
	/* The last window ends at size + 2 * pad and pad < kernel */
	s->start = position * window->stride;
	s->first = s->start < window->pad ? window->pad - s->start : 0;
	s->end = size + window->pad - s->start;
	if (s->end > window->kernel)
		s->end = window->kernel;
}

/* One output value of one input channel */
static float correlate(const float *plane, uint32_t width, const float *filter,
		       const struct ts_window *window, const struct span *rows,
		       const struct span *columns)
{
	float sum = 0.0f;
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = rows->first; i < rows->end; i++) {
		size_t row = rows->start + i - window->pad;
		const float *x = plane + row * width;
		const float *f = filter + (size_t)i * window->kernel;

		for (j = columns->first; j < columns->end; j++)
			sum += x[columns->start + j - window->pad] * f[j];
	}

	return sum;
}

void ts_conv2d(const float *x, const struct ts_shape *in, const float *weights,
	       const float *bias, const struct ts_window *window, float *y,
	       const struct ts_shape *out)
{
	size_t plane = (size_t)in->height * in->width;
	size_t taps = (size_t)window->kernel * window->kernel;
	struct span rows = { 0 };
	struct span columns = { 0 };
	uint32_t o = 0;
	uint32_t i = 0;
	uint32_t j = 0;
	uint32_t c = 0;

	for (o = 0; o < out->channels; o++) {
		const float *filter = weights + o * in->channels * taps;

		for (i = 0; i < out->height; i++) {
			clip(&rows, window, i, in->height);
			for (j = 0; j < out->width; j++) {
				float sum = bias[o];

				clip(&columns, window, j, in->width);
				for (c = 0; c < in->channels; c++)
					sum += correlate(x + c * plane,
							 in->width,
							 filter + c * taps,
							 window, &rows,
							 &columns);
				*y++ = sum;
			}
		}
	}
}

static float largest(const float *x, uint32_t width, uint32_t kernel)
{
	float most = x[0];
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = 0; i < kernel; i++)
		for (j = 0; j < kernel; j++)
			if (x[(size_t)i * width + j] > most)
				most = x[(size_t)i * width + j];

	return most;
}

void ts_maxpool(const float *x, const struct ts_shape *in,
		const struct ts_window *window, float *y,
		const struct ts_shape *out)
{
	size_t plane = (size_t)in->height * in->width;
	uint32_t c = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (c = 0; c < out->channels; c++) {
		for (i = 0; i < out->height; i++) {
			const float *row = x + c * plane +
				(size_t)i * window->stride * in->width;

			for (j = 0; j < out->width; j++)
				*y++ = largest(row + (size_t)j * window->stride,
					       in->width, window->kernel);
		}
	}
}

void ts_dense(const float *x, size_t inputs, const float *weights,
	      const float *bias, float *y, size_t outputs)
{
	size_t o = 0;
	size_t i = 0;

	for (o = 0; o < outputs; o++) {
		float sum = bias[o];

		for (i = 0; i < inputs; i++)
			sum += weights[o * inputs + i] * x[i];
		y[o] = sum;
	}
}

void ts_relu(float *x, size_t count)
{
	size_t i = 0;

	for (i = 0; i < count; i++)
		if (x[i] < 0.0f)
			x[i] = 0.0f;
}

void ts_softmax(float *x, size_t count)
{
	float most = x[0];
	float sum = 0.0f;
	size_t i = 0;

	for (i = 1; i < count; i++)
		if (x[i] > most)
			most = x[i];

	/* Taking the largest away keeps every power within 0 to 1 */
	for (i = 0; i < count; i++) {
		x[i] = ts_exp(x[i] - most);
		sum += x[i];
	}
	for (i = 0; i < count; i++)
		x[i] /= sum;
}

float ts_exp(float x)
{
	/* ln 2 in two parts, so that k * ln 2 is exact to the last bit of x */
	const float ln2_high = 0.693359375f;
	const float ln2_low = -2.12194440e-4f;
	const float log2_e = 1.44269504f;
	uint32_t bits = 0;
	float scale = 0.0f;
	float r = 0.0f;
	float p = 0.0f;
	int32_t k = 0;

	if (x < -87.0f)
		return 0.0f;
	if (x > 88.0f)
		x = 88.0f;
	if (!(x >= -87.0f))
		return x; /* not a number */

	k = (int32_t)(x * log2_e + (x < 0.0f ? -0.5f : 0.5f));
	r = x - (float)k * ln2_high;
	r -= (float)k * ln2_low;

	/* Taylor's series to the sixth power: |r| is at most ln 2 / 2 */
	p = 1.0f / 720.0f;
	p = p * r + 1.0f / 120.0f;
	p = p * r + 1.0f / 24.0f;
	p = p * r + 1.0f / 6.0f;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;

	bits = (uint32_t)(k + 127) << 23;
	memcpy(&scale, &bits, sizeof(scale));

	return p * scale;
}
