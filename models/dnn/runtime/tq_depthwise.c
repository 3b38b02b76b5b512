// SPDX-License-Identifier: BSD-2-Clause
/* Convolution of every channel of bytes with a window of its own */
#include "tl_taps.h"
#include "tq_vector.h"

#define PIXELS	TL_LANES
#define FEW	(PIXELS / 2)

/* What is made now: one row of one channel */
struct job {
	const struct tq_filter *filter;
	const struct tl_view *x;
	const int8_t *weights;
	uint32_t channel;
	struct tl_taps rows;
	uint32_t from;	/* columns [from, to) do not meet padding */
	uint32_t to;
	struct tq_centre centre;
	struct tq_range range;
	int32_t bias;
	float multiplier;
};

static const uint8_t *input_row(const struct job *job, uint32_t kernel_row)
{
	return tq_row(job->x, job->channel,
		      (uint32_t)(job->rows.start + (int64_t)kernel_row *
				 job->filter->window.dilation_rows));
}

/* One column, padding or not */
static uint8_t single(const struct job *job, uint32_t column)
{
	const struct tl_window *window = &job->filter->window;
	struct tl_taps columns = tl_taps_of_column(window, column,
						   job->x->width);
	uint32_t sum = (uint32_t)job->bias;
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const uint8_t *x = input_row(job, i);
		const int8_t *w = job->weights +
				  (size_t)i * window->kernel_columns;

		for (j = columns.first; j < columns.end; j++)
			sum += (uint32_t)(w[j] *
				tq_centred(&job->centre, x[columns.start +
					   (int64_t)j *
					   window->dilation_columns]));
	}

	return tq_saturate(&job->range, (float)(int32_t)sum * job->multiplier);
}

/* `count` columns (8 or 4) from `column` on, none of whose windows meets padding */
static inline __attribute__((always_inline)) void
inner(const struct job *job, uint32_t column, uint32_t stride, uint32_t across,
      uint32_t count, uint8_t *y)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t bias = (uint32_t)job->bias;
	float one = job->multiplier;
	struct tq_multipliers multipliers = { { one, one, one, one },
					      { one, one, one, one } };
	struct tq_sums sums = { { bias, bias, bias, bias },
				{ bias, bias, bias, bias } };
	uint8_t bytes[TL_LANES];
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const uint8_t *x = input_row(job, i) +
				   (column * stride - window->pad_columns);
		const int8_t *w = job->weights + (size_t)i * across;

#pragma GCC unroll 3
		for (j = 0; j < across; j++) {
			tq_add_products(&sums, tq_load_centred(&job->centre, x,
							       stride, count),
					tq_all(w[j]));
			x += window->dilation_columns;
		}
	}
	tq_result(&job->range, &sums, &multipliers, bytes);
	__builtin_memcpy(y + column, bytes, count);
}

static inline __attribute__((always_inline)) void
many(const struct job *job, uint32_t column, uint32_t count, uint8_t *y)
{
	uint32_t stride = job->filter->window.stride_columns;
	uint32_t across = job->filter->window.kernel_columns;

	if (stride == 1 && across == 3)
		inner(job, column, 1, 3, count, y);
	else if (stride == 2 && across == 3)
		inner(job, column, 2, 3, count, y);
	else
		inner(job, column, stride, across, count, y);
}

static void make_row(const struct job *job, uint8_t *y, uint32_t width)
{
	uint32_t from = job->from;
	uint32_t to = job->to;
	uint32_t column = 0;

	for (column = 0; column < from; column++)
		y[column] = single(job, column);
	for (column = from; column + PIXELS <= to; column += PIXELS)
		many(job, column, PIXELS, y);
	for (; column + FEW <= to; column += FEW)
		many(job, column, FEW, y);
	if (column < to)
		many(job, to - FEW, FEW, y);
	for (column = to; column < width; column++)
		y[column] = single(job, column);
}

void tq_depthwise(const struct tq_filter *filter, const struct tl_view *x,
		  const struct tl_view *y, const struct tl_part *part)
{
	uint32_t taps = filter->window.kernel_rows *
			filter->window.kernel_columns;
	struct job job = {
		.filter = filter,
		.x = x,
		.centre = tq_centre_of(&filter->x),
		.range = tq_range_of(&filter->y),
	};
	uint32_t row = 0;

	tl_columns_inside(&filter->window, x->width, y->width, &job.from,
			  &job.to);
	if (job.to - job.from < FEW)
		job.from = job.to = y->width;
	for (job.channel = part->channel; job.channel < part->channel_end;
	     job.channel++) {
		uint32_t index = job.channel - part->channel;

		job.weights = filter->weights + (size_t)index * taps;
		job.bias = filter->bias ? filter->bias[index] : 0;
		job.multiplier = filter->multipliers[index];
		for (row = part->row; row < part->row_end; row++) {
			job.rows = tl_taps_of_row(&filter->window, row);
			make_row(&job, tq_row(y, job.channel, row), y->width);
		}
	}
}
