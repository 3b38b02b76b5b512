// SPDX-License-Identifier: BSD-2-Clause
/*
 * Convolution: TL_LANES output channels by PIXELS columns at a time.
 *
 * A weight of every lane meets one input number: all widths, strides and
 * paddings are alike to this, where vectors along a row would not fill up in
 * the small planes of late layers.
 */
#include "tl_taps.h"
#include "tl_vector.h"

/* As many as have room in registers: two vectors of sums for each */
#ifdef __aarch64__
#define PIXELS	8
#else
#define PIXELS	6
#endif

/* What is made now: some lanes of one row, or of rows that lie in one piece */
struct job {
	const struct tl_filter *filter;
	const struct tl_view *x;
	const float *weights;	/* of the lanes */
	uint32_t lanes;
	uint32_t first_input;	/* channel of the group */
	uint32_t row;		/* of the output */
	uint32_t in_width;
	uint32_t out_width;
	struct tl_taps rows;
	struct tl_pair bias;
};

static const float *input_row(const struct job *job, uint32_t channel,
			      uint32_t kernel_row)
{
	const struct tl_window *window = &job->filter->window;

	return tl_row(job->x, job->first_input + channel,
		      (uint32_t)(job->rows.start +
				 (int64_t)kernel_row * window->dilation_rows));
}

/* `count` columns from `column` on, none of whose windows meets padding */
static inline __attribute__((always_inline)) void
inner(const struct job *job, uint32_t column, uint32_t count,
      struct tl_pair sums[PIXELS])
{
	const struct tl_window *window = &job->filter->window;
	uint32_t taps = window->kernel_rows * window->kernel_columns;
	uint32_t stride = window->stride_columns;
	uint32_t start = column * stride - window->pad_columns;
	uint32_t c = 0;
	uint32_t i = 0;
	uint32_t j = 0;
	uint32_t p = 0;

	for (c = 0; c < job->filter->in_channels; c++) {
		const float *w = job->weights + (size_t)c * taps * TL_LANES;

		for (i = job->rows.first; i < job->rows.end; i++) {
			const float *x = input_row(job, c, i) + start;
			const float *v = w + (size_t)i * TL_LANES *
					     window->kernel_columns;

			for (j = 0; j < window->kernel_columns; j++) {
				struct tl_pair weight = tl_load_pair(v);

				v += TL_LANES;
#pragma GCC unroll 8
				for (p = 0; p < count; p++) {
					sums[p].low += weight.low *
						       x[p * stride];
					sums[p].high += weight.high *
							x[p * stride];
				}
				x += window->dilation_columns;
			}
		}
	}
}

/* Any number of lanes, one column, padding or not */
static inline __attribute__((always_inline)) struct tl_pair
single(const struct job *job, uint32_t column, uint32_t lanes)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t taps = window->kernel_rows * window->kernel_columns;
	struct tl_taps columns = tl_taps_of_column(window, column,
						   job->in_width);
	struct tl_pair sum = job->bias;
	uint32_t c = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	for (c = 0; c < job->filter->in_channels; c++)
	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, c, i);
		const float *v = job->weights + lanes *
			((size_t)c * taps + (size_t)i * window->kernel_columns);

		for (j = columns.first; j < columns.end; j++) {
			struct tl_pair weight =
				tl_load_some_pair(v + j * lanes, lanes);
			float value = x[columns.start + (int64_t)j *
					window->dilation_columns];

			sum.low += weight.low * value;
			sum.high += weight.high * value;
		}
	}

	return sum;
}

static void put(const struct job *job, float *rows[TL_LANES], uint32_t column,
		const struct tl_pair *sum)
{
	float each[TL_LANES];
	uint32_t lane = 0;

	memcpy(each, sum, sizeof(each));
	for (lane = 0; lane < job->lanes; lane++)
		rows[lane][column] = each[lane];
}

static void put_single(const struct job *job, float *rows[TL_LANES],
		       uint32_t column)
{
	struct tl_pair sum;

	if (job->lanes == TL_LANES)
		sum = single(job, column, TL_LANES);
	else
		sum = single(job, column, job->lanes);
	put(job, rows, column, &sum);
}

/* Columns of which no window meets padding, for all lanes */
static inline __attribute__((always_inline)) void
put_many(const struct job *job, float *rows[TL_LANES], uint32_t column,
	 uint32_t count)
{
	struct tl_pair sums[PIXELS];
	uint32_t p = 0;

#pragma GCC unroll 8
	for (p = 0; p < count; p++)
		sums[p] = job->bias;
	inner(job, column, count, sums);
#pragma GCC unroll 8
	for (p = 0; p < count; p++)
		put(job, rows, column + p, &sums[p]);
}

/* The lanes of one row, from `channel` on */
static void make_row(const struct job *job, const struct tl_view *y,
		     uint32_t channel)
{
	float *rows[TL_LANES] = { NULL };
	uint32_t column = 0;
	uint32_t lane = 0;
	uint32_t from = 0;
	uint32_t to = 0;

	for (lane = 0; lane < job->lanes; lane++)
		rows[lane] = tl_row(y, channel + lane, job->row);
	tl_columns_inside(&job->filter->window, job->in_width, job->out_width,
			  &from, &to);
	if (job->lanes < TL_LANES)
		from = to = job->out_width;

	for (column = 0; column < from; column++)
		put_single(job, rows, column);
	for (; column + PIXELS <= to; column += PIXELS)
		put_many(job, rows, column, PIXELS);
	/* Some again is cheaper than one by one, and gives the same */
	if (column < to && to - from >= PIXELS) {
		put_many(job, rows, to - PIXELS, PIXELS);
		column = to;
	}
	for (; column + 4 <= to; column += 4)
		put_many(job, rows, column, 4);
	for (; column < to; column++)
		put_many(job, rows, column, 1);
	for (; column < job->out_width; column++)
		put_single(job, rows, column);
}

static void make_rows(struct job *job, const struct tl_view *y,
		      const struct tl_part *part, uint32_t channel)
{
	const struct tl_window *window = &job->filter->window;
	bool flat = tl_is_flat(window, job->x, y, part);
	uint32_t times = flat ? part->row_end - part->row : 1;

	job->in_width = job->x->width * times;
	job->out_width = y->width * times;
	for (job->row = part->row; job->row < part->row_end;
	     job->row += times) {
		job->rows = tl_taps_of_row(window, job->row);
		make_row(job, y, channel);
	}
}

void tl_conv(const struct tl_filter *filter, const struct tl_view *x,
	     const struct tl_view *y, const struct tl_part *part)
{
	size_t taps = (size_t)filter->window.kernel_rows *
		      filter->window.kernel_columns * filter->in_channels;
	struct job job = { .filter = filter, .x = x };
	uint32_t channel = part->channel;

	job.weights = filter->weights;
	while (channel < part->channel_end) {
		uint32_t group = channel / filter->out_channels;
		uint32_t left = (group + 1) * filter->out_channels - channel;
		uint32_t done = channel - part->channel;

		if (left > part->channel_end - channel)
			left = part->channel_end - channel;
		job.lanes = left < TL_LANES ? left : TL_LANES;
		job.first_input = group * filter->in_channels;
		job.bias = (struct tl_pair){ .low = { 0 } };
		if (filter->bias)
			job.bias = tl_load_some_pair(filter->bias + done,
						     job.lanes);
		make_rows(&job, y, part, channel);
		job.weights += taps * job.lanes;
		channel += job.lanes;
	}
}
