// SPDX-License-Identifier: BSD-2-Clause
/* Convolution of every channel with a window of its own, along rows */
#include "tl_taps.h"
#include "tl_vector.h"

/* What is made now: one row of one channel */
struct job {
	const struct tl_filter *filter;
	const struct tl_view *x;
	const float *weights;
	uint32_t channel;
	struct tl_taps rows;
	uint32_t from;	/* columns [from, to) do not meet padding */
	uint32_t to;
	float bias;
};

static const float *input_row(const struct job *job, uint32_t kernel_row)
{
	return tl_row(job->x, job->channel,
		      (uint32_t)(job->rows.start + (int64_t)kernel_row *
				 job->filter->window.dilation_rows));
}

/* One column, padding or not */
static float single(const struct job *job, uint32_t column)
{
	const struct tl_window *window = &job->filter->window;
	struct tl_taps columns = tl_taps_of_column(window, column,
						   job->x->width);
	float sum = job->bias;
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i);
		const float *w = job->weights +
				 (size_t)i * window->kernel_columns;

		for (j = columns.first; j < columns.end; j++)
			sum += w[j] * x[columns.start + (int64_t)j *
					window->dilation_columns];
	}

	return sum;
}

/*
 * 4 times `quads` columns (1 or 2) from `column` on, none of whose windows meets
 * padding
 */
static inline __attribute__((always_inline)) void
inner(const struct job *job, uint32_t column, uint32_t stride, uint32_t across,
      uint32_t quads, float *y)
{
	const struct tl_window *window = &job->filter->window;
	tl_half sum = tl_all(job->bias);
	tl_half more = sum;
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i) +
				 (column * stride - window->pad_columns);
		const float *w = job->weights + (size_t)i * across;

#pragma GCC unroll 3
		for (j = 0; j < across; j++) {
			sum += tl_gather(x, stride) * w[j];
			if (quads == 2)
				more += tl_gather(x + 4 * stride, stride) *
					w[j];
			x += window->dilation_columns;
		}
	}
	tl_store(y + column, sum);
	if (quads == 2)
		tl_store(y + column + TL_HALF, more);
}

static inline __attribute__((always_inline)) void
many(const struct job *job, uint32_t column, uint32_t quads, float *y)
{
	uint32_t stride = job->filter->window.stride_columns;
	uint32_t across = job->filter->window.kernel_columns;

	if (stride == 1 && across == 3)
		inner(job, column, 1, 3, quads, y);
	else if (stride == 2 && across == 3)
		inner(job, column, 2, 3, quads, y);
	else
		inner(job, column, stride, across, quads, y);
}

static void make_row(const struct job *job, float *y, uint32_t width)
{
	uint32_t from = job->from;
	uint32_t to = job->to;
	uint32_t column = 0;

	for (column = 0; column < from; column++)
		y[column] = single(job, column);
	for (column = from; column + 2 * TL_HALF <= to; column += 2 * TL_HALF)
		many(job, column, 2, y);
	for (; column + TL_HALF <= to; column += TL_HALF)
		many(job, column, 1, y);
	if (column < to)
		many(job, to - TL_HALF, 1, y);
	for (column = to; column < width; column++)
		y[column] = single(job, column);
}

void tl_depthwise(const struct tl_filter *filter, const struct tl_view *x,
		  const struct tl_view *y, const struct tl_part *part)
{
	uint32_t taps = filter->window.kernel_rows *
			filter->window.kernel_columns;
	struct job job = { .filter = filter, .x = x };
	uint32_t row = 0;

	tl_columns_inside(&filter->window, x->width, y->width, &job.from,
			  &job.to);
	if (job.to - job.from < TL_HALF)
		job.from = job.to = y->width;
	for (job.channel = part->channel; job.channel < part->channel_end;
	     job.channel++) {
		uint32_t index = job.channel - part->channel;

		job.weights = filter->weights + (size_t)index * taps;
		job.bias = filter->bias ? filter->bias[index] : 0.0f;
		for (row = part->row; row < part->row_end; row++) {
			job.rows = tl_taps_of_row(&filter->window, row);
			make_row(&job, tl_row(y, job.channel, row), y->width);
		}
	}
}
