// SPDX-License-Identifier: BSD-2-Clause
/* Windows reduced to their largest value or their mean */
#include "tl_layers.h"

/* The taps of a window that lie on the input, along one axis */
struct taps {
	int64_t start;	/* where tap 0 lies */
	uint32_t first;
	uint32_t end;
};

static struct taps taps_of(uint32_t position, uint32_t stride, uint32_t pad,
			   uint32_t dilation, uint32_t kernel, uint32_t size)
{
	struct taps taps = { .start = (int64_t)position * stride - pad };
	uint32_t i = 0;

	taps.first = kernel;
	for (i = 0; i < kernel; i++) {
		int64_t at = taps.start + (int64_t)i * dilation;

		if (at < 0 || at >= size)
			continue;
		if (taps.first == kernel)
			taps.first = i;
		taps.end = i + 1;
	}

	return taps;
}

static struct taps rows_of(const struct tl_window *window, uint32_t row)
{
	return taps_of(row, window->stride_rows, window->pad_rows,
		       window->dilation_rows, window->kernel_rows,
		       window->in_rows);
}

static struct taps columns_of(const struct tl_window *window, uint32_t column,
			      uint32_t width)
{
	return taps_of(column, window->stride_columns, window->pad_columns,
		       window->dilation_columns, window->kernel_columns, width);
}

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
		struct taps rows = rows_of(window, row);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++)
			out[column] = -__builtin_inff();
		for (i = rows.first; i < rows.end; i++) {
			const float *in = tl_row(x, c, (uint32_t)(rows.start +
						 (int64_t)i *
						 window->dilation_rows));

			for (column = 0; column < y->width; column++) {
				struct taps columns = columns_of(window, column,
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

/* Taps that count, of those that may lie on padding up to `size` + `pad_end` */
static uint32_t counted(const struct taps *taps, bool whole, uint32_t kernel,
			uint32_t dilation, uint32_t size, uint32_t pad_end)
{
	uint32_t count = 0;
	uint32_t i = 0;

	if (!whole)
		return taps->end - taps->first;
	for (i = 0; i < kernel; i++)
		if (taps->start + (int64_t)i * dilation <
		    (int64_t)size + pad_end)
			count++;

	return count;
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
		struct taps rows = rows_of(window, row);
		uint32_t high = counted(&rows, whole, window->kernel_rows,
					window->dilation_rows, window->in_rows,
					pad_end[0]);
		float *out = tl_row(y, c, row);

		for (column = 0; column < y->width; column++) {
			struct taps columns = columns_of(window, column,
							 x->width);
			uint32_t wide = counted(&columns, whole,
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
