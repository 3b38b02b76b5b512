// SPDX-License-Identifier: BSD-2-Clause
/* Matrix times vector of bytes */
#include "tq_vector.h"

static struct tq_sums all_lanes(const struct tq_centre *centre,
				const int8_t *weights, const uint8_t *x,
				uint32_t inputs, struct tq_sums sums)
{
	struct tq_sums other = { .low = { 0 } };
	uint32_t i = 0;

	/* Two sums that do not wait for each other */
	for (i = 0; i + 1 < inputs; i += 2) {
		const int8_t *w = weights + (size_t)i * TL_LANES;

		tq_add_products(&sums, tq_load_weights(w),
				tq_all((int16_t)tq_centred(centre, x[i])));
		tq_add_products(&other, tq_load_weights(w + TL_LANES),
				tq_all((int16_t)tq_centred(centre, x[i + 1])));
	}
	if (i < inputs)
		tq_add_products(&sums, tq_load_weights(weights + (size_t)i *
						       TL_LANES),
				tq_all((int16_t)tq_centred(centre, x[i])));
	sums.low += other.low;
	sums.high += other.high;

	return sums;
}

static struct tq_sums some_lanes(const struct tq_centre *centre,
				 const int8_t *weights, const uint8_t *x,
				 uint32_t inputs, uint32_t lanes,
				 struct tq_sums sums)
{
	uint32_t each[TL_LANES];
	uint32_t lane = 0;
	uint32_t i = 0;

	memcpy(each, &sums, sizeof(each));
	for (i = 0; i < inputs; i++)
		for (lane = 0; lane < lanes; lane++)
			each[lane] += (uint32_t)(tq_centred(centre, x[i]) *
						 weights[(size_t)i * lanes +
							 lane]);
	memcpy(&sums, each, sizeof(each));

	return sums;
}

void tq_dense(const struct tq_filter *filter, const uint8_t *x,
	      uint32_t inputs, uint8_t *y, uint32_t outputs)
{
	struct tq_centre centre = tq_centre_of(&filter->x);
	struct tq_range range = tq_range_of(&filter->y);
	const int8_t *weights = filter->weights;
	uint32_t done = 0;

	while (done < outputs) {
		uint32_t lanes = outputs - done < TL_LANES ? outputs - done
							   : TL_LANES;
		struct tq_multipliers multipliers =
			tq_load_multipliers(filter->multipliers + done, lanes);
		struct tq_sums sums =
			tq_load_sums(filter->bias ? filter->bias + done : NULL,
				     lanes);
		uint8_t bytes[TL_LANES];

		if (lanes == TL_LANES)
			sums = all_lanes(&centre, weights, x, inputs, sums);
		else
			sums = some_lanes(&centre, weights, x, inputs, lanes,
					  sums);
		tq_result(&range, &sums, &multipliers, bytes);
		memcpy(y + done, bytes, lanes);
		weights += (size_t)inputs * lanes;
		done += lanes;
	}
}
