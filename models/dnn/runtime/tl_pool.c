// SPDX-License-Identifier: BSD-2-Clause
/* Windows reduced to their largest value or their mean */
#include "tl_taps.h"

void tl_max_pool(const struct tl_window *window, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		struct tl_taps rows = tl_taps_of_row(window, row);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = -__builtin_inff();
		for (i = rows.first; i < rows.end; i++) {
			const float *in = tl_row(x, c, (uint32_t)(rows.start +
						 (int64_t)i *
						 window->dilation_rows));

			for (column = 0; column < y->width; column++) {
				struct tl_taps columns =
					tl_taps_of_column(window, column,
							  x->width);

				for (j = columns.first; j < columns.end; j++) {
					float v = in[columns.start + (int64_t)j *
						     window->dilation_columns];

					if (v > out[column])
						out[column] = v;
				}
			}
		}
	}
}

void tl_average_pool(const struct tl_window *window, bool whole,
		     const uint32_t pad_end[2], const struct tl_view *x,
		     const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (c = part->channel; c < part->channel_end; c++)
	for (row = part->row; row < part->row_end; row++) {
		struct tl_taps rows = tl_taps_of_row(window, row);
		uint32_t high = tl_counted(&rows, whole, window->kernel_rows,
					   window->dilation_rows,
					   window->in_rows, pad_end[0]);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++) {
			struct tl_taps columns =
				tl_taps_of_column(window, column, x->width);
			uint32_t wide = tl_counted(&columns, whole,
						   window->kernel_columns,
						   window->dilation_columns,
						   x->width, pad_end[1]);
			float sum = 0.0f;

			for (i = rows.first; i < rows.end; i++) {
				const float *in = tl_row(x, c, (uint32_t)
						(rows.start + (int64_t)i *
						 window->dilation_rows));

				for (j = columns.first; j < columns.end; j++)
					sum += in[columns.start + (int64_t)j *
						  window->dilation_columns];
			}
			out[column] = sum / (float)(high * wide);
		}
	}
}

void tl_global_average(uint32_t in_rows, const struct tl_view *x,
		       const struct tl_view *y, const struct tl_part *part)
{
	uint32_t c = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (c = part->channel; c < part->channel_end; c++) {
		float total = 0.0f;

		/* A sum of sums: the error grows with rows + columns only */
		for (row = 0; row < in_rows; row++) {
			const float *in = tl_row(x, c, row);
			float sum = 0.0f;

			for (column = 0; column < x->width; column++)
				sum += in[column];
			total += sum;
		}
		*tl_row(y, c, 0) = total / ((float)in_rows * (float)x->width);
	}
}
