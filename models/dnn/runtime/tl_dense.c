// SPDX-License-Identifier: BSD-2-Clause
/* Matrix times vector, and softmax, which follows it at the end of a network */
#include "tl_layers.h"
#include "tl_vector.h"
#include "tm_math.h"

/* Sums that do not wait for each other */
#define CHAINS	4

static inline void add(struct tl_pair *sum, float x, struct tl_pair weights)
{
	sum->low += x * weights.low;
	sum->high += x * weights.high;
}

void tl_dense(const float *weights, const float *bias, const float *x,
	      uint32_t inputs, float *y, uint32_t outputs)
{
	uint32_t done = 0;
	uint32_t i = 0;
	uint32_t k = 0;

	while (done < outputs) {
		uint32_t lanes = outputs - done < TL_LANES ? outputs - done
							   : TL_LANES;
		struct tl_pair sums[CHAINS] = { { .low = { 0 } } };

		if (bias)
			sums[0] = tl_load_some_pair(bias + done, lanes);
		i = 0;
		for (; lanes == TL_LANES && i + CHAINS <= inputs; i += CHAINS)
#pragma GCC unroll 4
			for (k = 0; k < CHAINS; k++)
				add(&sums[k], x[i + k],
				    tl_load_pair(weights +
						 (size_t)(i + k) * TL_LANES));
		for (; i < inputs; i++)
			add(&sums[0], x[i],
			    tl_load_some_pair(weights + (size_t)i * lanes,
					      lanes));
		sums[0].low = (sums[0].low + sums[1].low) +
			      (sums[2].low + sums[3].low);
		sums[0].high = (sums[0].high + sums[1].high) +
			       (sums[2].high + sums[3].high);
		memcpy(y + done, &sums[0], lanes * sizeof(float));
		weights += (size_t)inputs * lanes;
		done += lanes;
	}
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
