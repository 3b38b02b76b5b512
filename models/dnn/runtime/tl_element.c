// SPDX-License-Identifier: BSD-2-Clause
/* What works element by element, and what only moves elements */
#include "tl_taps.h"
#include "tl_wide.h"
#include "tm_math.h"

/* Rows of a channel that are as good as one: all of them if they lie so */
static uint32_t rows_at_once(const struct tl_view *a, const struct tl_view *b,
			     const struct tl_part *part)
{
	uint32_t rows = part->row_end - part->row;

	return tl_in_one_piece(a, part->row, rows) &&
	       tl_in_one_piece(b, part->row, rows) ? rows : 1;
}

void tl_add(const struct tl_view *a, const struct tl_view *b,
	    const struct tl_view *y, const struct tl_part *part)
{
	uint32_t rows = rows_at_once(a, b, part);
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	if (rows_at_once(a, y, part) == 1)
		rows = 1;
	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row += rows) {
		const float *left = tl_row(a, c, row);
		const float *right = tl_row(b, c, row);
		float *out = tl_row(y, c, row);
		uint32_t width = y->width * rows;

		for (column = 0; column + TL_WIDTH <= width;
		     column += TL_WIDTH)
			tl_store_wide(out + column,
				      tl_load_wide(left + column) +
				      tl_load_wide(right + column));
		for (; column < width; column++)
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

/* What activations mostly are: from low to high, or up from low */
static inline __attribute__((always_inline)) tl_wide
clip_wide(tl_wide v, tl_wide low, tl_wide high, bool both)
{
	v = tl_choose_wide(v < low, low, v);

	return both ? tl_choose_wide(v > high, high, v) : v;
}

static inline __attribute__((always_inline)) uint32_t
clip_row(float low, float high, bool both, const float *x, float *y,
	 uint32_t width)
{
	tl_wide least = tl_all_wide(low);
	tl_wide most = tl_all_wide(high);
	uint32_t column = 0;
	uint32_t i = 0;

	for (; column + 4 * TL_WIDTH <= width; column += 4 * TL_WIDTH)
#pragma GCC unroll 4
		for (i = column; i < column + 4 * TL_WIDTH; i += TL_WIDTH)
			tl_store_wide(y + i, clip_wide(tl_load_wide(x + i),
						       least, most, both));
	for (; column + TL_WIDTH <= width; column += TL_WIDTH)
		tl_store_wide(y + column, clip_wide(tl_load_wide(x + column),
						    least, most, both));

	return column;
}

void tl_apply(enum tl_curve curve, float low, float high,
	      const struct tl_view *x, const struct tl_view *y,
	      const struct tl_part *part)
{
	uint32_t rows = rows_at_once(x, y, part);
	uint32_t width = y->width * rows;
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row += rows) {
		const float *in = tl_row(x, c, row);
		float *out = tl_row(y, c, row);

		column = 0;
		if (curve == TL_CLIP)
			column = clip_row(low, high, true, in, out, width);
		else if (curve == TL_RELU)
			column = clip_row(0.0f, 0.0f, false, in, out, width);
		for (; column < width; column++)
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
