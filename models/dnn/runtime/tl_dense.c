// SPDX-License-Identifier: BSD-2-Clause
/* Matrix times vector, and softmax, which follows it at the end of a network */
#include "tl_layers.h"
#include "tl_vector.h"
#include "tm_math.h"

/* Sums that do not wait for each other */
#define CHAINS	4

/* TL_LANES outputs */
static void lanes_of(const float *weights, const float *bias, const float *x,
		     uint32_t inputs, float *y)
{
	tl_half low[CHAINS] = { { 0.0f } };
	tl_half high[CHAINS] = { { 0.0f } };
	uint32_t i = 0;
	uint32_t k = 0;

	if (bias) {
		low[0] = tl_load(bias);
		high[0] = tl_load(bias + TL_HALF);
	}
	for (; i + CHAINS <= inputs; i += CHAINS)
#pragma GCC unroll 4
		for (k = 0; k < CHAINS; k++, weights += TL_LANES) {
			low[k] += x[i + k] * tl_load(weights);
			high[k] += x[i + k] * tl_load(weights + TL_HALF);
		}
	for (; i < inputs; i++, weights += TL_LANES) {
		low[0] += x[i] * tl_load(weights);
		high[0] += x[i] * tl_load(weights + TL_HALF);
	}
	tl_store(y, (low[0] + low[1]) + (low[2] + low[3]));
	tl_store(y + TL_HALF, (high[0] + high[1]) + (high[2] + high[3]));
}

void tl_dense(const float *weights, const float *bias, const float *x,
	      uint32_t inputs, float *y, uint32_t outputs)
{
	uint32_t lanes = outputs % TL_LANES;
	uint32_t whole = outputs - lanes;
	float some[TL_LANES] = { 0.0f };
	uint32_t done = 0;
	uint32_t i = 0;

	for (done = 0; done < whole; done += TL_LANES)
		lanes_of(weights + (size_t)done * inputs,
			 bias ? bias + done : NULL, x, inputs, y + done);
	weights += (size_t)whole * inputs;
	for (i = 0; bias && i < lanes; i++)
		some[i] = bias[done + i];
	for (i = 0; lanes && i < inputs; i++, weights += lanes)
		tl_meet_some(some, weights, lanes, x[i]);
	memcpy(y + done, some, lanes * sizeof(*y));
}

void tl_softmax(const float *x, float *y, size_t count)
{
	float most = x[0];
	double sum = 0.0;
	size_t i = 0;

	for (i = 1; i < count; i++)
		if (x[i] > most)
			most = x[i];

	/* Taking the largest away keeps every power within 0 to 1 */
	for (i = 0; i < count; i++) {
		y[i] = tm_exp(x[i] - most);
		sum += y[i];
	}
	for (i = 0; i < count; i++)
		y[i] = (float)(y[i] / sum);
}
