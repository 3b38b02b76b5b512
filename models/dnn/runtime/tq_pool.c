// SPDX-License-Identifier: BSD-2-Clause
/* Windows of bytes reduced to their largest value or their mean */
#include "tl_taps.h"
#include "tq_vector.h"

void tq_max_pool(const struct tl_window *window, bool is_signed,
		 const struct tl_view *x, const struct tl_view *y,
		 const struct tl_part *part)
{
	uint8_t flip = is_signed ? 128 : 0;
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		struct tl_taps rows = tl_taps_of_row(window, row);
		uint8_t *out = tq_row(y, c, row);

		for (column = 0; column < y->width; column++) {
			struct tl_taps columns =
				tl_taps_of_column(window, column, x->width);
			uint8_t most = 0;

			for (i = rows.first; i < rows.end; i++) {
				const uint8_t *in = tq_row(x, c, (uint32_t)
						(rows.start + (int64_t)i *
						 window->dilation_rows));

				for (j = columns.first; j < columns.end; j++) {
					uint8_t v = in[columns.start +
						(int64_t)j *
						window->dilation_columns] ^ flip;

					if (v > most)
						most = v;
				}
			}
			out[column] = most ^ flip;
		}
	}
}

/* The sum of one window, less zeros */
static int64_t sum_of(const struct tl_window *window, struct tl_taps rows,
		      struct tl_taps columns, struct tq_centre centre,
		      const struct tl_view *x, uint32_t channel)
{
	int64_t sum = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = rows.first; i < rows.end; i++) {
		const uint8_t *in = tq_row(x, channel, (uint32_t)
					   (rows.start + (int64_t)i *
					    window->dilation_rows));

		for (j = columns.first; j < columns.end; j++)
			sum += tq_centred(&centre, in[columns.start + (int64_t)j *
						      window->dilation_columns]);
	}

	return sum;
}

void tq_average_pool(const struct tl_window *window, bool whole,
		     const uint32_t pad_end[2], const struct tq_mean *mean,
		     const struct tl_view *x, const struct tl_view *y,
		     const struct tl_part *part)
{
	struct tq_centre centre = tq_centre_of(&mean->x);
	struct tq_range range = tq_range_of(&mean->y);
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		struct tl_taps rows = tl_taps_of_row(window, row);
		uint32_t high = tl_counted(&rows, whole, window->kernel_rows,
					   window->dilation_rows,
					   window->in_rows, pad_end[0]);
		uint8_t *out = tq_row(y, c, row);

		for (column = 0; column < y->width; column++) {
			struct tl_taps columns =
				tl_taps_of_column(window, column, x->width);
			uint32_t wide = tl_counted(&columns, whole,
						   window->kernel_columns,
						   window->dilation_columns,
						   x->width, pad_end[1]);
			float sum = (float)sum_of(window, rows, columns, centre,
						  x, c);

			out[column] = tq_saturate(&range, sum * (mean->ratio /
						  (float)(high * wide)));
		}
	}
}

void tq_global_average(uint32_t in_rows, const struct tq_mean *mean,
		       const struct tl_view *x, const struct tl_view *y,
		       const struct tl_part *part)
{
	struct tq_centre centre = tq_centre_of(&mean->x);
	struct tq_range range = tq_range_of(&mean->y);
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++) {
		int64_t sum = 0;

		for (row = 0; row < in_rows; row++) {
			const uint8_t *in = tq_row(x, c, row);

			for (column = 0; column < x->width; column++)
				sum += tq_centred(&centre, in[column]);
		}
		*tq_row(y, c, 0) = tq_saturate(&range,
					       (float)sum * mean->ratio);
	}
}
