// SPDX-License-Identifier: BSD-2-Clause
/* Windows reduced to their largest value or their mean */
#include "tl_taps.h"
#include "tl_vector.h"

/* What is made now: one row of one channel */
struct job {
	const struct tl_window *window;
	const struct tl_view *x;
	uint32_t channel;
	struct tl_taps rows;
};

static const float *input_row(const struct job *job, uint32_t kernel_row)
{
	return tl_row(job->x, job->channel,
		      (uint32_t)(job->rows.start + (int64_t)kernel_row *
				 job->window->dilation_rows));
}

/* The largest of one window, padding or not */
static float most_of(const struct job *job, uint32_t column)
{
	struct tl_taps columns = tl_taps_of_column(job->window, column,
						   job->x->width);
	float most = -__builtin_inff();
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i);

		for (j = columns.first; j < columns.end; j++) {
			float v = x[columns.start + (int64_t)j *
				    job->window->dilation_columns];

			if (v > most)
				most = v;
		}
	}

	return most;
}

/* Those of four windows that do not meet padding */
static inline __attribute__((always_inline)) tl_half
most_of_four(const struct job *job, uint32_t column, uint32_t stride)
{
	tl_half most = tl_all(-__builtin_inff());
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i) +
				 (column * stride - job->window->pad_columns);

		for (j = 0; j < job->window->kernel_columns; j++) {
			tl_half v = tl_gather(x, stride);

			most = tl_choose((tl_mask)(v > most), v, most);
			x += job->window->dilation_columns;
		}
	}

	return most;
}

static void make_row(const struct job *job, uint32_t from, uint32_t to,
		     float *y, uint32_t width)
{
	uint32_t stride = job->window->stride_columns;
	uint32_t column = 0;

	for (column = 0; column < from; column++)
		y[column] = most_of(job, column);
	for (; column + TL_HALF <= to; column += TL_HALF) {
		if (stride == 1)
			tl_store(y + column, most_of_four(job, column, 1));
		else if (stride == 2)
			tl_store(y + column, most_of_four(job, column, 2));
		else
			tl_store(y + column, most_of_four(job, column, stride));
	}
	for (; column < width; column++)
		y[column] = most_of(job, column);
}

void tl_max_pool(const struct tl_window *window, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part)
{
	struct job job = { .window = window, .x = x };
	uint32_t from = 0;
	uint32_t to = 0;
	uint32_t row = 0;

	tl_columns_inside(window, x->width, y->width, &from, &to);
	for (job.channel = part->channel; job.channel < part->channel_end;
	     job.channel++) {
		for (row = part->row; row < part->row_end; row++) {
			job.rows = tl_taps_of_row(window, row);
			make_row(&job, from, to, tl_row(y, job.channel, row),
				 y->width);
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
