// SPDX-License-Identifier: BSD-2-Clause
/* What works element by element, and what only moves elements */
#include "tl_vector.h"
#include "tm_math.h"

void tl_add(const struct tl_view *a, const struct tl_view *b,
	    const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const float *left = tl_row(a, c, row);
		const float *right = tl_row(b, c, row);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = left[column] + right[column];
	}
}

static float clip(float x, float low, float high)
{
	x = x < low ? low : x;
	return x > high ? high : x;
}

static float one(enum tl_curve curve, float low, float high, float x)
{
	switch (curve) {
	case TL_RELU:
		return x < 0.0f ? 0.0f : x;
	case TL_LEAKY:
		return x < 0.0f ? x * low : x;
	case TL_CLIP:
		return clip(x, low, high);
	case TL_SIGMOID:
		return tm_sigmoid(x);
	case TL_TANH:
		return tm_tanh(x);
	case TL_HARD_SWISH:
		return x * clip(x / 6.0f + 0.5f, 0.0f, 1.0f);
	case TL_HARD_SIGMOID:
		return clip(x * low + high, 0.0f, 1.0f);
	case TL_ERF:
		return tm_erf(x);
	case TL_EXP:
		return tm_exp(x);
	case TL_COPY:
	default:
		return x;
	}
}

/* What activations mostly are: from low to high, four at a time */
static uint32_t clip_row(float low, float high, const float *x, float *y,
			 uint32_t width)
{
	uint32_t column = 0;

	for (; column + TL_HALF <= width; column += TL_HALF) {
		tl_half v = tl_load(x + column);

		v = tl_choose((tl_mask)(v < tl_all(low)), tl_all(low), v);
		v = tl_choose((tl_mask)(v > tl_all(high)), tl_all(high), v);
		tl_store(y + column, v);
	}

	return column;
}

void tl_apply(enum tl_curve curve, float low, float high,
	      const struct tl_view *x, const struct tl_view *y,
	      const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const float *in = tl_row(x, c, row);
		float *out = tl_row(y, c, row);

		column = 0;
		if (curve == TL_CLIP)
			column = clip_row(low, high, in, out, y->width);
		else if (curve == TL_RELU)
			column = clip_row(0.0f, __builtin_inff(), in, out,
					  y->width);
		for (; column < y->width; column++)
			out[column] = one(curve, low, high, in[column]);
	}
}

void tl_move(const struct tl_view *x, uint32_t from_channel,
	     const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;

	for (c = part->channel; c < part->channel_end; c++)
		for (row = part->row; row < part->row_end; row++)
			memmove(tl_row(y, c, row),
				tl_row(x, c - part->channel + from_channel,
				       row), y->width * sizeof(float));
}

void tl_upsample(uint32_t factor, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const float *in = tl_row(x, c, row / factor);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = in[column / factor];
	}
}

void tl_scale(const float *a, const float *b, const struct tl_view *x,
	      const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		uint32_t i = c - part->channel;
		const float *in = tl_row(x, c, row);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = in[column] * a[i] + b[i];
	}
}
