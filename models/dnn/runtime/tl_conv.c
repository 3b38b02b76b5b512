// SPDX-License-Identifier: BSD-2-Clause
/*
 * Convolution: TL_LANES output channels by PIXELS columns at a time.
 *
 * A weight of every lane meets one input number: all widths, strides and
 * paddings are alike to this, where vectors along a row would not fill up in
 * the small planes of late layers. Sums go kernel row by kernel row, of each
 * channel by channel: so a row's place is worked out once.
 */
#include "tl_taps.h"
#include "tl_vector.h"

/* As many as have room in registers, two vectors of sums each: 4 times QUADS */
#ifdef __aarch64__
#define QUADS	2
#else
#define QUADS	1
#endif
#define PIXELS	(QUADS * TL_HALF)

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

/* A kernel row on the first channel of the group, and from there to the next */
static const float *input_row(const struct job *job, uint32_t kernel_row)
{
	return tl_row(job->x, job->first_input,
		      (uint32_t)(job->rows.start + (int64_t)kernel_row *
				 job->filter->window.dilation_rows));
}

static size_t plane_of(const struct tl_view *view)
{
	return (size_t)view->slots * view->width;
}

/* The inputs of four columns meet the weights of all lanes */
static inline void meet(struct tl_pair sums[TL_HALF],
			const struct tl_pair *weight, tl_half x)
{
	sums[0].low += weight->low * x[0];
	sums[0].high += weight->high * x[0];
	sums[1].low += weight->low * x[1];
	sums[1].high += weight->high * x[1];
	sums[2].low += weight->low * x[2];
	sums[2].high += weight->high * x[2];
	sums[3].low += weight->low * x[3];
	sums[3].high += weight->high * x[3];
}

/* 4 times `quads` columns from `column` on, none of whose windows meets padding */
static inline __attribute__((always_inline)) void
inner(const struct job *job, uint32_t column, uint32_t stride, uint32_t across,
      uint32_t quads, struct tl_pair *sums)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t dilation = window->dilation_columns;
	uint32_t start = column * stride - window->pad_columns;
	uint32_t channels = job->filter->in_channels;
	size_t plane = plane_of(job->x);
	size_t taps = (size_t)window->kernel_rows * across * TL_LANES;
	uint32_t i = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i) + start;
		const float *w = job->weights + (size_t)i * across * TL_LANES;
		uint32_t c = 0;

		for (c = channels; c; c--, x += plane, w += taps) {
			const float *from = x;
			const float *v = w;
			uint32_t j = across;

			do {
				struct tl_pair weight = tl_load_pair(v);

				meet(sums, &weight, tl_gather(from, stride));
				if (quads == 2)
					meet(sums + 4, &weight,
					     tl_gather(from + 4 * stride,
						       stride));
				from += dilation;
				v += TL_LANES;
			} while (--j);
		}
	}
}

/* Any number of lanes, one column, padding or not */
static inline __attribute__((always_inline)) struct tl_pair
single(const struct job *job, uint32_t column, uint32_t lanes)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t across = window->kernel_columns;
	struct tl_taps columns = tl_taps_of_column(window, column,
						   job->in_width);
	struct tl_pair sum = job->bias;
	size_t plane = plane_of(job->x);
	size_t taps = (size_t)window->kernel_rows * across * lanes;
	uint32_t i = 0;
	uint32_t c = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i);
		const float *v = job->weights + (size_t)i * across * lanes;

		for (c = 0; c < job->filter->in_channels; c++)
		for (j = columns.first; j < columns.end; j++) {
			struct tl_pair weight =
				tl_load_some_pair(v + c * taps +
						  (size_t)j * lanes, lanes);
			float value = x[(int64_t)(c * plane) + columns.start +
					(int64_t)j * window->dilation_columns];

			sum.low += weight.low * value;
			sum.high += weight.high * value;
		}
	}

	return sum;
}

static void put_single(const struct job *job, float *rows[TL_LANES],
		       uint32_t column)
{
	float each[TL_LANES];
	struct tl_pair sum;
	uint32_t lane = 0;

	if (job->lanes == TL_LANES)
		sum = single(job, column, TL_LANES);
	else
		sum = single(job, column, job->lanes);
	memcpy(each, &sum, sizeof(each));
	for (lane = 0; lane < job->lanes; lane++)
		rows[lane][column] = each[lane];
}

/* Columns of which no window meets padding, for all lanes */
static inline __attribute__((always_inline)) void
put_quads(const struct job *job, float *rows[TL_LANES], uint32_t column,
	  uint32_t quads)
{
	uint32_t stride = job->filter->window.stride_columns;
	uint32_t across = job->filter->window.kernel_columns;
	struct tl_pair sums[4 * QUADS];
	uint32_t p = 0;

#pragma GCC unroll 8
	for (p = 0; p < 4 * quads; p++)
		sums[p] = job->bias;
	if (stride == 1 && across == 1)
		inner(job, column, 1, 1, quads, sums);
	else if (stride == 1)
		inner(job, column, 1, across, quads, sums);
	else if (stride == 2)
		inner(job, column, 2, across, quads, sums);
	else
		inner(job, column, stride, across, quads, sums);
#pragma GCC unroll 8
	for (p = 0; p < 4 * quads; p += 4) {
		tl_store_turned(rows, column + p, sums[p].low, sums[p + 1].low,
				sums[p + 2].low, sums[p + 3].low);
		tl_store_turned(rows + 4, column + p, sums[p].high,
				sums[p + 1].high, sums[p + 2].high,
				sums[p + 3].high);
	}
}

static void put_many(const struct job *job, float *rows[TL_LANES],
		     uint32_t column)
{
	put_quads(job, rows, column, QUADS);
}

static void put_four(const struct job *job, float *rows[TL_LANES],
		     uint32_t column)
{
	put_quads(job, rows, column, 1);
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
	if (job->lanes < TL_LANES || to - from < TL_HALF)
		from = to = job->out_width;

	for (column = 0; column < from; column++)
		put_single(job, rows, column);
	for (; column + PIXELS <= to; column += PIXELS)
		put_many(job, rows, column);
	for (; column + TL_HALF <= to; column += TL_HALF)
		put_four(job, rows, column);
	/* What is left, and some again: cheaper than one by one */
	if (column < to)
		put_four(job, rows, to - TL_HALF);
	for (column = to; column < job->out_width; column++)
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
