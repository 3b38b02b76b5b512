// SPDX-License-Identifier: BSD-2-Clause
/* What works on bytes element by element, and what only moves them */
#include "tq_vector.h"

void tq_add(const struct tq_real real[3], const struct tl_view *a,
	    const struct tl_view *b, const struct tl_view *y,
	    const struct tl_part *part)
{
	struct tq_centre left = tq_centre_of(&real[0].number);
	struct tq_centre right = tq_centre_of(&real[1].number);
	struct tq_range range = tq_range_of(&real[2].number);
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const uint8_t *in[2] = { tq_row(a, c, row), tq_row(b, c, row) };
		uint8_t *out = tq_row(y, c, row);

		for (column = 0; column < y->width; column++) {
			float first = (float)tq_centred(&left, in[0][column]) *
				      real[0].scale;
			float second = (float)tq_centred(&right, in[1][column])
				       * real[1].scale;

			out[column] = tq_saturate(&range, (first + second) /
						  real[2].scale);
		}
	}
}

void tq_table(const uint8_t table[256], bool is_signed,
	      const struct tl_view *x, const struct tl_view *y,
	      const struct tl_part *part)
{
	uint8_t flip = is_signed ? 128 : 0;
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const uint8_t *in = tq_row(x, c, row);
		uint8_t *out = tq_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = table[in[column] ^ flip];
	}
}

void tq_quantize(const struct tq_real *real, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part)
{
	struct tq_range range = tq_range_of(&real->number);
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const float *in = tl_row(x, c, row);
		uint8_t *out = tq_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = tq_saturate(&range,
						  in[column] / real->scale);
	}
}

void tq_dequantize(const struct tq_real *real, const struct tl_view *x,
		   const struct tl_view *y, const struct tl_part *part)
{
	struct tq_centre centre = tq_centre_of(&real->number);
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const uint8_t *in = tq_row(x, c, row);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = (float)tq_centred(&centre, in[column]) *
				      real->scale;
	}
}

void tq_move(const struct tl_view *x, uint32_t from_channel,
	     const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;

	for (c = part->channel; c < part->channel_end; c++)
		for (row = part->row; row < part->row_end; row++)
			memmove(tq_row(y, c, row),
				tq_row(x, c - part->channel + from_channel,
				       row), y->width);
}

void tq_upsample(uint32_t factor, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		const uint8_t *in = tq_row(x, c, row / factor);
		uint8_t *out = tq_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = in[column / factor];
	}
}
